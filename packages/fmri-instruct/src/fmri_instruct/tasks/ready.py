"""Tasks files that ship with this package, found by name."""

from pathlib import Path

from fmri_vqtok.errors import InputError

COHORTS = Path(__file__).parents[1] / "cohorts"
DEMO = COHORTS / "demo.yaml"
QUESTIONS = Path(__file__).parents[1] / "bank" / "questions.yaml"


def ready_tasks() -> tuple[str, ...]:
    """Names of the tasks files that ship with this package, sorted.

    Returns
    -------
    tuple of str

    Examples
    --------
    >>> "ukb" in ready_tasks()
    True
    """
    return tuple(sorted(path.stem for path in COHORTS.glob("*.yaml")))


def find_tasks(source: Path | str | None) -> Path:
    """Locate a tasks file that is given by path or by the name of one that ships.

    Parameters
    ----------
    source : Path, str or None
        None means that of the demo. A file goes before a ready one of the same name.

    Returns
    -------
    Path

    Raises
    ------
    InputError
        If it is a bare word, and neither a file nor one of `ready_tasks`.
    """
    if source is None:
        return DEMO
    path = Path(source)
    if path.is_file() or not str(source).isidentifier():
        return path
    if (ready := COHORTS / f"{source}.yaml").is_file():
        return ready
    names = ", ".join(ready_tasks())
    raise InputError(f"tasks: '{source}'; give a YAML file, or one of the ready {names}")
