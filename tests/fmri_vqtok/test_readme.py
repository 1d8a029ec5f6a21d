import re


def test_the_example_of_the_readme_runs(repository):
    readme = (repository / "packages" / "fmri-vqtok" / "README.md").read_text(encoding="utf-8")
    example, *_ = re.findall(r"```python\n(.*?)```", readme, flags=re.DOTALL)
    names: dict = {}
    exec(example, names)
    assert names["codes"].shape == (8, 3, 5)
    assert names["signal"].shape == names["windows"].shape
