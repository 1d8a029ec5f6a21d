"""Folds by subject: no subject is on both sides, classes and sites are spread evenly."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fmri_descriptors.errors import InputError


@dataclass(frozen=True)
class Folds:
    """Which fold each scan is held out in.

    Parameters
    ----------
    number : ndarray of int, (n,)
        Fold of each scan.
    n_folds : int
        Number of folds.
    stratified_by : tuple of str
        What is spread evenly: ``"target"``, ``"site"``, both, or nothing.
    """

    number: NDArray[np.intp]
    n_folds: int
    stratified_by: tuple[str, ...]


def make_folds(
    target: Sequence[Any],
    site: Sequence[str],
    subject: Sequence[str],
    *,
    kind: str,
    n_folds: int,
    seed: int,
) -> Folds:
    """Assign scans to folds by subject.

    A target of classes is stratified, and the sites with it where every class of every site has a
    subject for each fold. For a number, sites are stratified where each has enough subjects.

    Parameters
    ----------
    target, site, subject : sequence, length n
        Of each scan.
    kind : str
        ``"category"`` or ``"number"``.
    n_folds : int
        Folds wanted; fewer where a class has fewer subjects.
    seed : int
        Seed of the assignment.

    Raises
    ------
    InputError
        If there is one class only, a class has a single subject, or there are fewer than two
        subjects.
    """
    from sklearn.model_selection import StratifiedGroupKFold

    classes = list(target) if kind == "category" else [""] * len(target)
    n_folds = min(n_folds, _check_classes(classes, subject, kind))
    both = [f"{name}\t{where}" for name, where in zip(classes, site, strict=True)]
    with_site = len(set(site)) > 1 and min(count_subjects(both, subject).values()) >= n_folds
    stratified_by = (("target",) if kind == "category" else ()) + (("site",) if with_site else ())
    strata = np.asarray(both if with_site else classes)
    splitter = StratifiedGroupKFold(n_folds, shuffle=True, random_state=seed)
    number = np.empty(len(strata), dtype=np.intp)
    for fold, (_, held_out) in enumerate(
        splitter.split(strata, strata, groups=np.asarray(subject))
    ):
        number[held_out] = fold
    return Folds(number, n_folds, stratified_by)


def count_subjects(labels: Sequence[Any], subject: Sequence[str]) -> dict[Any, int]:
    """Count the subjects with each label."""
    seen: dict[Any, set[str]] = {}
    for label, name in zip(labels, subject, strict=True):
        seen.setdefault(label, set()).add(name)
    return {label: len(names) for label, names in seen.items()}


def _check_classes(classes: Sequence[str], subject: Sequence[str], kind: str) -> int:
    """Fewest subjects of a class."""
    counts = count_subjects(classes, subject)
    if kind == "category" and len(counts) < 2:
        only = next(iter(counts), None)
        raise InputError(f"target: every scan is {only!r}; two classes are needed")
    rarest = min(counts, key=lambda name: counts[name], default="")
    if counts.get(rarest, 0) < 2:
        what = f"class {rarest!r} has" if kind == "category" else "there is"
        raise InputError(
            f"target: {what} {counts.get(rarest, 0)} subject; at least 2 are needed, to learn "
            "from one and be tested on another"
        )
    return counts[rarest]
