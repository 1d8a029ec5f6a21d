"""What of a model starts from training scans: spatial filters, scalers and the code head."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fmri_llm.brain_input.lengths import code_embeddings
from fmri_llm.brain_input.scans import scan_covariance
from fmri_llm.data.examples import scans_of
from fmri_vqtok.model.relations import eigenvector_filters, network_filters

if TYPE_CHECKING:
    from fmri_llm.brain_input.scans import BrainScans
    from fmri_llm.data.token_windows import TokenWindows
    from fmri_llm.model.fmri_lm import FMRILM
    from fmri_llm.settings import BrainInputSettings
    from fmri_vqtok.tokenizer import FMRITokenizer

__all__ = ["initial_filters", "initialise", "learn_measures"]

_SCANS = 32  # at a time


def initial_filters(
    tokenizer: FMRITokenizer, windows: TokenWindows, settings: BrainInputSettings
) -> Tensor:
    """Spatial filters to start from, shape (Q, N).

    Parameters
    ----------
    tokenizer : FMRITokenizer
    windows : TokenWindows
        Of the training scans.
    settings : BrainInputSettings
    """
    networks = tokenizer.networks
    if settings.filters == "networks" and networks is not None and len(set(networks)) > 1:
        return network_filters(networks)
    totals = [
        scan_covariance(tokenizer, scans).sum(0) for scans in _batches(windows, windows.scan_ids)
    ]
    mean = torch.stack(totals).sum(0) / len(windows.scan_ids)
    return eigenvector_filters(mean, min(settings.n_filters, len(mean)))


@torch.no_grad()
def initialise(
    model: FMRILM, windows: TokenWindows, z_scores: NDArray[np.float64] | None = None
) -> None:
    """Fit the scalers and read-outs of a model's brain input, and start its code head.

    Where the F2F loss is over words too, the codes start as likely as all words together.

    Parameters
    ----------
    model : FMRILM
        Changed in place.
    windows : TokenWindows
        Of the training scans.
    z_scores : ndarray, shape (n_scans, M), optional
        Of the model's measures in these scans, in their order; without them, nothing is read out.
    """
    tokenizer = model.brain_tokenizer
    counts = torch.zeros(tokenizer.config.n_codes)
    batches = list(_with_covariance(tokenizer, windows, windows.scan_ids))
    for scans, _ in batches:
        valid = tokenizer.valid_codes(scans.region_mask)[:, None] & scans.step_mask[:, :, None]
        counts += torch.bincount(scans.codes[valid], minlength=len(counts))
    model.brain.fit(batches)
    if z_scores is not None:
        model.brain.fit_measures(
            batches, torch.from_numpy(z_scores), [subject_of(name) for name in windows.scan_ids]
        )
    model.head.start(code_embeddings(tokenizer), counts)
    if model.code_softmax == "joint":
        model.head.bias.add_(_word_mass(model, windows))


@torch.no_grad()
def learn_measures(
    model: FMRILM,
    windows: TokenWindows,
    names: Sequence[str],
    ends: Sequence[tuple[str, str]],
    values: Mapping[str, NDArray[np.float64]],
    subjects: Mapping[str, Hashable],
) -> None:
    """Let the text of a model read further measures of scans.

    Parameters
    ----------
    model : FMRILM
        Changed in place. One whose text reads no measures stays as it is.
    windows : TokenWindows
        Of the training scans.
    names : sequence of str, length M
        What text calls each measure.
    ends : sequence of (str, str), length M
        Words for a low value of each, and for a high one.
    values : mapping of str to ndarray, shape (M,)
        By scan, the measures in z-scores.
    subjects : mapping of str to hashable
        By scan; see `fmri_llm.brain_input.measure_reader.MeasureReader.fit`.
    """
    if model.brain.measures is None:
        return
    first = len(model.measures)
    model.add_measures(names, ends)
    scan_ids = list(values)
    model.brain.fit_measures(
        _with_covariance(model.brain_tokenizer, windows, scan_ids),
        torch.from_numpy(np.array([values[name] for name in scan_ids])),
        [subjects[name] for name in scan_ids],
        range(first, len(model.measures)),
    )


def subject_of(scan_id: str) -> str:
    """Label of the subject, with which a scan's id begins."""
    return scan_id.partition("_")[0]


def _with_covariance(
    tokenizer: FMRITokenizer, windows: TokenWindows, scan_ids: Sequence[str]
) -> Iterator[tuple[BrainScans, Tensor]]:
    for scans in _batches(windows, scan_ids):
        yield scans, scan_covariance(tokenizer, scans)


def _word_mass(model: FMRILM, windows: TokenWindows) -> float:
    """Mean log of the summed exponentials of word logits where codes are predicted, of one scan.

    Codes that start as likely as all words together need not climb there first.
    """
    scan = scans_of([windows.scan(windows.scan_ids[0])]).to(model.device)
    logits = model.next_code_logits(scan, model.signal_steps(scan), with_words=True)
    return float(logits[..., : -model.head.out_features].logsumexp(-1).mean())


def _batches(windows: TokenWindows, scan_ids: Sequence[str]) -> Iterator[BrainScans]:
    for start in range(0, len(scan_ids), _SCANS):
        yield scans_of([windows.scan(name) for name in scan_ids[start : start + _SCANS]])
