"""Baselines of next-step prediction: forecasts that need no language model.

W time steps, N codes of a step, K codes, D width of a code's vector. All are fitted on training
scans and measured in nats per code on the same targets as the F2F loss.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.spatial.distance import cdist
from scipy.special import logsumexp

from fmri_llm.brain_input.signal_windows import spread
from fmri_llm.data.examples import scans_of

if TYPE_CHECKING:
    from fmri_llm.data.examples import PretrainingDataset
    from fmri_llm.data.token_windows import ScanTokens
    from fmri_llm.model.fmri_lm import FMRILM

__all__ = ["CodePairs", "Forecasts", "code_pairs", "forecast_references", "reference_forecasts"]

FILE = "forecasts.json"

FITTED_PAIRS = 100_000
"""Approximate number of training codes that the baselines are fitted on, evenly spread."""

RIDGE = 1e-3
"""Penalty of the linear forecast, as a share of the mean variance of its inputs."""

_SCALES = 2.0 ** np.arange(-6, 7)
_CHUNK = 4096  # pairs whose distances to all codes are held at once


@dataclass(frozen=True)
class CodePairs:
    """Codes and those that follow them one step later at the same place.

    Parameters
    ----------
    before, after : ndarray of int, (n,)
        Code of a step, and of the next step.
    step : ndarray of int, (n,)
        Number of the earlier step.
    means : ndarray, (n_steps, D)
        By step, the mean vector of its valid codes.
    """

    before: NDArray[np.intp]
    after: NDArray[np.intp]
    step: NDArray[np.intp]
    means: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.before)


@dataclass(frozen=True)
class Forecasts:
    """Mean negative log-likelihood of the next code under each reference, in nats.

    Parameters
    ----------
    equal_odds : float
        Every code alike: the logarithm of K.
    unigram : float
        Frequencies of the codes in training.
    previous_code : float
        Frequencies given the code before, backed off to `unigram` (Witten and Bell).
    linear : float
        A linear forecast of the code's vector from the vector before and the mean of its step;
        codes in proportion to their frequency and to a Gaussian around the forecast.
    n_targets : int
        Codes that were predicted.
    """

    equal_odds: float
    unigram: float
    previous_code: float
    linear: float
    n_targets: int

    @property
    def summary(self) -> str:
        """All baselines in one line."""
        return (
            f"{self.unigram:.2f} from code frequencies, {self.previous_code:.2f} from the code "
            f"before, {self.linear:.2f} from a linear forecast, {self.equal_odds:.2f} at equal odds"
        )

    def write(self, directory: Path) -> None:
        """Write ``forecasts.json``."""
        document = {"schema": 1, "unit": "nats per code", **asdict(self)}
        text = json.dumps(document, indent=2) + "\n"
        (directory / FILE).write_text(text, encoding="utf-8")

    @classmethod
    def read(cls, directory: Path) -> Forecasts | None:
        """Read ``forecasts.json`` of a model's folder; None where F2F was not trained."""
        path = directory / FILE
        if not path.is_file():
            return None
        document = json.loads(path.read_text(encoding="utf-8"))
        return cls(**{field.name: document[field.name] for field in fields(cls)})


def reference_forecasts(
    model: FMRILM, training: PretrainingDataset, validation: PretrainingDataset
) -> Forecasts:
    """Forecasts without a language model, of the codes whose F2F loss validation measures.

    Parameters
    ----------
    model : FMRILM
        With the tokenizer whose codes they are, and the windows that it reads.
    training, validation : PretrainingDataset
        The references are fitted on scans of `training`, spread evenly and as many as have
        `FITTED_PAIRS` codes, and measured on the examples of `validation`.

    Returns
    -------
    Forecasts
    """
    tokenizer = model.brain_tokenizer
    with torch.no_grad():
        vectors = tokenizer.quantizer.code_vectors().double().cpu().numpy()

    def parts(scan: ScanTokens) -> tuple[Any, Any, Any]:
        scans = scans_of([scan]).to(model.device)
        steps = model.signal_steps(scans)
        given = (steps.codes, tokenizer.valid_codes(scans.region_mask), steps.follows)
        codes, valid, follows = (values[0].cpu().numpy() for values in given)
        return codes, valid, follows

    windows = training.windows
    n_each = parts(windows.scan(windows.scan_ids[0]))[0].size
    chosen = spread(len(windows.scan_ids), max(1, FITTED_PAIRS // n_each))
    fitted = (parts(windows.scan(windows.scan_ids[i])) for i in chosen)
    asked = (parts(validation[i].scan) for i in range(len(validation)))
    return forecast_references(code_pairs(fitted, vectors), code_pairs(asked, vectors), vectors)


def code_pairs(
    scans: Iterable[tuple[NDArray[np.intp], NDArray[np.bool_], NDArray[np.bool_]]],
    vectors: NDArray[np.float64],
) -> CodePairs:
    """Collect the pairs of steps that F2F predicts.

    Parameters
    ----------
    scans : iterable of (codes, valid_codes, follows)
        Codes (W, N); which of a step's codes are valid (N,); which steps are targets, (W,), as in
        `fmri_llm.data.examples.Example`.
    vectors : ndarray, (K, D)
        Of each code.

    Returns
    -------
    CodePairs
    """
    before, after, means = [], [], []
    for codes, valid_codes, follows in scans:
        shown = np.asarray(codes, dtype=np.intp)[:, valid_codes]
        for step in np.flatnonzero(follows[1:]):
            before.append(shown[step])
            after.append(shown[step + 1])
            means.append(vectors[shown[step]].mean(axis=0))
    nothing = np.zeros(0, dtype=np.intp)
    return CodePairs(
        np.concatenate([nothing, *before]),
        np.concatenate([nothing, *after]),
        np.repeat(np.arange(len(before)), [len(codes) for codes in before]),
        np.array(means).reshape(len(means), vectors.shape[1]),
    )


def forecast_references(
    training: CodePairs, held_out: CodePairs, vectors: NDArray[np.float64]
) -> Forecasts:
    """Fit the reference forecasts on training pairs and measure them on held-out ones.

    Parameters
    ----------
    training, held_out : CodePairs
        From `code_pairs`, with at least one pair each.
    vectors : ndarray, (K, D)
        Of each code.

    Returns
    -------
    Forecasts

    References
    ----------
    Krichevsky & Trofimov (1981), IEEE Transactions on Information Theory 27, 199-207 (half a count
    for each code). Witten & Bell (1991), IEEE Transactions on Information Theory 37, 1085-1094.
    """
    n_codes = len(vectors)
    frequencies = _frequencies(training.after, n_codes)
    following = _frequencies_after(training, held_out, frequencies)
    return Forecasts(
        equal_odds=float(np.log(n_codes)),
        unigram=float(-np.log(frequencies[held_out.after]).mean()),
        previous_code=float(-np.log(following).mean()),
        linear=_linear(training, held_out, vectors, frequencies),
        n_targets=len(held_out),
    )


def _frequencies(codes: NDArray[np.intp], n_codes: int) -> NDArray[np.float64]:
    counts = np.bincount(codes, minlength=n_codes) + 0.5
    return counts / counts.sum()


def _frequencies_after(
    training: CodePairs, held_out: CodePairs, frequencies: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Probability of each held-out code given the one before, (n,)."""
    n_codes = len(frequencies)
    ones = np.ones(len(training.before))
    counts = csr_array((ones, (training.before, training.after)), shape=(n_codes, n_codes))
    seen = counts.sum(axis=1)[held_out.before]
    kinds = np.diff(counts.indptr)[held_out.before]  # different codes seen after it
    found = np.asarray(counts[held_out.before, held_out.after]).ravel()
    backed_off = frequencies[held_out.after]
    never_seen = seen == 0
    total = np.where(never_seen, 1, seen + kinds)
    return np.where(never_seen, backed_off, (found + kinds * backed_off) / total)


def _linear(
    training: CodePairs,
    held_out: CodePairs,
    vectors: NDArray[np.float64],
    frequencies: NDArray[np.float64],
) -> float:
    inputs, wanted = _inputs(training, vectors), vectors[training.after]
    gram = inputs.T @ inputs
    gram += RIDGE * np.trace(gram) / len(gram) * np.eye(len(gram))
    weights = np.linalg.solve(gram, inputs.T @ wanted)
    residual = float(np.square(wanted - inputs @ weights).mean()) + np.finfo(float).tiny

    def loss(pairs: CodePairs, variance: float) -> float:
        forecasts = _inputs(pairs, vectors) @ weights
        return _loss_around(forecasts, pairs.after, vectors, np.log(frequencies), variance)

    best = min(residual * _SCALES, key=lambda variance: loss(training, variance))
    return loss(held_out, best)


def _inputs(pairs: CodePairs, vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    constant = np.ones((len(pairs.before), 1))
    return np.hstack([vectors[pairs.before], pairs.means[pairs.step], constant])


def _loss_around(
    forecasts: NDArray[np.float64],
    after: NDArray[np.intp],
    vectors: NDArray[np.float64],
    log_prior: NDArray[np.float64],
    variance: float,
) -> float:
    """Mean negative log-probability of codes by their distance from the forecasts."""
    total = 0.0
    for start in range(0, len(after), _CHUNK):
        rows = slice(start, start + _CHUNK)
        distances = cdist(forecasts[rows], vectors, "sqeuclidean")
        logits = log_prior - distances / (2 * variance)
        total += float(
            (logsumexp(logits, axis=1) - logits[np.arange(len(logits)), after[rows]]).sum()
        )
    return total / len(after)
