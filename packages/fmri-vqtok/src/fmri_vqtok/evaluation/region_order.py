"""Region order of the evaluation suite *brainmarks*, and the columns that undo it.

The suite averages over the Schaefer parcels in their 17-network order, preceded by the 50
subcortical regions of the Melbourne atlas where it has these. It gives no names with its data; the
table beside this module lists them in that order, with those of the 7-network order. They are
those of Schaefer et al., Cerebral Cortex 2018, and Tian et al., Nature Neuroscience 2020;
``scripts/build_parcellation_tables.py`` finds them in published packages.
"""

import csv
import hashlib
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from fmri_vqtok.errors import InputError

if TYPE_CHECKING:
    from fmri_vqtok.tokenizer import FMRITokenizer

SUITE_SPACES = {450: "schaefer400_tians3", 400: "schaefer400"}
"""Data space of the suite by number of regions."""


def suite_space(tokenizer: "FMRITokenizer") -> str:
    """Name of the suite's data space that has the tokenizer's regions.

    Raises
    ------
    InputError
        If the suite has no space of so many of these regions.
    """
    n_regions = tokenizer.config.n_regions
    if n_regions not in SUITE_SPACES:
        raise InputError(
            f"tokenizer: {n_regions} regions, but brainmarks has 400 (Schaefer) or 450 (with the "
            "50 of Tian); fit a tokenizer on one of these parcellations"
        )
    return SUITE_SPACES[n_regions]


def suite_columns(labels: Sequence[str]) -> NDArray[np.int64]:
    """Index that brings the suite's columns into an order given by its labels.

    Parameters
    ----------
    labels : sequence of str
        Names of the Schaefer parcels in either naming, with or without the subcortical regions;
        400 or 450 of them, in any order.

    Returns
    -------
    ndarray of int64, shape (N,)
        ``bold[:, index]`` has the region ``labels[k]`` in column k.

    Raises
    ------
    InputError
        If the labels are not those of the suite's regions.

    Examples
    --------
    >>> suite_columns(known_orders(450)[0])[[0, 49, 50, 51]]
    array([  0,  49, 110, 242])
    """
    columns = {
        name: column
        for column, region in enumerate(_suite_regions(len(labels)))
        for name in (region["label_17n"], region["label_7n"])
    }
    strange = [label for label in labels if label not in columns]
    if strange or not labels:
        name = f"'{strange[0]}'" if strange else "nothing"
        raise InputError(
            f"labels: {name} among {len(labels)} regions is no region of brainmarks; fit a "
            "tokenizer on the Schaefer-400 parcels, alone or after the 50 regions of Tian"
        )
    index = np.array([columns[label] for label in labels], dtype=np.int64)
    if len(np.unique(index)) != len(index):
        raise InputError("labels: a region is a duplicate; give each region once")
    return index


def region_labels(tokenizer: "FMRITokenizer") -> tuple[str, ...]:
    """Ordered region labels of a tokenizer: its own, or those of the known order with its hash.

    Raises
    ------
    InputError
        If it carries no labels and its order is not a known one.
    """
    if tokenizer.labels is not None:
        return tokenizer.labels
    for labels in known_orders(tokenizer.config.n_regions):
        if order_hash(labels) == tokenizer.order_hash:
            return labels
    raise InputError(
        f"tokenizer: region order {tokenizer.order_hash} of parcellation "
        f"'{tokenizer.parcellation}' is not known here, and no labels were saved with it; fit it "
        "on a cohort whose labels are the Schaefer parcels' own names"
    )


def known_orders(n_regions: int) -> list[tuple[str, ...]]:
    """Labels in the 7-network and in the 17-network order; nothing if there are none such."""
    regions = _suite_regions(n_regions)
    in_7n = sorted(regions, key=lambda region: int(region["index_7n"]))
    return [
        tuple(region["label_7n"] for region in in_7n),
        tuple(region["label_17n"] for region in regions),
    ]


def order_hash(labels: Sequence[str]) -> str:
    """Hash of ordered region labels, as cohorts and tokenizers carry it."""
    return hashlib.sha256("\n".join(labels).encode()).hexdigest()[:16]


def _suite_regions(n_regions: int) -> list[dict[str, str]]:
    """Rows of the table for the suite's columns, in its order."""
    return _table()[-n_regions:] if n_regions in SUITE_SPACES else []


@lru_cache(maxsize=1)
def _table() -> list[dict[str, str]]:
    text = Path(__file__).with_name("tian3-schaefer400-orders.tsv").read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines(), delimiter="\t"))
