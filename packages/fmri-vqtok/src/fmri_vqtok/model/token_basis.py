"""Basis of a step's tokens: one region each, or components across all regions.

Regions of one step are strongly correlated, so a code that describes one region alone spends most
of its bits on information that its neighbours' codes hold too. The shared basis first turns the
N x J coefficients of a step (J along time for each region) into uncorrelated components across
regions (Karhunen-Loeve), keeps the N * d strongest, and assigns them to N tokens in alternating
order: token n gets ranks n, 2N - 1 - n, 2N + n, ... Rotation and selection are orthonormal, so the
distance between two tokens is that between what they decode to, and one codebook serves all.
"""

from itertools import pairwise

import torch
from torch import Tensor, nn

from fmri_vqtok.errors import InputError

BAND = 4
"""Coefficients along time per band, except the last."""

SMOOTHING = 4.0
"""Standard deviation of the weights of neighbouring coefficients in the covariance of a band."""

SHARE_OF_ALL = 0.3
"""Weight of the covariance over all coefficients in that of a band."""


class TokenBasis(nn.Module):
    """Orthonormal map between the coefficients of a step's regions and its tokens.

    Parameters
    ----------
    n_regions : int
        N.
    n_coefficients : int
        J, coefficients of a region along time.
    code_width : int
        d, components of a token; at most J.
    n_bands : int, default=1
        Bands of coefficients with their own axes across regions: `BAND` coefficients each, and the
        last one the rest.

    Notes
    -----
    Before `fit`, token n holds the first d coefficients of region n.
    """

    spatial: Tensor
    chosen: Tensor

    def __init__(
        self, n_regions: int, n_coefficients: int, code_width: int, n_bands: int = 1
    ) -> None:
        super().__init__()
        if code_width > n_coefficients:
            raise InputError(
                f"code_width: {code_width}; give at most {n_coefficients}, the smaller of the "
                "frames of a patch and the model's width"
            )
        self.n_coefficients = n_coefficients
        own = torch.arange(n_regions)[:, None] * n_coefficients + torch.arange(code_width)
        axes = torch.eye(n_regions)
        self.register_buffer("spatial", axes if n_bands == 1 else axes.repeat(n_bands, 1, 1))
        self.register_buffer("chosen", own)

    @torch.no_grad()
    def fit(self, coefficients: Tensor) -> None:
        """Learn components and their strength from training data, and assign them to tokens.

        Parameters
        ----------
        coefficients : Tensor, shape (n_steps, N, J)
        """
        values = coefficients.double()
        spatial = self._axes_across_regions(values)
        strength = self._to_components(values, spatial).square().mean(dim=0).flatten()
        n_regions, code_width = self.chosen.shape
        order = strength.argsort(descending=True, stable=True)
        ranks = order[: n_regions * code_width].reshape(code_width, n_regions)
        ranks[1::2] = ranks[1::2].flip(1)
        self.spatial.copy_(spatial)
        self.chosen.copy_(ranks.T)

    def to_tokens(self, coefficients: Tensor) -> Tensor:
        """Tokens of steps, shape (B, W, N, d), from coefficients, shape (B, W, N, J)."""
        return self._to_components(coefficients, self.spatial).flatten(2)[..., self.chosen]

    def to_regions(self, tokens: Tensor) -> Tensor:
        """Coefficients, shape (B, W, N, J), from tokens, shape (B, W, N, d).

        Components that no token holds are 0.
        """
        n_regions = len(self.chosen)
        flat = tokens.new_zeros(*tokens.shape[:2], n_regions * self.n_coefficients)
        flat = flat.index_copy(2, self.chosen.flatten(), tokens.flatten(2))
        components = flat.unflatten(2, (n_regions, self.n_coefficients))
        return self._to_components(components, self.spatial.mT)

    def _to_components(self, coefficients: Tensor, spatial: Tensor) -> Tensor:
        """Coefficients, shape (..., N, J), along the columns of axes, (N, N) or (bands, N, N)."""
        if spatial.ndim == 2:
            return torch.einsum("...nj,nc->...cj", coefficients, spatial)
        sizes = band_sizes(coefficients.shape[-1], len(spatial))
        bands = zip(coefficients.split(sizes, dim=-1), spatial, strict=True)
        return torch.cat([torch.einsum("...nj,nc->...cj", *band) for band in bands], dim=-1)

    def _axes_across_regions(self, values: Tensor) -> Tensor:
        """Principal axes of the coefficients, shape (n_steps, N, J), of each band."""
        covariances = torch.einsum("snj,smj->jnm", values, values) / len(values)
        if self.spatial.ndim == 2:
            return principal_axes(covariances.sum(dim=0))
        return torch.stack(
            [
                principal_axes(covariance)
                for covariance in band_covariances(covariances, len(self.spatial))
            ]
        )


def band_sizes(n_coefficients: int, n_bands: int) -> list[int]:
    """Coefficients of each band, strongest first: `BAND` each, and the rest in the last one."""
    edges = [min(BAND * band, n_coefficients) for band in range(n_bands)] + [n_coefficients]
    return [end - start for start, end in pairwise(edges)]


def band_covariances(covariances: Tensor, n_bands: int) -> Tensor:
    """Covariance of the regions in each band, shape (bands, N, N), smoothed over coefficients.

    A few scans hardly determine the covariance of a single coefficient, so its neighbours count
    too, and all of them in part, each with the same total variance.

    Parameters
    ----------
    covariances : Tensor, shape (J, N, N)
        Of each coefficient.
    n_bands : int
    """
    n_coefficients = len(covariances)
    overall = covariances.sum(dim=0)
    sizes = covariances.diagonal(dim1=1, dim2=2).sum(dim=1)[:, None, None]
    alike = covariances / sizes.clamp(min=torch.finfo(sizes.dtype).tiny)
    places = torch.arange(n_coefficients).to(covariances)
    middles = BAND * torch.arange(n_bands).to(places) + (BAND - 1) / 2
    weights = torch.softmax(-((places - middles[:, None]) / SMOOTHING).square() / 2, 1)
    near = torch.einsum("kj,jnm->knm", weights, alike)
    return (1 - SHARE_OF_ALL) * near + SHARE_OF_ALL * overall / overall.trace()


def principal_axes(covariance: Tensor) -> Tensor:
    """Eigenvectors as columns, strongest first, each with its largest entry positive."""
    _, axes = torch.linalg.eigh(covariance)
    axes = axes.flip(1)
    largest = axes.gather(0, axes.abs().argmax(dim=0, keepdim=True))
    return axes * largest.sign()
