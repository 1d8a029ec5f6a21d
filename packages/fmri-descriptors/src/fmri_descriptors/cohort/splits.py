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
    the fraction; any spelling of a subject names it (see `label_key`).

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
        If a named subject is unknown or named twice, or no subject is left to train on.
    """
    named = _named_subjects(sites, settings)
    fractions = (
        0.0 if settings.test_subjects else settings.test_fraction,
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


def _split_site(
    subjects: Iterable[str], fractions: tuple[float, float], seed: int
) -> dict[str, str]:
    ranked = sorted(subjects, key=lambda s: hashlib.sha256(f"{seed}\n{s}".encode()).digest())
    n_test, n_validation = (int(fraction * len(ranked) + 0.5) for fraction in fractions)
    bounds = (n_test, n_test + n_validation)
    return {
        subject: "test" if i < bounds[0] else "validation" if i < bounds[1] else "train"
        for i, subject in enumerate(ranked)
    }
