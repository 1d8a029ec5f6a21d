"""The answers that training asks for: labels, and what a linear classifier reads of a scan."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from fmri_instruct.prompts.instructions import Instruction
from fmri_instruct.tuning.soft_targets import soft_targets
from fmri_llm.data.examples import TokenWindows, scans_of

if TYPE_CHECKING:
    from fmri_llm.model.fmri_lm import FMRILM

__all__ = ["Chances", "wanted_answers"]

Chances = Mapping[tuple[str, str], Mapping[str, float]]
"""By scan and task, the probability that each answer should have."""


def wanted_answers(
    model: "FMRILM",
    windows: TokenWindows,
    instructions: Sequence[Instruction],
    share: float,
    seed: int,
) -> tuple[Chances, dict[str, str]]:
    """Probabilities that the answers about training scans should have, and where they are from.

    Parameters
    ----------
    model : FMRILM
        What it is given of a scan is what the linear classifiers see.
    windows : TokenWindows
        Of the training scans.
    instructions : sequence of Instruction
        About training scans.
    share : float
        Of the classifiers' probabilities; the rest is the true answer's.
    seed : int
        Of the folds.

    Returns
    -------
    chances : mapping of (scan, task) to mapping of str to float
    sources : dict of str
        By task, the features that the probabilities are read from; none for a task of which a
        linear classifier reads nothing.
    """
    chances: dict[tuple[str, str], dict[str, float]] = {}
    sources: dict[str, str] = {}
    if share == 0:
        return chances, sources
    asked: dict[str, dict[str, Instruction]] = {}
    for each in instructions:
        if isinstance(each.task, str):
            asked.setdefault(each.task, {})[each.scan_id] = each
    kinds = _features(model, windows)
    for task, by_scan in asked.items():
        rows = [windows.scan_ids.index(scan_id) for scan_id in by_scan]
        candidates = sorted(next(iter(by_scan.values())).candidates[task])
        answers = [str(each.answer) for each in by_scan.values()]
        subjects = [each.subject for each in by_scan.values()]
        of_task = {name: features[rows] for name, features in kinds.items()}
        found = soft_targets(of_task, answers, subjects, candidates, seed=seed)
        if found is None:
            continue
        sources[task], probabilities = found
        for scan_id, true, row in zip(by_scan, answers, probabilities, strict=True):
            chances[scan_id, task] = {
                answer: share * float(p) + (1 - share) * (answer == true)
                for answer, p in zip(candidates, row, strict=True)
            }
    return chances, sources


def _features(model: "FMRILM", windows: TokenWindows) -> dict[str, NDArray[np.float64]]:
    """Compute what a model is given of training scans, and the connectome of their codes."""
    features, connectomes = [], []
    for scan_id in windows.scan_ids:
        scans = scans_of([windows.scan(scan_id)])
        features.append(model.scan_features(scans)[0].double().cpu().numpy())
        connectomes.append(model.scan_connectome(scans)[0].double().cpu().numpy())
    return {"brain input": np.stack(features), "connectome of the codes": np.stack(connectomes)}
