"""The one repetition time on which a file, its sidecars and the user agree."""

import math
from collections.abc import Mapping

import numpy as np

from fmri_descriptors.errors import InputError
from fmri_descriptors.scan import MAX_TR, MIN_TR, is_repetition_time

_TOLERANCE = 1e-3  # s; headers hold single precision, and tables and sidecars are often rounded


def checked_tr(value: object, who: str = "") -> float:
    """Return a repetition time, in seconds.

    Parameters
    ----------
    value : object
        What a file or the user says.
    who : str
        Who says so, for the message.

    Raises
    ------
    InputError
        If it is no number, or not from `MIN_TR` to below `MAX_TR`.
    """
    number = isinstance(value, int | float | np.number) and not isinstance(value, bool)
    seconds = float(value) if number else math.nan  # type: ignore[arg-type]
    if not is_repetition_time(seconds):
        unit = "seconds, not milliseconds" if seconds >= MAX_TR else "seconds"
        raise InputError(
            f"{f'{who}: ' if who else ''}repetition time {value!r}; give {unit}, from {MIN_TR:g} "
            f"to below {MAX_TR:g}"
        )
    return seconds


def agreed_tr(
    stated: Mapping[str, object],
    missing: str = "no repetition time is written down; add it, or give it with --tr",
) -> float:
    """Return the one repetition time that all who state one agree on, in seconds.

    Parameters
    ----------
    stated : mapping of str to object
        Who states what, in seconds; None states nothing. The first that is stated is returned,
        to the microsecond: a header's single precision is no better.
    missing : str
        The message if nobody states one.

    Raises
    ------
    InputError
        If nobody states one, one is not as `checked_tr` wants it, or two differ by more than 1 ms.
    """
    known = {who: checked_tr(value, who) for who, value in stated.items() if value is not None}
    if not known:
        raise InputError(missing)
    first, tr = next(iter(known.items()))
    for who, other in known.items():
        if abs(other - tr) > _TOLERANCE:
            raise InputError(
                f"{first}: repetition time {tr:g} s, but {who} says {other:g} s; correct or drop "
                "one"
            )
    return round(tr, 6)
