"""Relations between regions: log powers of spatial filters, and couplings between filters.

What a resting-state scan says about a person lies in how regions vary together. No single token
holds it, so it is computed here: a filter is a weighted sum of regions, its power is the variance
of that sum over time, and the coupling of two filters is the Fisher z of their correlation. Filters
are learned. They start from the networks of the parcellation or from the leading eigenvectors of
the training covariance.

B scans, W time steps, N regions, J coefficients of a region in a step, Q filters.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from fmri_vqtok.model.pooling import MAX_CORRELATION

LEAST_POWER = 1e-6
"""Powers are clipped to this before the logarithm."""

LEAST_SPREAD = 1e-3
"""A feature that varies less over the training scans, such as that of a single one, is centred and
not scaled: its rounding errors would count as much as what others say."""


def region_covariance(
    coefficients: Tensor, region_mask: Tensor, step_mask: Tensor | None = None
) -> Tensor:
    """Mean product of two regions' coefficients over the steps and coefficients of a scan.

    The coefficients of a region in a step are coordinates of its signal on orthonormal axes, so
    this is the covariance of the signals over time. Signals are centred when they are normalised.

    Parameters
    ----------
    coefficients : Tensor, shape (B, W, N, J)
        Such as `fmri_vqtok.FMRITokenizer.coefficients` of codes.
    region_mask : Tensor of bool, shape (B, N)
        False for a region without signal, whose row and column are 0.
    step_mask : Tensor of bool, shape (B, W), optional
        False for the padding steps of a shorter scan; there are none by default.

    Returns
    -------
    Tensor, shape (B, N, N)
        The same for any order of the steps, up to rounding.
    """
    kept = region_mask[:, None, :]
    n_steps = coefficients.new_full((len(coefficients),), coefficients.shape[1])
    if step_mask is not None:
        kept = kept & step_mask[:, :, None]
        n_steps = step_mask.sum(1).to(coefficients.dtype)
    series = (coefficients * kept[..., None]).transpose(1, 2).flatten(2)
    n_values = n_steps.clamp(min=1) * coefficients.shape[3]
    return series @ series.transpose(1, 2) / n_values[:, None, None]


def network_filters(networks: Sequence[str]) -> Tensor:
    """One filter for each network: the mean of its regions.

    Parameters
    ----------
    networks : sequence of str
        Network of each region.

    Returns
    -------
    Tensor, shape (Q, N)
        In the order in which the networks occur, each of length 1.
    """
    names = list(dict.fromkeys(networks))
    members = torch.tensor([[own == name for own in networks] for name in names])
    return functional.normalize(members.float(), dim=1)


def eigenvector_filters(covariance: Tensor, n_filters: int) -> Tensor:
    """Leading eigenvectors of a covariance, each with its entry of largest size positive.

    Parameters
    ----------
    covariance : Tensor, shape (N, N)
    n_filters : int

    Returns
    -------
    Tensor, shape (Q, N)
        Strongest first.
    """
    vectors = torch.linalg.eigh(covariance.double()).eigenvectors.flip(1)[:, :n_filters]
    largest = vectors.abs().argmax(dim=0, keepdim=True)
    return (vectors * vectors.gather(0, largest).sign()).T.to(covariance.dtype)


class Features(NamedTuple):
    """Numbers about scans, some of which may be unknown.

    Attributes
    ----------
    values : Tensor, shape (B, n_features)
    known : Tensor of bool, shape (B, n_features)
    """

    values: Tensor
    known: Tensor


class SpatialFilters(nn.Module):
    """Log powers and couplings of learned weighted sums of regions.

    Parameters
    ----------
    filters : Tensor, shape (Q, N)
        Initial weights. The length of a filter has no effect.
    """

    pairs: Tensor

    def __init__(self, filters: Tensor) -> None:
        super().__init__()
        self.filters = nn.Parameter(filters.clone())
        pairs = torch.triu_indices(len(filters), len(filters), 1)
        self.register_buffer("pairs", pairs, persistent=False)

    @property
    def n_filters(self) -> int:
        """Q."""
        return len(self.filters)

    @property
    def n_features(self) -> int:
        """Q log powers and Q (Q - 1) / 2 couplings."""
        return self.n_filters * (self.n_filters + 1) // 2

    def forward(self, covariance: Tensor, region_mask: Tensor) -> Features:
        """Log powers, then couplings of the pairs in the order of ``torch.triu_indices``.

        Parameters
        ----------
        covariance : Tensor, shape (B, N, N)
            From `region_covariance`.
        region_mask : Tensor of bool, shape (B, N)

        Returns
        -------
        Features
            Of Q (Q + 1) / 2 features; those of a filter without any present region are unknown.
        """
        weights = self._present(region_mask)
        products = weights @ covariance @ weights.transpose(1, 2)
        powers = products.diagonal(dim1=1, dim2=2).clamp(min=LEAST_POWER)
        first, second = self.pairs
        r = products[:, first, second] / (powers[:, first] * powers[:, second]).sqrt()
        has_region = self._has_region(weights)
        return Features(
            torch.cat([powers.log(), _fisher_z(r)], dim=1),
            torch.cat([has_region, has_region[:, first] & has_region[:, second]], dim=1),
        )

    def rows(self, features: Tensor) -> Tensor:
        """Features as a matrix, shape (B, Q, Q): couplings, and log powers on the diagonal.

        Parameters
        ----------
        features : Tensor, shape (B, Q (Q + 1) / 2)
            In the order of `forward`.
        """
        first, second = self.pairs
        powers, couplings = features[:, : self.n_filters], features[:, self.n_filters :]
        rows = torch.diag_embed(powers)
        rows[:, first, second] = couplings
        rows[:, second, first] = couplings
        return rows

    def region_profiles(self, covariance: Tensor, region_mask: Tensor) -> Tensor:
        """Correlation of each region with each filter, Fisher z; shape (B, N, Q).

        0 for a region without signal.
        """
        weights = self._present(region_mask)
        products = covariance @ weights.transpose(1, 2)
        powers = torch.einsum("bqn,bnq->bq", weights, products).clamp(min=LEAST_POWER)
        variances = covariance.diagonal(dim1=1, dim2=2).clamp(min=LEAST_POWER)
        r = products / (variances[:, :, None] * powers[:, None, :]).sqrt()
        return _fisher_z(r) * region_mask[..., None]

    def average(self, values: Tensor, region_mask: Tensor) -> Features:
        """Mean of a value of the regions, weighted by the square of each filter's weights.

        Parameters
        ----------
        values : Tensor, shape (B, N)
        region_mask : Tensor of bool, shape (B, N)

        Returns
        -------
        Features
            Of Q features.
        """
        weights = self._present(region_mask)
        means = torch.einsum("bqn,bn->bq", weights.square(), values * region_mask)
        return Features(means, self._has_region(weights))

    def _present(self, region_mask: Tensor) -> Tensor:
        """Weights of the regions that a scan has, each filter of length 1; shape (B, Q, N)."""
        return functional.normalize(self.filters * region_mask[:, None, :], dim=2)

    @staticmethod
    def _has_region(weights: Tensor) -> Tensor:
        return weights.detach().any(dim=2)


class Standardiser(nn.Module):
    """Features minus their mean over training scans, over their standard deviation.

    Parameters
    ----------
    n_features : int
    """

    mean: Tensor
    spread: Tensor

    def __init__(self, n_features: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(n_features))
        self.register_buffer("spread", torch.ones(n_features))

    @torch.no_grad()
    def fit(self, features: Features) -> None:
        """Learn mean and standard deviation of each feature from the scans that know it."""
        counts = features.known.sum(0).clamp(min=1)
        values = features.values.masked_fill(~features.known, 0.0)
        self.mean.copy_(values.sum(0) / counts)
        deviations = (features.values - self.mean).masked_fill(~features.known, 0.0)
        spread = (deviations.square().sum(0) / counts).sqrt()
        self.spread.copy_(torch.where(spread < LEAST_SPREAD, 1.0, spread))

    def forward(self, features: Features) -> Tensor:
        """Standardised features, shape (B, n_features); 0, the mean, where one is unknown."""
        scaled = (features.values - self.mean) / self.spread
        return scaled.masked_fill(~features.known, 0.0)


def _fisher_z(r: Tensor) -> Tensor:
    return r.clamp(-MAX_CORRELATION, MAX_CORRELATION).atanh()
