"""What text reads of the measures of a scan: each token reads the measure that its words name.

B scans or texts, L text columns, M measures, D width.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["MeasureReader", "MeasureWords"]

SHARPNESS = 30.0
"""Initial factor of cosines as logits: names of two measures are often close to each other."""

LEAST_COSINE = 0.65
"""Initial cosine that words must have with a name to read more of its measure than of nothing."""

MAX_Z = 3.0
"""Larger z-scores count as this in the regression, which they would rule otherwise."""

PENALTIES = (1e-3, 1e-2, 1e-1, 1.0, 10.0)
"""Of the ridge regression, for each scan."""


class MeasureWords(NamedTuple):
    """Input embeddings of words that reading starts from.

    Attributes
    ----------
    names : Tensor, shape (M, D)
        Of each measure's name: the mean over its tokens.
    direction : Tensor, shape (D,)
        From the word for a low value to the word for a high one.
    """

    names: Tensor
    direction: Tensor


class MeasureReader(nn.Module):
    """Attention of text to the measures of a scan, by name.

    A measure is a linear read-out of features of the scan, which starts as a ridge regression on
    the z-scores of training scans. What a token reads is the mean of its last words compared with
    the names of the measures; the value of the nearest one, times a direction that starts as that
    from "below" to "above", is added to its embedding. Words that name no measure read nothing.

    Parameters
    ----------
    words : MeasureWords
    n_features : int
        F.
    length : float
        Length of the direction at the start.
    """

    centre: Tensor

    def __init__(self, words: MeasureWords, n_features: int, length: float) -> None:
        super().__init__()
        centre = words.names.mean(0)
        self.register_buffer("centre", centre)
        self.name = nn.Parameter(functional.normalize(words.names - centre, dim=1))
        direction = length * functional.normalize(words.direction, dim=0)
        self.direction = nn.Parameter(direction.expand_as(words.names).clone())
        self.sharpness = nn.Parameter(torch.tensor(SHARPNESS))
        self.least_cosine = nn.Parameter(torch.tensor(LEAST_COSINE))
        self.readout = nn.Linear(n_features, len(words.names))
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

    def forward(self, recent: Tensor, has_words: Tensor, values: Tensor) -> Tensor:
        """Read measures: what is added to the embeddings of text tokens.

        Parameters
        ----------
        recent : Tensor, shape (B, L, D)
            Mean embedding of the last words up to each token.
        has_words : Tensor of bool, shape (B, L)
            False for a token that reads nothing.
        values : Tensor, shape (B, M)
            Of the scan that each text is about, from `readout`.

        Returns
        -------
        Tensor, shape (B, L, D)
        """
        words = functional.normalize(recent - self.centre, dim=2)
        cosines = words @ functional.normalize(self.name, dim=1).T
        nothing = self.least_cosine.expand(*cosines.shape[:2], 1)
        weights = (self.sharpness * torch.cat([cosines, nothing], dim=2)).softmax(2)[..., :-1]
        read = (weights * values[:, None]) @ self.direction
        return read * has_words[..., None]
