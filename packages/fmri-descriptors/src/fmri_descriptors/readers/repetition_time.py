"""The one repetition time on which a file, its sidecars and the user agree."""

from collections.abc import Mapping

import numpy as np

from fmri_descriptors.errors import InputError
from fmri_descriptors.scan import MAX_TR, MIN_TR, is_repetition_time

_TOLERANCE = 1e-3  # s; headers hold single precision, and tables and sidecars are often rounded


def checked_tr(value: object) -> float:
    """Return a repetition time, in seconds.

    Raises
    ------
    InputError
        If it is no number, or not from `MIN_TR` to below `MAX_TR`.
    """
    number = isinstance(value, int | float | np.number) and not isinstance(value, bool)
    if not (number and is_repetition_time(float(value))):  # type: ignore[arg-type]
        raise InputError(
            f"repetition time {value!r}; give seconds, from {MIN_TR:g} to below {MAX_TR:g}"
        )
    return float(value)  # type: ignore[arg-type]


def agreed_tr(told: float | None, given: float | None) -> float:
    """Return the repetition time that a file tells or the user gives, in seconds.

    Raises
    ------
    InputError
        If neither is there, or the two differ by more than 1 ms.
    """
    if told is None and given is None:
        raise InputError("no repetition time is written down; add it, or give it with --tr")
    if told is None or given is None:
        return checked_tr(given if told is None else told)
    if abs(checked_tr(told) - checked_tr(given)) > _TOLERANCE:
        raise InputError(
            f"repetition time {told:g} s is written down, but --tr is {given:g}; drop one"
        )
    return told


def agreed_tr_of(name: str, stated: Mapping[str, float | None], missing: str) -> float:
    """Return the one repetition time that all who state one agree on, in seconds.

    Parameters
    ----------
    name : str
        File that it is of, for the message.
    stated : mapping of str to float or None
        Who states what, in s; the first that states one is returned.
    missing : str
        What is wrong if nobody states one.

    Raises
    ------
    InputError
        If nobody states one, two differ by more than a millisecond, or it is above a minute or
        below a hundredth of a second.
    """
    known = {who: value for who, value in stated.items() if value is not None}
    if not known:
        raise InputError(f"{name}: {missing}; give the repetition time in seconds by the option tr")
    first, seconds = next(iter(known.items()))
    for who, value in known.items():
        if abs(value - seconds) > _TOLERANCE:
            raise InputError(
                f"{name}: {first} says TR {seconds:g} s, but {who} says {value:g} s; correct the "
                "wrong one"
            )
    if seconds >= MAX_TR:
        raise InputError(
            f"{name}: {first} says TR {seconds:g} s, which looks like milliseconds; write seconds"
        )
    if seconds < MIN_TR:
        raise InputError(
            f"{name}: {first} says TR {seconds:g} s, too short for one; write seconds, or its unit"
        )
    return round(seconds, 6)  # a header's single precision is no better than that
