"""What a model is given of some scans: codes, masks, and what normalisation took out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import torch
from torch import Tensor

from fmri_vqtok.model.pooling import MAX_CORRELATION
from fmri_vqtok.model.relations import region_covariance

if TYPE_CHECKING:
    from fmri_vqtok.tokenizer import FMRITokenizer

__all__ = ["BrainScans", "connectome", "scan_covariance"]


@dataclass(frozen=True, eq=False)
class BrainScans:
    """Scans of a batch, as `fmri_llm.FMRILM` reads them; made by `of`.

    Attributes
    ----------
    codes : Tensor of int64, shape (B, W, N)
        Of all windows of each scan, concatenated along the steps.
    region_mask : Tensor of bool, shape (B, N)
        False for a region without signal.
    step_mask : Tensor of bool, shape (B, W)
        False for the padding steps of a shorter scan.
    new_steps : Tensor of bool, shape (B, W)
        False for a step with frames of an earlier window.
    log_amplitude : Tensor, shape (B, N), or None
        Logarithm of each region's spread, relative to the training scans of its site; None if it is
        not known.
    spectrum : Tensor, shape (B, F), or None
        Logarithm of the share of power in each frequency band; None if it is not known.
    covariance : Tensor, shape (B, N, N), or None
        Covariance of regions that relation tokens are made of; None for that of the codes.
    noise_seeds : Tensor of int64, shape (B,), or None
        Seed of the noise that each example of training gets; None for no noise.
    """

    codes: Tensor
    region_mask: Tensor
    step_mask: Tensor
    new_steps: Tensor
    log_amplitude: Tensor | None
    spectrum: Tensor | None
    covariance: Tensor | None
    noise_seeds: Tensor | None

    @classmethod
    def of(
        cls,
        codes: Tensor,
        region_mask: Tensor | None = None,
        step_mask: Tensor | None = None,
        new_steps: Tensor | None = None,
        log_amplitude: Tensor | None = None,
        spectrum: Tensor | None = None,
        covariance: Tensor | None = None,
        noise_seeds: Tensor | None = None,
    ) -> Self:
        """Take all regions to have signal, and all steps to be new, where no mask is given."""
        steps = torch.ones(codes.shape[:2], dtype=torch.bool, device=codes.device)
        if region_mask is None:
            region_mask = codes.new_ones(len(codes), codes.shape[2], dtype=torch.bool)
        return cls(
            codes.long(),
            region_mask,
            steps if step_mask is None else step_mask,
            steps if new_steps is None else new_steps,
            log_amplitude,
            spectrum,
            covariance,
            noise_seeds,
        )

    def __len__(self) -> int:
        return len(self.codes)

    def to(self, device: torch.device) -> Self:
        """Move all to a device."""
        values: dict[str, Any] = {
            name: None if value is None else value.to(device) for name, value in vars(self).items()
        }
        return type(self)(**values)


@torch.no_grad()
def scan_covariance(tokenizer: FMRITokenizer, scans: BrainScans) -> Tensor:
    """Covariance of the regions over all windows, (B, N, N): the one given, or that of the codes.

    Parameters
    ----------
    tokenizer : FMRITokenizer
        Whose codes they are.
    scans : BrainScans
    """
    if scans.covariance is not None:
        return scans.covariance
    coefficients = tokenizer.coefficients(scans.codes)
    return region_covariance(coefficients, scans.region_mask, scans.step_mask)


def connectome(covariance: Tensor, region_mask: Tensor) -> Tensor:
    """Fisher-z correlations between regions: the upper triangle, row by row.

    Parameters
    ----------
    covariance : Tensor, shape (B, N, N)
    region_mask : Tensor of bool, shape (B, N)

    Returns
    -------
    Tensor, shape (B, N * (N - 1) / 2)
        NaN for every pair with a region without signal.
    """
    spread = covariance.diagonal(dim1=1, dim2=2).sqrt().masked_fill(~region_mask, torch.nan)
    first, second = torch.triu_indices(len(region_mask[0]), len(region_mask[0]), 1)
    r = covariance[:, first, second] / (spread[:, first] * spread[:, second])
    return r.clamp(-MAX_CORRELATION, MAX_CORRELATION).atanh()
