"""The user-facing input error: one line with the thing, its value and a fix."""

from collections.abc import Sequence
from difflib import get_close_matches


class InputError(ValueError):
    """An input that cannot be used; the message names it, its value and a fix.

    Attributes
    ----------
    exit_code : int
        The exit status of a command that ends with this error.
    """

    exit_code = 1


def check_choice(key: str, value: object, known: Sequence[str]) -> None:
    """Refuse an unknown choice, and name the nearest known one.

    Raises
    ------
    InputError
    """
    if value not in known:
        near = get_close_matches(str(value), known, n=1, cutoff=0)[0]
        names = ", ".join(f"'{name}'" for name in known)
        raise InputError(f"{key}: '{value}'; give one of {names}; did you mean '{near}'?")
