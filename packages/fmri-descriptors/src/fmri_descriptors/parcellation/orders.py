"""From one known order of the same regions to another."""

import csv
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from fmri_descriptors.errors import InputError
from fmri_descriptors.parcellation.parcellation import TABLES

_STEMS = ("schaefer100", "schaefer400", "tian3-schaefer400")
ORDERS = tuple(f"{stem}-{networks}n" for stem in _STEMS for networks in (7, 17))


def permutation(from_name: str, to_name: str) -> NDArray[np.int64]:
    """Return the index array that brings columns from one known order into another.

    Parameters
    ----------
    from_name, to_name : str
        Two of ``schaefer400-7n``, ``schaefer400-17n``; ``schaefer100-7n``, ``schaefer100-17n``;
        ``tian3-schaefer400-7n``, ``tian3-schaefer400-17n``. The 50 subcortical regions come first
        in both of the last two.

    Returns
    -------
    ndarray of int, (N,)
        Column `k` of the order `to_name` is column ``permutation(from_name, to_name)[k]`` of the
        order `from_name`: ``series[:, permutation(from_name, to_name)]`` is in the order
        `to_name`.

    Raises
    ------
    InputError
        If an order is not known or the two are not orders of the same regions.

    Examples
    --------
    >>> permutation("schaefer400-17n", "schaefer400-7n")[:3] + 1
    array([ 61, 193,   1])
    """
    from_stem, to_stem = _stem(from_name), _stem(to_name)
    if from_stem != to_stem:
        raise InputError(
            f"region order: {from_name!r} and {to_name!r} have different regions; give two orders "
            "of the same ones"
        )
    return _places(from_name)[np.argsort(_places(to_name))]


def order_labels(name: str) -> tuple[str, ...]:
    """Return the region names of an order that `permutation` knows, to compare a header with.

    Parameters
    ----------
    name : str
        Such as ``schaefer400-17n``.

    Raises
    ------
    InputError
        If the order is not known.
    """
    column = "label_17n" if name.endswith("-17n") else "label"
    labels = [row[column] for row in _rows(_stem(name))]
    return tuple(labels[k] for k in np.argsort(_places(name)))


def _stem(name: str) -> str:
    if name not in ORDERS:
        raise InputError(f"region order: {name!r} is not known; give one of {', '.join(ORDERS)}")
    return name.rpartition("-")[0]


def _places(name: str) -> NDArray[np.int64]:
    """Column of each region in an order; the regions are counted in the 7-network order."""
    column = "index_17n" if name.endswith("-17n") else "index"
    return np.array([int(row[column]) - 1 for row in _rows(_stem(name))], dtype=np.int64)


@lru_cache(maxsize=len(_STEMS))
def _rows(stem: str) -> list[dict[str, str]]:
    text = (TABLES / f"{stem}-7n.tsv").read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines(), delimiter="\t"))
