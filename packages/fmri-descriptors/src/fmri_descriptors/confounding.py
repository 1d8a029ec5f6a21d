"""Which labels the way of recording gives away, without a look at the brain."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from fmri_descriptors.joins import RUN_ENTITIES, recording_entities
from fmri_descriptors.readers.columns import kind_of
from fmri_descriptors.readers.sources import Phenotype, Recording
from fmri_descriptors.readers.subjects import SESSION

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
    facts = _facts(recordings, n_frames)
    found: Confounds = {}
    for name in recordings[0].phenotypes:
        labels = _labels([recording.phenotypes[name] for recording in recordings])
        told = {
            fact: best
            for fact, values in facts.items()
            if fact != name and (best := _best(recordings, labels, values)) is not None
        }
        if told:
            found[name] = told
    return found


def confounds_told(
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
        told = f"given away by {words} (AUC up to {area:.2f}), without the brain{crop}"
        names.setdefault(told, []).append(name)
    return tuple(
        f"{', '.join(labels)} {'are' if len(labels) > 1 else 'is'} {told}"
        for told, labels in names.items()
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
        facts[name] = [told.get(entity) for told in entities]
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


def _best(
    recordings: Sequence[Recording], labels: Sequence[str | None], fact: Sequence[Phenotype]
) -> dict[str, Any] | None:
    """Return the largest area that counts, over the values of a label."""
    subjects = (recording.subject for recording in recordings)
    # A person whose runs agree is one observation.
    seen = dict.fromkeys(zip(subjects, labels, fact, strict=True))
    pairs = [(label, value) for _, label, value in seen if label is not None and value is not None]
    areas = [
        (area, label)
        for label in sorted({label for label, _ in pairs})
        if (area := _area([each == label for each, _ in pairs], [v for _, v in pairs])) is not None
    ]
    if not areas:
        return None
    area, label = max(areas, key=lambda each: each[0])
    return {"auc": round(area, 4), "value": label}


def _area(is_label: Sequence[bool], values: Sequence[Phenotype]) -> float | None:
    """Area under the ROC curve of a fact for a label, or None where it does not count."""
    n_label = sum(is_label)
    if min(n_label, len(is_label) - n_label) < _FEWEST or len(set(values)) < 2:
        return None
    few = len(set(values)) <= max(2, len(values) // 5)
    if not few and not all(isinstance(value, float) for value in values):
        return None
    area, p = _of_shares(is_label, values) if few else _of_ranks(is_label, values)
    return area if area >= LEAST_AUC and p < LARGEST_P else None


def _of_shares(is_label: Sequence[bool], values: Sequence[Any]) -> tuple[float, float]:
    from scipy.stats import chi2_contingency

    with_label = Counter(value for value, found in zip(values, is_label, strict=True) if found)
    every = Counter(values)
    area, _ = _of_ranks(is_label, [with_label[value] / every[value] for value in values])
    table = [[with_label[value] for value in every], [every[v] - with_label[v] for v in every]]
    return area, float(chi2_contingency(table, correction=False).pvalue)


def _of_ranks(is_label: Sequence[bool], values: Sequence[Any]) -> tuple[float, float]:
    from scipy.stats import mannwhitneyu

    groups: Mapping[bool, list[float]] = {True: [], False: []}
    for value, found in zip(values, is_label, strict=True):
        groups[found].append(float(value))
    if len(set(values)) < 2:
        return 0.5, 1.0
    result = mannwhitneyu(groups[True], groups[False], use_continuity=False, method="asymptotic")
    area = float(result.statistic) / (len(groups[True]) * len(groups[False]))
    return max(area, 1 - area), float(result.pvalue)
