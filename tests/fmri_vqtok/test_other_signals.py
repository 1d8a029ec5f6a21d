"""The tokenizer on what is not fMRI."""

import re
import subprocess
import sys


def test_fifteen_lines_make_tokens_of_an_eeg_without_text_and_say_how_good_they_are(repository):
    readme = (repository / "packages" / "fmri-vqtok" / "README.md").read_text(encoding="utf-8")
    [example] = re.findall(r"## Not fMRI\n.*?```python\n(.*?)```", readme, flags=re.DOTALL)
    assert len([line for line in example.splitlines() if line]) <= 15
    check = "import sys; assert not {'transformers', 'datasets'} & set(sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", f"{example}\n{check}"], check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    [(bits, error)] = re.findall(r"(\S+) bits a sample, normalised error (\S+)", done.stdout)
    assert float(bits) == 0.75
    assert 0.15 <= float(error) < 0.25
