"""Corrections of a model's answers, fitted on training and validation subjects only."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import log_softmax

from fmri_instruct.answers.corrections import LEAST, Correction, Corrections
from fmri_instruct.scoring.answer_table import ScanAnswer
from fmri_instruct.settings import EvaluateSettings
from fmri_instruct.tasks.definitions import Task

__all__ = ["fit_calibration", "fit_corrections", "fit_prior", "why_not_calibrated"]

PARADIGMS = ("single", "multi", "context")
"""Ways of asking that give probabilities."""


def fit_corrections(
    tasks: Sequence[Task],
    train: Sequence[ScanAnswer],
    validation: Sequence[ScanAnswer],
    settings: EvaluateSettings,
    too_few: Mapping[str, str],
) -> Corrections:
    """Correction of the answers to each task in each paradigm.

    Parameters
    ----------
    tasks : sequence of Task
        What was asked.
    train, validation : sequence of ScanAnswer
        Uncorrected answers about scans of these splits.
    settings : EvaluateSettings
        Which corrections are on.
    too_few : mapping of str to str
        By name of a task that is not calibrated, the reason; see `why_not_calibrated`.

    Returns
    -------
    Corrections
    """
    by_task: dict[str, dict[str, Correction]] = {}
    for task in tasks:
        for paradigm in PARADIGMS:
            of_train, of_validation = (
                [a for a in answers if a.task == task.name and a.paradigm == paradigm]
                for answers in (train, validation)
            )
            if of_train or of_validation:
                found = _fit(task, of_train, of_validation, settings, too_few.get(task.name))
                by_task.setdefault(task.name, {})[paradigm] = found
    return Corrections(wordings=settings.wordings, by_task=by_task)


def _fit(
    task: Task,
    train: Sequence[ScanAnswer],
    validation: Sequence[ScanAnswer],
    settings: EvaluateSettings,
    note: str | None,
) -> Correction:
    prior = {}
    if train and settings.prior != "none":
        prior = fit_prior(task.candidates, train, keep_frequency=settings.prior == "frequency")
    found = Correction(prior=prior, n_prior=len({a.subject for a in train}) if prior else 0)
    if not settings.calibrate:
        return found
    if note:
        return replace(found, note=note)
    temperature, bias = fit_calibration(task.candidates, validation, found)
    n_subjects = len({answer.subject for answer in validation})
    return replace(found, temperature=temperature, bias=bias, n_calibration=n_subjects)


def fit_prior(
    candidates: Sequence[str], answers: Sequence[ScanAnswer], *, keep_frequency: bool
) -> dict[str, float]:
    """Log-probability of each answer under the mean training scan.

    Parameters
    ----------
    candidates : sequence of str
        Possible answers.
    answers : sequence of ScanAnswer
        About training scans, one of each subject.
    keep_frequency : bool
        Whether the frequency of each answer among these scans is left in, so that only what the
        model prefers beyond it is taken out.

    Returns
    -------
    dict of str to float
        In nats, to be subtracted.

    Notes
    -----
    A mean of scans is no scan: codes have no mean. So the mean is taken of what the model answers,
    of its probabilities about each training scan (batch calibration: Zhou et al. 2024, arXiv
    2309.17249). A mean of log-likelihoods would be ruled by the scans that a model knows by heart
    and is overly certain of. One imagined scan of each answer is added to the means and to the
    frequencies, so that few scans change little.
    """
    n = len(answers) + len(candidates)
    means = {c: (sum((a.probabilities or {})[c] for a in answers) + 1) / n for c in candidates}
    counts = Counter(answer.truth for answer in answers)
    kept = {c: (counts[c] + 1) / n if keep_frequency else 1.0 for c in candidates}
    return {c: float(np.log(means[c]) - np.log(kept[c])) for c in candidates}


def why_not_calibrated(
    candidates: Sequence[str], whose: Sequence[tuple[str, str]], least: int
) -> str | None:
    """Reason why temperature and bias are not fitted; None where they can be.

    Parameters
    ----------
    candidates : sequence of str
        Possible answers.
    whose : sequence of tuple of str
        Subject and true answer of each validation scan.
    least : int
        Validation subjects that each answer has to be true of.

    Returns
    -------
    str or None
    """
    counts = Counter(answer for _, answer in set(whose))
    rarest = min(candidates, key=lambda candidate: counts[candidate])
    if counts[rarest] >= least:
        return None
    return f"'{rarest}' is true of {counts[rarest]} validation subjects, and {least} are needed"


def fit_calibration(
    candidates: Sequence[str], answers: Sequence[ScanAnswer], so_far: Correction
) -> tuple[float, dict[str, float]]:
    """Temperature, and a bias for each answer, that make true answers likeliest.

    Parameters
    ----------
    candidates : sequence of str
        Possible answers.
    answers : sequence of ScanAnswer
        About validation scans. Each subject has the same weight.
    so_far : Correction
        What has been taken out of the answers before.

    Returns
    -------
    temperature : float
    bias : dict of str to float
        In nats; sums to 0.

    Notes
    -----
    Temperature scaling with a bias (Guo et al. 2017, arXiv 1706.04599). Standard normal priors on
    the log temperature and on each bias keep few subjects from moving them far.
    """
    scores = np.array([_scores(candidates, so_far, answer) for answer in answers])
    wanted = np.array([[answer.truth == c for c in candidates] for answer in answers], dtype=float)
    scans = Counter(answer.subject for answer in answers)
    weights = np.array([1 / scans[answer.subject] for answer in answers])[:, None]

    def loss(parameters: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        log_temperature, bias = parameters[0], parameters[1:]
        cooled = scores * np.exp(-log_temperature)
        logs = log_softmax(cooled + bias, axis=1)
        excess = weights * (np.exp(logs) - wanted)
        value = -np.sum(weights * wanted * logs) + np.sum(parameters**2) / 2
        slope = np.array([-np.sum(excess * cooled), *excess.sum(axis=0)]) + parameters
        return float(value), slope

    found = minimize(loss, np.zeros(1 + len(candidates)), jac=True, method="L-BFGS-B").x
    return float(np.exp(found[0])), dict(zip(candidates, map(float, found[1:]), strict=True))


def _scores(candidates: Sequence[str], so_far: Correction, answer: ScanAnswer) -> list[float]:
    corrected = so_far.apply(answer.probabilities or {})
    return [float(np.log(max(corrected[c], LEAST))) for c in candidates]
