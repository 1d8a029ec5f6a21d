"""One sentence a task: what may and what may not be concluded from its scores."""

from collections.abc import Sequence
from typing import Any

BLIND = ("majority class", "training mean")
"""Baselines that see no scan."""
SHUFFLED = "another person's scan"
LOWER_IS_BETTER = ("mae", "ece")

Found = dict[str, Any]


def conclusion(task: Found, metric: str) -> str | None:
    """Say what the paired differences of the main score show; None where there are none.

    Parameters
    ----------
    task
        An entry of `scores.json`.
    metric
        Name of its main score, as a sentence calls it.
    """
    compared = [found for found in task["comparisons"] if found["metric"] == task["metric"]]
    if not compared:
        return None
    ours = compared[0]["method"]
    own = [found for found in compared if found["method"] == ours]
    blind = _first(own, [f for f in own if f["baseline"] in BLIND])
    shuffled = _first(own, [f for f in own if f["baseline"].endswith(SHUFFLED)])
    connectome = _first(own, [f for f in own if f["baseline"].startswith("connectome")])
    people = "person" if task["n_subjects"] == 1 else "people"
    head = f"By {metric} on {task['n_subjects']} {people}, {ours}: {_of_scan(blind, shuffled)}"
    return f"{head}; {_of_connectome(connectome)}." if connectome else f"{head}."


def _first(own: Sequence[Found], found: Sequence[Found]) -> Found | None:
    return found[0] if own and found else None


def _of_scan(blind: Found | None, shuffled: Found | None) -> str:
    """Whether the model reads something of the scans that bears on the answer."""
    beats_blind, beats_shuffled = _judged(blind) == "better", _judged(shuffled) == "better"
    name = blind["baseline"] if blind else "a baseline that sees no scan"
    if beats_blind and beats_shuffled:
        return (
            f"it does better than the {name} and than itself on other people's scans, so it reads "
            "something of a scan that bears on the answer"
        )
    if beats_blind and shuffled is None:
        return (
            f"it does better than the {name}, but there are no scans of other people to show that "
            "this comes from the scan"
        )
    if beats_blind:
        return (
            f"it does better than the {name}, but not shown to do better than itself on other "
            "people's scans, so it may not be concluded that this comes from the scan"
        )
    if beats_shuffled:
        return (
            "it does better than itself on other people's scans, so its answers depend on the "
            f"scan, but it may not be concluded that they are better than those of the {name}"
            f"{_room(blind)}"
        )
    if _judged(blind) == "worse":
        return (
            f"it does worse than the {name}, so it may not be concluded that it reads anything of "
            "a scan that bears on the answer"
        )
    return (
        f"it is not shown to do better than the {name}{_room(blind)}, so it may not be concluded "
        "that it reads anything of a scan that bears on the answer, nor that it cannot"
    )


def _of_connectome(found: Found) -> str:
    """Whether the model reads more than a linear model of the connectome does."""
    name = found["baseline"]
    if _judged(found) == "better":
        return f"it reads more of a scan than {name}"
    if _judged(found) == "worse":
        return f"{name} reads more of a scan, so nothing is gained over it"
    return (
        f"whether it or {name} does better is undecided (difference "
        f"{found['low']:+.2f} to {found['high']:+.2f})"
    )


def _room(found: Found | None) -> str:
    """How much better the model may still be."""
    if found is None or _judged(found) != "undecided":
        return ""
    best = -found["low"] if found["metric"] in LOWER_IS_BETTER else found["high"]
    return f" (a lead of up to {max(best, 0.0):.2f} is not ruled out)"


def _judged(found: Found | None) -> str | None:
    """Whether a decided difference speaks for the model."""
    if found is None:
        return None
    if found["verdict"] == "undecided":
        return "undecided"
    lower = found["verdict"] == "lower"
    return "better" if lower == (found["metric"] in LOWER_IS_BETTER) else "worse"
