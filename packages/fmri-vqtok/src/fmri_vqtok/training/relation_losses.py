"""Relations between regions in training: their features, and a read-out of descriptors from them.

They are there for training only: no part of them is written with the tokenizer.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from fmri_vqtok.data.window_dataset import NormalisedScan
from fmri_vqtok.distributed import broadcast
from fmri_vqtok.model.relations import (
    SpatialFilters,
    Standardiser,
    eigenvector_filters,
    network_filters,
    region_covariance,
)
from fmri_vqtok.processor import TimeSeriesProcessor
from fmri_vqtok.tokenizer import FMRITokenizer

N_EIGENVECTORS = 8
"""Filters where the regions have no networks, at most."""

MAX_Z = 4.0
"""Z-scores beyond this are clipped: a few extreme ones would be most of a squared error."""

_BATCH = 16


class RelationFeatures(nn.Module):
    """Standardised log powers and couplings of learned filters, from quantized coefficients.

    Parameters
    ----------
    filters : Tensor, shape (Q, N)
        Initial weights.
    """

    def __init__(self, filters: Tensor) -> None:
        super().__init__()
        self.filters = SpatialFilters(filters)
        self.standardiser = Standardiser(self.filters.n_features)

    @property
    def n_features(self) -> int:
        """Q (Q + 1) / 2."""
        return self.filters.n_features

    def forward(self, coefficients: Tensor, region_mask: Tensor) -> Tensor:
        """Features of each window, shape (B, n_features), in single precision.

        Parameters
        ----------
        coefficients : Tensor, shape (B, W, N, J)
        region_mask : Tensor of bool, shape (B, N)
            Regions that the encoder saw.
        """
        with torch.autocast(coefficients.device.type, enabled=False):
            single = coefficients.to(torch.promote_types(coefficients.dtype, torch.float32))
            covariance = region_covariance(single, region_mask)
            return self.standardiser(self.filters(covariance, region_mask))

    @torch.no_grad()
    def fit(self, coefficients: Tensor, region_mask: Tensor) -> None:
        """Learn mean and spread of the features from windows; parameters as of `forward`."""
        covariance = region_covariance(coefficients, region_mask)
        self.standardiser.fit(self.filters(covariance, region_mask))
        for fitted in self.buffers():
            broadcast(fitted)


class ReadOut(nn.Module):
    """Linear prediction of the z-scores of a scan's descriptors from each of its windows.

    Parameters
    ----------
    targets : Tensor, shape (n_scans, n_descriptors)
        Z-scores, NaN where one is unknown; they are clipped to `MAX_Z` in size.
    n_features : int
    weight : float
        Of this loss in the total.
    """

    targets: Tensor

    def __init__(self, targets: Tensor, n_features: int, weight: float) -> None:
        super().__init__()
        self.weight = weight
        self.linear = nn.Linear(n_features, targets.shape[1])
        # The mean of z-scores is where a prediction starts.
        nn.init.zeros_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)
        # Not persistent: frozen, and read from the descriptors again.
        self.register_buffer("targets", targets.clamp(-MAX_Z, MAX_Z), persistent=False)

    def n_known(self, scans: Tensor) -> Tensor:
        """Count the known z-scores of some windows, a scalar."""
        return (~self.targets[scans].isnan()).sum()

    def forward(self, features: Tensor, scans: Tensor) -> Tensor:
        """Mean squared error over the known z-scores, a scalar; 0 if none is known.

        Parameters
        ----------
        features : Tensor, shape (B, n_features)
        scans : Tensor of int64, shape (B,)
            Row of the targets of each window's scan.
        """
        with torch.autocast(features.device.type, enabled=False):
            targets = self.targets[scans]
            # The target itself is filled: the gradient of a masked NaN would be NaN.
            errors = self.linear(features) - targets.nan_to_num(0.0)
            errors = errors.masked_fill(targets.isnan(), 0.0)
            return errors.square().sum() / self.n_known(scans).clamp(min=1)


def initial_filters(windows: Tensor, region_mask: Tensor, networks: Sequence[str] | None) -> Tensor:
    """Networks, or without at least two of them the leading eigenvectors of the covariance.

    Parameters
    ----------
    windows : Tensor, shape (B, T, N)
        Of training scans.
    region_mask : Tensor of bool, shape (B, N)
    networks : sequence of str or None
        Network of each region.

    Returns
    -------
    Tensor, shape (Q, N)
        The same on every process.
    """
    if networks is not None and len(set(networks)) > 1:
        return network_filters(networks)
    covariance = region_covariance(windows[..., None], region_mask).mean(dim=0)
    return broadcast(eigenvector_filters(covariance, min(N_EIGENVECTORS, windows.shape[2])))


def training_windows(
    scans: Sequence[NormalisedScan], processor: TimeSeriesProcessor, limit: int
) -> tuple[Tensor, Tensor]:
    """Windows of scans as the processor cuts them, and which regions each has.

    Parameters
    ----------
    scans : sequence of NormalisedScan
    processor : TimeSeriesProcessor
    limit : int
        Most windows, evenly spaced over all of them.

    Returns
    -------
    windows : Tensor, shape (n, T, N)
    region_mask : Tensor of bool, shape (n, N)
    """
    cut = [(window, scan.mask) for scan in scans for window in processor.cut(scan.series)]
    windows, masks = zip(*cut[:: -(-len(cut) // limit)], strict=True)
    return torch.stack(windows), torch.stack(masks)


@torch.no_grad()
def start_relations(
    tokenizer: FMRITokenizer, windows: Tensor, region_mask: Tensor, filters: Tensor
) -> RelationFeatures:
    """Relation features whose mean and spread are those of training windows, after their codes.

    Parameters
    ----------
    tokenizer : FMRITokenizer
        Initialised.
    windows : Tensor, shape (n, T, N)
    region_mask : Tensor of bool, shape (n, N)
    filters : Tensor, shape (Q, N)
    """
    relations = RelationFeatures(filters)
    batches = zip(windows.split(_BATCH), region_mask.split(_BATCH), strict=True)
    was_training = tokenizer.training
    tokenizer.eval()
    coefficients = torch.cat([tokenizer.encode(*batch).coefficients for batch in batches])
    tokenizer.train(was_training)
    relations.fit(coefficients, region_mask)
    return relations
