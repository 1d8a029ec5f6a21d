"""One token for each measure of a scan, under the measure's name: what features say of it."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

__all__ = ["MeasureTokens", "MeasureWords"]

MAX_Z = 3.0
"""Larger z-scores count as this in the regression, which they would rule otherwise."""

PENALTIES = (1e-3, 1e-2, 1e-1, 1.0, 10.0)
"""Of the ridge regression, for each scan."""


class MeasureWords(NamedTuple):
    """Input embeddings of words that tokens of measures start from.

    Attributes
    ----------
    names : Tensor, shape (M, D)
        Of each measure's name.
    direction : Tensor, shape (D,)
        From the word for a low value to the word for a high one.
    """

    names: Tensor
    direction: Tensor


class MeasureTokens(nn.Module):
    """Linear read-outs of measures from features, each as a token of its own.

    The token of a measure is its name plus its value times a direction. All start from words: the
    name as the embedding of the measure's name, less what the names have in common; the direction
    as that from "below" to "above". So a question about a measure finds its token, and the token
    holds the answer. The read-out starts as a ridge regression on training scans.

    Parameters
    ----------
    words : MeasureWords
    n_features : int
        F.
    length : float
        Length of a name and of the direction at the start.
    """

    def __init__(self, words: MeasureWords, n_features: int, length: float) -> None:
        super().__init__()
        names = words.names - words.names.mean(0)
        self.name = nn.Parameter(length * nn.functional.normalize(names, dim=1))
        direction = length * nn.functional.normalize(words.direction, dim=0)
        self.direction = nn.Parameter(direction.expand_as(names).clone())
        self.readout = nn.Linear(n_features, len(names))
        nn.init.zeros_(self.readout.weight)
        nn.init.zeros_(self.readout.bias)

    @torch.no_grad()
    def fit(self, features: Tensor, z_scores: Tensor) -> None:
        """Start the read-out as a ridge regression, with a penalty for each measure.

        Penalties are those of the least squared error with each scan left out. A single scan gives
        no regression.

        Parameters
        ----------
        features : Tensor, shape (n_scans, F)
            Standardised, of training scans.
        z_scores : Tensor, shape (n_scans, M)
            Of the same scans. An unknown one, NaN, counts as the mean.
        """
        from sklearn.linear_model import RidgeCV

        x = features.double().cpu().numpy()
        if len(x) < 2:
            return
        y = z_scores.nan_to_num().clamp(-MAX_Z, MAX_Z).double().cpu().numpy()
        ridge = RidgeCV(alphas=[len(x) * p for p in PENALTIES], alpha_per_target=True).fit(x, y)
        self.readout.weight.copy_(torch.from_numpy(ridge.coef_.reshape(y.shape[1], -1)))
        self.readout.bias.copy_(torch.from_numpy(ridge.intercept_))

    def forward(self, features: Tensor) -> Tensor:
        """Tokens of scans, shape (B, M, D), from standardised features, shape (B, F)."""
        return self.name + self.readout(features)[:, :, None] * self.direction
