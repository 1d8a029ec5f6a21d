"""What text reads of the measures of a scan: each token reads the measure that its words name.

B scans or texts, L text columns, M measures, D width.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

if TYPE_CHECKING:
    from collections.abc import Iterable

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
    n_tokens : tuple of int, length M
        Tokens of each name.
    direction : Tensor, shape (D,)
        From the word for a low value to the word for a high one.
    """

    names: Tensor
    n_tokens: tuple[int, ...]
    direction: Tensor


class MeasureReader(nn.Module):
    """Attention of text to the measures of a scan, by name.

    A measure is a linear read-out of features of the scan, which starts as a ridge regression on
    the z-scores of training scans. A token compares each name with the mean of its last words, of
    as many as the name has, so that a name is recognised where it ends. The value of the nearest,
    times a direction that starts as that from "below" to "above", is added to the embedding of the
    token. Words that name no measure read nothing.

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
        self.n_tokens = words.n_tokens
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

    def forward(self, last_words: Iterable[Tensor], n_known: Tensor, values: Tensor) -> Tensor:
        """Read measures: what is added to the embeddings of text tokens.

        Parameters
        ----------
        last_words : iterable of Tensor, each of shape (B, L, D)
            Embeddings of the last words up to each token: of the token itself, of the word before
            it, and so on; zero where there is none. Longer names are compared with all of them.
        n_known : Tensor of int64, shape (B, L)
            How many of these words there are. A token without any reads nothing.
        values : Tensor, shape (B, M)
            Of the scan that each text is about, from `readout`.

        Returns
        -------
        Tensor, shape (B, L, D)
        """
        cosines = self._cosines(last_words, n_known)
        nothing = self.least_cosine.expand(*cosines.shape[:2], 1)
        weights = (self.sharpness * torch.cat([cosines, nothing], dim=2)).softmax(2)[..., :-1]
        read = (weights * values[:, None]) @ self.direction
        return read * (n_known > 0)[..., None]

    def _cosines(self, last_words: Iterable[Tensor], n_known: Tensor) -> Tensor:
        """Cosines of last words with the names of measures, (B, L, M)."""
        names = functional.normalize(self.name, dim=1)
        places: list[int] = []
        found: list[Tensor] = []
        total = self.centre.new_zeros(())
        for n_words, words in enumerate(last_words, start=1):
            total = total + words
            here = [k for k, n in enumerate(self.n_tokens) if n == n_words]
            if here:
                mean = total / n_known.clamp(1, n_words)[..., None]
                found.append(functional.normalize(mean - self.centre, dim=2) @ names[here].T)
                places += here
        return torch.cat(found, dim=2)[..., torch.tensor(places).argsort()]
