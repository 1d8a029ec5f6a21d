import re
import subprocess
import sys

import pytest


@pytest.fixture
def examples(repository):
    readme = (repository / "packages" / "fmri-vqtok" / "README.md").read_text(encoding="utf-8")
    return re.findall(r"```python\n(.*?)```", readme, flags=re.DOTALL)


def test_the_example_of_the_readme_runs(examples):
    names: dict = {}
    exec(examples[0], names)
    assert names["codes"].shape == (8, 3, 5)
    assert names["signal"].shape == names["windows"].shape


def test_fifteen_lines_make_tokens_of_an_eeg_without_text_and_say_how_good_they_are(examples):
    [_, example] = examples
    assert len([line for line in example.splitlines() if line]) <= 15
    check = "import sys; assert not {'transformers', 'datasets'} & set(sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", f"{example}\n{check}"], check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    [(bits, error)] = re.findall(r"(\S+) bits a sample, normalised error (\S+)", done.stdout)
    assert float(bits) == 0.75
    assert 0.15 <= float(error) < 0.25
