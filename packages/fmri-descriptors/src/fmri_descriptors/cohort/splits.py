"""Train, validation and test by subject: a subject is in one split by construction."""

import difflib
import hashlib
from collections.abc import Iterable, Mapping

from fmri_descriptors.errors import InputError
from fmri_descriptors.readers.participants.subjects import label_key
from fmri_descriptors.settings import CohortSettings

SPLITS = ("train", "validation", "test")


def split_subjects(
    sites: Mapping[str, str | None], settings: CohortSettings, seed: int
) -> dict[str, str]:
    """Return the split of each subject.

    Within a site, subjects are ranked by a hash of (seed, subject); the first ranks are the test
    subjects, the next ones validate, the rest train. Adding a subject therefore moves others
    only where a rank crosses a border. Where subjects are named, the names decide instead of
    the fraction; any spelling of a subject names it (see `label_key`). With folds, the subjects of
    one fold are the test subjects, and the next ranks validate.

    Parameters
    ----------
    sites : mapping of str to str or None
        Subject to site.
    settings : CohortSettings
        Fractions and named subjects.
    seed : int
        Seed of the ranks.

    Returns
    -------
    dict of str to str
        Subject to ``"train"``, ``"validation"`` or ``"test"``, sorted by subject.

    Raises
    ------
    InputError
        If a named subject is unknown or named twice, no subject is left to train on, or there are
        fewer subjects, or sites, than folds.
    """
    named = _named_subjects(sites, settings) | _fold_subjects(sites, settings, seed)
    fractions = (
        0.0 if settings.test_subjects or settings.n_folds else settings.test_fraction,
        0.0 if settings.validation_subjects else settings.validation_fraction,
    )
    splits = dict(named)
    for site in sorted({site or "" for site in sites.values()}):
        free = [s for s, where in sites.items() if (where or "") == site and s not in named]
        splits.update(_split_site(free, fractions, seed))
    if "train" not in splits.values():
        raise InputError(
            f"test_subjects, validation_subjects: none of {len(sites)} subjects is left to train "
            "on; hold fewer out"
        )
    return dict(sorted(splits.items()))


def _named_subjects(sites: Mapping[str, str | None], settings: CohortSettings) -> dict[str, str]:
    named: dict[str, str] = {}
    by_key = {label_key(subject): subject for subject in sites}
    for split, subjects in (
        ("test", settings.test_subjects),
        ("validation", settings.validation_subjects),
    ):
        for spelt in subjects:
            subject = spelt if spelt in sites else by_key.get(label_key(spelt), spelt)
            if subject not in sites:
                near = difflib.get_close_matches(subject, sites, n=1, cutoff=0.0)
                hint = f"; the nearest is {near[0]!r}" if near else ""
                raise InputError(f"{split}_subjects: {subject!r} is not in the source{hint}")
            if subject in named:
                raise InputError(f"{split}_subjects: {subject!r} is named twice; name it once")
            named[subject] = split
    return named


def _fold_subjects(
    sites: Mapping[str, str | None], settings: CohortSettings, seed: int
) -> dict[str, str]:
    """Test subjects of the fold; subjects who validate by name are dealt like all others."""
    if settings.n_folds is None:
        return {}
    by_site: dict[str, list[str]] = {}
    for subject, site in sites.items():
        by_site.setdefault(site or "", []).append(subject)
    whole_sites = settings.fold_by == "site"
    # Site after site, so that the folds are equally large and each has its share of every site.
    dealt = (
        [by_site[site] for site in _ranked(by_site, seed)]
        if whole_sites
        else [[s] for site in sorted(by_site) for s in _ranked(by_site[site], seed)]
    )
    if len(dealt) < settings.n_folds:
        raise InputError(
            f"n_folds: {settings.n_folds}, but there are {len(dealt)} {settings.fold_by}s; give at "
            "most that many folds"
        )
    held_out = dealt[settings.fold - 1 :: settings.n_folds]
    return {subject: "test" for subjects in held_out for subject in subjects}


def _ranked(names: Iterable[str], seed: int) -> list[str]:
    """Names in the order of a hash of (seed, name)."""
    return sorted(names, key=lambda name: hashlib.sha256(f"{seed}\n{name}".encode()).digest())


def _split_site(
    subjects: Iterable[str], fractions: tuple[float, float], seed: int
) -> dict[str, str]:
    ranked = _ranked(subjects, seed)
    n_test, n_validation = (int(fraction * len(ranked) + 0.5) for fraction in fractions)
    bounds = (n_test, n_test + n_validation)
    return {
        subject: "test" if i < bounds[0] else "validation" if i < bounds[1] else "train"
        for i, subject in enumerate(ranked)
    }
