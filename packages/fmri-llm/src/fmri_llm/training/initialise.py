"""What of a model starts from training scans: spatial filters, scalers and the code head."""

from __future__ import annotations

from collections.abc import Iterator
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

__all__ = ["initial_filters", "initialise"]

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
    totals = [scan_covariance(tokenizer, scans).sum(0) for scans in _batches(windows)]
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
    batches = []
    for scans in _batches(windows):
        batches.append((scans, scan_covariance(tokenizer, scans)))
        valid = tokenizer.valid_codes(scans.region_mask)[:, None] & scans.step_mask[:, :, None]
        counts += torch.bincount(scans.codes[valid], minlength=len(counts))
    model.brain.fit(batches)
    if z_scores is not None:
        model.brain.fit_measures(batches, torch.from_numpy(z_scores))
    model.head.start(code_embeddings(tokenizer), counts)
    if model.code_softmax == "joint":
        model.head.bias.add_(_word_mass(model, windows))


def _word_mass(model: FMRILM, windows: TokenWindows) -> float:
    """Mean log of the summed exponentials of word logits where codes are predicted, of one scan.

    Codes that start as likely as all words together need not climb there first.
    """
    scan = scans_of([windows.scan(windows.scan_ids[0])]).to(model.device)
    logits = model.next_code_logits(scan, model.signal_steps(scan), with_words=True)
    return float(logits[..., : -model.head.out_features].logsumexp(-1).mean())


def _batches(windows: TokenWindows) -> Iterator[BrainScans]:
    for start in range(0, len(windows.scan_ids), _SCANS):
        yield scans_of([windows.scan(name) for name in windows.scan_ids[start : start + _SCANS]])
