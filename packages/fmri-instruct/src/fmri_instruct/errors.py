"""What a user can put right: one line that names the thing, its value and the fix."""

from collections.abc import Iterable
from difflib import get_close_matches


class InputError(ValueError):
    """A file, key or value that this package cannot work with.

    The message is one line. Command lines print it alone and leave with `exit_code`.
    """

    exit_code = 1


def nearest(name: str, valid: Iterable[str]) -> str:
    """Advice for a name that is not one of `valid`: the closest one, or all of them.

    Parameters
    ----------
    name : str
        What was given.
    valid : iterable of str
        What would have been understood.

    Returns
    -------
    str
        For instance ``did you mean 'caveat'?``.
    """
    choices = sorted(valid)
    close = get_close_matches(name, choices, n=1, cutoff=0.6)
    if close:
        return f"did you mean '{close[0]}'?"
    return f"give one of {', '.join(choices)}" if choices else "there is none to choose from"
