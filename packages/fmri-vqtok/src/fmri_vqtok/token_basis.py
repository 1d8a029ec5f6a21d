"""What each token of a step holds: its region alone, or an equal share of the whole step.

Regions of one step are strongly correlated, so a code that describes one region alone spends most
of its bits on what its neighbours' codes say too. The shared basis first turns the N x J
coefficients of a step (J along time for each region) into uncorrelated components across regions
(Karhunen-Loeve), keeps the N * d strongest, and deals them to N tokens in a snake: token n gets
ranks n, 2N - 1 - n, 2N + n, ... Rotation, choice and dealing are orthonormal, so the distance
between two tokens is the distance between what they decode to, and one codebook serves them all.
"""

import torch
from torch import Tensor, nn

from fmri_vqtok.errors import InputError


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

    Notes
    -----
    Before `fit`, token n holds the first d coefficients of region n.
    """

    spatial: Tensor
    chosen: Tensor

    def __init__(self, n_regions: int, n_coefficients: int, code_width: int) -> None:
        super().__init__()
        if code_width > n_coefficients:
            raise InputError(
                f"code_width: {code_width}; give at most {n_coefficients}, the smaller of the "
                "frames of a patch and the model's width"
            )
        self.n_coefficients = n_coefficients
        own = torch.arange(n_regions)[:, None] * n_coefficients + torch.arange(code_width)
        self.register_buffer("spatial", torch.eye(n_regions))
        self.register_buffer("chosen", own)

    @torch.no_grad()
    def fit(self, coefficients: Tensor) -> None:
        """Share the step among its tokens: learn components and their strength from training.

        Parameters
        ----------
        coefficients : Tensor, shape (n_steps, N, J)
        """
        values = coefficients.double()
        covariance = torch.einsum("snj,smj->nm", values, values) / len(values)
        spatial = principal_axes(covariance)
        strength = torch.einsum("snj,nc->scj", values, spatial).square().mean(dim=0).flatten()
        n_regions, code_width = self.chosen.shape
        order = strength.argsort(descending=True, stable=True)
        ranks = order[: n_regions * code_width].reshape(code_width, n_regions)
        ranks[1::2] = ranks[1::2].flip(1)
        self.spatial.copy_(spatial)
        self.chosen.copy_(ranks.T)

    def to_tokens(self, coefficients: Tensor) -> Tensor:
        """Tokens of steps, shape (B, W, N, d), from coefficients, shape (B, W, N, J)."""
        components = torch.einsum("bwnj,nc->bwcj", coefficients, self.spatial)
        return components.flatten(2)[..., self.chosen]

    def to_regions(self, tokens: Tensor) -> Tensor:
        """Coefficients, shape (B, W, N, J), from tokens, shape (B, W, N, d).

        Components that no token holds are 0.
        """
        n_regions = len(self.spatial)
        flat = tokens.new_zeros(*tokens.shape[:2], n_regions * self.n_coefficients)
        flat = flat.index_copy(2, self.chosen.flatten(), tokens.flatten(2))
        components = flat.unflatten(2, (n_regions, self.n_coefficients))
        return torch.einsum("bwcj,nc->bwnj", components, self.spatial)


def principal_axes(covariance: Tensor) -> Tensor:
    """Eigenvectors as columns, strongest first, each with its largest entry positive."""
    _, axes = torch.linalg.eigh(covariance)
    axes = axes.flip(1)
    largest = axes.gather(0, axes.abs().argmax(dim=0, keepdim=True))
    return axes * largest.sign()
