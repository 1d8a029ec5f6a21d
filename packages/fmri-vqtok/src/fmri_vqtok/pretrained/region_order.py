"""Permutation of the regions of a signal into the order of a tokenizer."""

from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from fmri_vqtok.errors import InputError

SHOWN = 12
"""Longest permutation that a message shows in full."""


def permutation(own: Sequence[str], labels: Sequence[str]) -> NDArray[np.int64]:
    """Index that brings regions labelled ``labels`` into the order ``own``.

    Parameters
    ----------
    own : sequence of str
        Labels in the target order.
    labels : sequence of str
        Labels of the columns of a signal.

    Returns
    -------
    ndarray of int64, shape (N,)
        ``signal[..., index]`` has its columns in the order ``own``.

    Raises
    ------
    InputError
        If a label is a duplicate, or the two are not the same regions.
    """
    twice = [label for label, count in Counter(labels).items() if count > 1]
    if twice:
        raise InputError(f"labels: '{twice[0]}' is a duplicate; give each region its own")
    places = {label: column for column, label in enumerate(labels)}
    missing = [label for label in own if label not in places]
    if missing or len(places) != len(own):
        known = set(own)
        strange = [label for label in labels if label not in known]
        raise InputError(
            f"labels: {len(labels)} regions, but the tokenizer's {len(own)} are others "
            f"(missing: {_first(missing)}; unknown to it: {_first(strange)}); extract the signals "
            "with the tokenizer's parcellation, or fit a tokenizer for this one"
        )
    return np.array([places[label] for label in own], dtype=np.int64)


def how_to_reorder(own: Sequence[str], labels: Sequence[str]) -> str | None:
    """Say which permutation brings signals into the tokenizer's order; None if none does."""
    try:
        index = permutation(own, labels)
    except InputError:
        return None
    shown = ", ".join(str(column) for column in index[:SHOWN])
    more = f", ... ({len(index)} in all)" if len(index) > SHOWN else ""
    return f"`signal[..., permutation]` with permutation = [{shown}{more}]"


def _first(labels: Sequence[str]) -> str:
    if not labels:
        return "none"
    return f"'{labels[0]}'" + (f" and {len(labels) - 1} more" if len(labels) > 1 else "")
