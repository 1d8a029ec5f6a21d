"""Loss of couplings: correlations over time in the decoded signal against those in the original.

A small error of every signal may still change how signals vary together, which is what descriptors
and captions are about.

B windows, T frames, N regions, Q filters.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

LEAST_VARIANCE = 1e-3
"""Variances are clipped to this, which bounds the gradient; below it a signal does not vary."""

MAX_COUPLING = 0.99
"""Correlations are clipped to this before Fisher z: of few frames, chance gives some near 1."""


class CouplingLoss(nn.Module):
    """Mean squared difference of Fisher z, between networks plus between regions.

    Parameters
    ----------
    filters : Tensor, shape (Q, N)
        Networks as weighted sums of regions, such as `fmri_vqtok.model.relations.network_filters`.
        They stay fixed.
    weight : float
        Of this loss in the total.
    """

    filters: Tensor

    def __init__(self, filters: Tensor, weight: float) -> None:
        super().__init__()
        self.weight = weight
        self.register_buffer("filters", filters.clone())

    def forward(self, decoded: Tensor, signal: Tensor, region_mask: Tensor) -> Tensor:
        """Mean over the windows of each one's mean over its pairs, a scalar; in single precision.

        Parameters
        ----------
        decoded, signal : Tensor, shape (B, T, N)
        region_mask : Tensor of bool, shape (B, N)
            Regions that are present. Of the pairs, those count whose signals both vary; a window
            without any counts as 0.
        """
        with torch.autocast(signal.device.type, enabled=False):
            single = torch.promote_types(signal.dtype, torch.float32)
            wanted = _covariance(signal.to(single), region_mask)
            found = _covariance(decoded.to(single), region_mask)
            varies = _varies(wanted)
            weights = functional.normalize(self.filters.to(single) * varies[:, None, :], dim=2)
            networks = [weights @ covariance @ weights.mT for covariance in (found, wanted)]
            return _difference(found, wanted) + _difference(*networks)


def couplings(signal: Tensor, region_mask: Tensor, filters: Tensor) -> Tensor:
    """Fisher z of the correlation over time of each pair of filters, shape (B, Q (Q - 1) / 2).

    Parameters
    ----------
    signal : Tensor, shape (B, T, N)
    region_mask : Tensor of bool, shape (B, N)
    filters : Tensor, shape (Q, N)
    """
    weights = functional.normalize(filters * region_mask[:, None, :], dim=2)
    z = _fisher_z(weights @ _covariance(signal, region_mask) @ weights.mT)
    first, second = torch.triu_indices(len(filters), len(filters), 1)
    return z[:, first, second]


def _covariance(signal: Tensor, region_mask: Tensor) -> Tensor:
    """Covariance over time of each window, shape (B, N, N); 0 for missing regions."""
    centred = signal - signal.mean(dim=1, keepdim=True)
    centred = centred.masked_fill(~region_mask[:, None, :], 0.0)
    return centred.mT @ centred / signal.shape[1]


def _varies(covariance: Tensor) -> Tensor:
    return covariance.diagonal(dim1=1, dim2=2) > LEAST_VARIANCE


def _fisher_z(covariance: Tensor) -> Tensor:
    spread = covariance.diagonal(dim1=1, dim2=2).clamp(min=LEAST_VARIANCE).sqrt()
    r = covariance / (spread[:, :, None] * spread[:, None, :])
    return r.clamp(-MAX_COUPLING, MAX_COUPLING).atanh()


def _difference(found: Tensor, wanted: Tensor) -> Tensor:
    """Squared difference of Fisher z, a mean over the pairs of a window, then over windows."""
    varies = _varies(wanted)
    pairs = (varies[:, :, None] & varies[:, None, :]).triu(1)
    squares = (_fisher_z(found) - _fisher_z(wanted)).square().masked_fill(~pairs, 0.0)
    return (squares.sum(dim=(1, 2)) / pairs.sum(dim=(1, 2)).clamp(min=1)).mean()
