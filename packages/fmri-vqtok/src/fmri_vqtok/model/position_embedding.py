"""Position embeddings of time steps and regions."""

import torch
from torch import Tensor, nn

from fmri_vqtok.errors import InputError

START_SIZE = 0.02
"""Standard deviation of an initial position embedding."""


class SpaceTimePositions(nn.Module):
    """Sum of a learned vector for the time step and a vector for the region.

    Parameters
    ----------
    n_steps : int
        Longest W.
    n_regions : int
        N.
    width : int
        D.
    region_features : Tensor, shape (N, F), optional
        Such as gradients and coordinates. With it a region's vector
        is a learned linear map of its features, standardised over the regions, as in Brain-JEPA;
        without it, a learned vector.
    """

    no_weight_decay = ("step", "region")
    features: Tensor

    def __init__(
        self, n_steps: int, n_regions: int, width: int, region_features: Tensor | None = None
    ) -> None:
        super().__init__()
        self.step = nn.Parameter(torch.randn(n_steps, width) * START_SIZE)
        self.project: nn.Linear | None = None
        if region_features is None:
            self.region = nn.Parameter(torch.randn(n_regions, width) * START_SIZE)
        else:
            n_features = region_features.shape[1]
            self.register_buffer("features", standardised(region_features))
            self.project = nn.Linear(n_features, width)
            nn.init.normal_(self.project.weight, std=START_SIZE / n_features**0.5)
            nn.init.zeros_(self.project.bias)

    def forward(self, n_steps: int) -> Tensor:
        """Positions of the first ``n_steps`` steps, shape (W, N, D).

        Raises
        ------
        InputError
            If there are more steps than positions.
        """
        if n_steps > len(self.step):
            raise InputError(
                f"signal: {n_steps} time steps, but the tokenizer has positions for "
                f"{len(self.step)}; cut the scan into windows with its processor"
            )
        region = self.region if self.project is None else self.project(self.features)
        return self.step[:n_steps, None] + region


def standardised(features: Tensor) -> Tensor:
    """Columns with mean 0 and standard deviation 1 over the regions; a constant one becomes 0.

    Parameters
    ----------
    features : Tensor, shape (N, F)

    Returns
    -------
    Tensor of float32, shape (N, F)
    """
    centred = features.double() - features.double().mean(dim=0)
    spread = centred.square().mean(dim=0).sqrt()
    constant = spread <= 1e-12 * features.double().abs().amax(dim=0)
    return (centred / spread.masked_fill(constant, 1.0)).masked_fill(constant, 0.0).float()


def check_region_features(features: Tensor | None, n_regions: int, n_features: int) -> None:
    """Refuse features that do not fit the kind of positions.

    Parameters
    ----------
    features : Tensor or None
        What was given.
    n_regions : int
    n_features : int
        F; 0 with learned positions.

    Raises
    ------
    InputError
        If there are none where they are needed or some where they are not, or if their shape
        differs or one is not finite.
    """
    if features is None and n_features == 0:
        return
    if features is None or n_features == 0:
        raise InputError(
            f"region_features: {'none' if features is None else 'given'}, but the tokenizer's "
            f"n_position_features is {n_features}; give features with region_positions "
            "'geometry', and none with 'learned'"
        )
    if tuple(features.shape) != (n_regions, n_features):
        raise InputError(
            f"region_features: shape {tuple(features.shape)}; give ({n_regions}, {n_features}), "
            "a row for each region"
        )
    if not features.is_meta and not features.isfinite().all():
        raise InputError("region_features: some are not finite; give a number for each region")
