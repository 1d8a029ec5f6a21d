"""Which labels the way of recording gives away, without a look at the brain."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fmri_descriptors.readers.base import Phenotype, Recording
from fmri_descriptors.readers.participants.joins import RUN_ENTITIES, recording_entities
from fmri_descriptors.readers.participants.subjects import SESSION
from fmri_descriptors.readers.tables.columns import kind_of

LEAST_AUC = 0.8
"""From this area under the ROC curve on, a fact of the recording gives a label away."""

LARGEST_P = 0.05
"""And not where so large an area is this likely by chance."""

_MOST_VALUES = 10  # a category of more is no label that is asked for
_FEWEST = 3  # people or runs on either side
_TENTH = 10  # parts of a second that a proposed length is rounded down to

_WORDS = {
    "n_frames": "number of frames",
    "seconds": "length in seconds",
    "tr": "repetition time",
}

Confounds = dict[str, dict[str, dict[str, Any]]]


def acquisition_confounds(recordings: Sequence[Recording], n_frames: Sequence[int]) -> Confounds:
    """Return, by phenotype and fact of the recording that gives it away, how well it does.

    The facts are the number of frames, the length in seconds, the repetition time, the site, the
    session, and task, run and the like where names tell them. A fact of few values predicts the
    share of a label among the scans that have the same; one of many values ranks the scans. The
    measure is the area under the ROC curve of one value of the label against the others, or of
    numbers above their median against the rest, over distinct (subject, label, fact). It counts
    from `LEAST_AUC` on if it is significant (Pearson's chi-squared, or Mann and Whitney's U).

    Parameters
    ----------
    recordings : sequence of Recording
        Those that are in the cohort.
    n_frames : sequence of int
        Frames of each that are kept.

    Returns
    -------
    dict
        ``{"auc": …, "value": …}`` by phenotype and fact: the largest area, and for which value of
        the phenotype.
    """
    subjects = _coded([recording.subject for recording in recordings])
    facts = {name: _coded(values) for name, values in _facts(recordings, n_frames).items()}
    found: Confounds = {}
    for name in recordings[0].phenotypes:
        labels = _coded(_labels([recording.phenotypes[name] for recording in recordings]))
        predictive = {
            fact: best
            for fact, values in facts.items()
            if fact != name and (best := _best(subjects, labels, values)) is not None
        }
        if predictive:
            found[name] = predictive
    return found


def confound_notes(
    confounds: Confounds, recordings: Sequence[Recording], n_frames: Sequence[int]
) -> tuple[str, ...]:
    """Say what gives labels away, one line for all that the same does, and how to crop scans."""
    names: dict[str, list[str]] = {}
    for name, facts in confounds.items():
        area = max(entry["auc"] for entry in facts.values())
        several = len({recording.tr for recording in recordings}) > 1
        of_length = ("seconds" if several else "n_frames") in facts
        crop = f"; {_cropping(recordings, n_frames)} makes scans equally long" if of_length else ""
        words = ", ".join(_WORDS.get(fact, fact) for fact in facts)
        reason = f"given away by {words} (AUC up to {area:.2f}), without the brain{crop}"
        names.setdefault(reason, []).append(name)
    return tuple(
        f"{', '.join(labels)} {'are' if len(labels) > 1 else 'is'} {reason}"
        for reason, labels in names.items()
    )


def _cropping(recordings: Sequence[Recording], n_frames: Sequence[int]) -> str:
    if len({recording.tr for recording in recordings}) == 1:
        return f"--set crop_frames={min(n_frames)}"
    shortest = min(n * r.tr for r, n in zip(recordings, n_frames, strict=True))
    return f"--set crop_seconds={int(shortest * _TENTH) / _TENTH:g}"


def _facts(recordings: Sequence[Recording], n_frames: Sequence[int]) -> dict[str, list[Phenotype]]:
    """Return what is known of the recordings beside the brain, where it is not all the same."""
    entities = [recording_entities(recording) for recording in recordings]
    pairs = list(zip(recordings, n_frames, strict=True))
    facts: dict[str, list[Phenotype]] = {
        "n_frames": [float(n) for n in n_frames],
        "seconds": [round(n * recording.tr, 3) for recording, n in pairs],
        "tr": [recording.tr for recording in recordings],
        "site": [recording.site for recording in recordings],
    }
    for name, entity in (("session", SESSION), *zip(RUN_ENTITIES, RUN_ENTITIES, strict=True)):
        facts[name] = [each.get(entity) for each in entities]
    differing = {name: values for name, values in facts.items() if len(set(values)) > 1}
    lengths = [value for value in facts["seconds"] if isinstance(value, float)]
    if "tr" not in differing or max(lengths) - min(lengths) < max(r.tr for r in recordings):
        differing.pop("seconds", None)  # frames say the same, or no whole frame is between them
    return differing


def _labels(values: Sequence[Phenotype]) -> list[str | None]:
    """Return a phenotype as a category of few values; numbers as above their median or not."""
    known = [value for value in values if value is not None]
    if kind_of(known) == "number" and len(set(known)) > _MOST_VALUES:
        numbers = sorted(value for value in known if isinstance(value, float))
        median = numbers[len(numbers) // 2]
        return [None if v is None else "high" if float(v) >= median else "low" for v in values]
    if not 1 < len(set(known)) <= _MOST_VALUES:
        return [None] * len(values)
    return [None if v is None else v if isinstance(v, str) else f"{v:g}" for v in values]


class _Coded(NamedTuple):
    """Values in order, and which of them each recording has; -1 where it is missing."""

    values: list[Any]
    codes: NDArray[np.int64]


def _coded(values: Sequence[Phenotype]) -> _Coded:
    ordered = sorted({value for value in values if value is not None})
    places: dict[Phenotype, int] = {value: place for place, value in enumerate(ordered)}
    return _Coded(ordered, np.array([places.get(value, -1) for value in values], dtype=np.int64))


def _best(subjects: _Coded, labels: _Coded, fact: _Coded) -> dict[str, Any] | None:
    """Return the largest area that counts, over the values of a label."""
    table = _counts(subjects, labels, fact)
    numeric = all(isinstance(value, float) for value in fact.values)
    areas = [
        (area, label)
        for label, row in zip(labels.values, table, strict=True)
        if (area := _area(row, table.sum(axis=0) - row, numeric=numeric)) is not None
    ]
    if not areas:
        return None
    area, label = max(areas, key=lambda each: each[0])
    return {"auc": round(area, 4), "value": label}


def _counts(subjects: _Coded, labels: _Coded, fact: _Coded) -> NDArray[np.int64]:
    """Count people by value of the label and of the fact; runs that agree count once."""
    shape = (len(labels.values), len(fact.values))
    known = (labels.codes >= 0) & (fact.codes >= 0)
    pairs = labels.codes[known] * shape[1] + fact.codes[known]
    seen = np.unique(subjects.codes[known] * (shape[0] * shape[1]) + pairs)
    flat = np.bincount(seen % max(shape[0] * shape[1], 1), minlength=shape[0] * shape[1])
    return flat.reshape(shape)


def _area(label: NDArray[np.int64], others: NDArray[np.int64], *, numeric: bool) -> float | None:
    """Area under the ROC curve of a fact for a label, or None where it does not count.

    Parameters
    ----------
    label, others : ndarray of int
        By value of the fact, in order: how many have the label, how many have another.
    numeric : bool
        Whether the order of the values means anything.
    """
    present = label + others > 0
    label, others = label[present], others[present]
    if min(label.sum(), others.sum()) < _FEWEST or len(label) < 2:
        return None
    few = len(label) <= max(2, (label.sum() + others.sum()) // 5)
    if not few and not numeric:
        return None
    area, p = _of_shares(label, others) if few else _of_ranks(label, others)
    return area if area >= LEAST_AUC and p < LARGEST_P else None


def _of_shares(label: NDArray[np.int64], others: NDArray[np.int64]) -> tuple[float, float]:
    """Area where the share of the label at each value is the score; p of Pearson's chi-squared."""
    from scipy.special import chdtrc

    every = label + others
    shares, places = np.unique(label / every, return_inverse=True)
    merged = [np.bincount(places, counts, len(shares)) for counts in (label, others)]
    area, _ = _of_ranks(*merged)
    expected = every * label.sum() / every.sum()
    squares = (label - expected) ** 2 * (1 / expected + 1 / (every - expected))
    return area, float(chdtrc(len(every) - 1, squares.sum()))


def _of_ranks(label: NDArray[Any], others: NDArray[Any]) -> tuple[float, float]:
    """Area where the place of a value is the score; p of U by its normal limit, with ties."""
    n_label, n_others = float(label.sum()), float(others.sum())
    u = float((label * (np.cumsum(others) - others / 2)).sum())
    total, tied = n_label + n_others, (label + others).astype(float)
    ties = float((tied**3 - tied).sum()) / (total * (total - 1))
    variance = n_label * n_others / 12 * (total + 1 - ties)
    deviation = abs(u - n_label * n_others / 2)
    p = math.erfc(deviation / math.sqrt(2 * variance)) if variance > 0 else 1.0
    area = u / (n_label * n_others)
    return max(area, 1 - area), p
