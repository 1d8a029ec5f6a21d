"""What text reads of the measures of a scan: each token reads the measure that its words name.

B scans or texts, L text columns, M measures, D width.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Sequence

    from fmri_llm.brain_input.measure_words import MeasureWords

__all__ = ["MeasureReader"]

SHARPNESS = 60.0
"""Initial factor of cosines as logits: names of two measures are often close to each other."""

LEAST_COSINE = 0.8
"""Initial cosine that words must have with a name to read more of its measure than of nothing."""

MAX_Z = 3.0
"""Larger z-scores count as this in the regression, which they would rule otherwise."""

WORD_LENGTHS = 4.0
"""Initial length of what a standard deviation of a measure adds, in lengths of a word."""

LEAST_SPREAD = 0.25
"""Measures whose read-out varies less over training scans, in z-scores, are not raised further."""


class MeasureReader(nn.Module):
    """Attention of text to the measures of a scan, by name.

    A measure is a linear read-out of features of the scan: a ridge regression on the z-scores of
    training scans, which stays as `fit` leaves it. A token compares each name with the mean of its
    last words, of as many as the name has, so that a name is recognised where it ends. The value of
    the nearest, times a direction that starts as that from "below" to "above", is added to the
    embedding of the token. Words that name no measure read nothing. Names, directions and the
    comparison are trained.

    Parameters
    ----------
    words : MeasureWords
    n_features : int
        F.
    length : float
        Length of the embedding of a word.
    """

    centre: Tensor

    def __init__(self, words: MeasureWords, n_features: int, length: float) -> None:
        super().__init__()
        self.n_tokens = words.n_tokens
        self.length = WORD_LENGTHS * length
        self.register_buffer("centre", words.names.mean(0))
        self.name = nn.Parameter(functional.normalize(words.names - self.centre, dim=1))
        self.direction = nn.Parameter(self.length * functional.normalize(words.directions, dim=1))
        self.sharpness = nn.Parameter(torch.tensor(SHARPNESS))
        self.least_cosine = nn.Parameter(torch.tensor(LEAST_COSINE))
        self.readout = _zeros(n_features, len(words.names))

    @torch.no_grad()
    def add(self, words: MeasureWords) -> None:
        """Let words read further measures, of which nothing is read out before `fit`."""
        added = functional.normalize(words.names.to(self.name) - self.centre, dim=1)
        directions = self.length * functional.normalize(words.directions.to(self.name), dim=1)
        self.n_tokens += words.n_tokens
        self.name = nn.Parameter(torch.cat([self.name, added]))
        self.direction = nn.Parameter(torch.cat([self.direction, directions]))
        before = self.readout
        self.readout = _zeros(before.in_features, len(self.name)).to(before.weight)
        for name, parameter in before.named_parameters():
            getattr(self.readout, name)[: before.out_features] = parameter

    @torch.no_grad()
    def fit(
        self,
        features: Tensor,
        z_scores: Tensor,
        subjects: Sequence[Hashable],
        measures: Sequence[int] | None = None,
    ) -> None:
        """Start read-outs as ridge regressions.

        A measure that is predicted only in part has a read-out of little spread: its direction is
        as much longer. With fewer than two subjects nothing is fitted.

        Parameters
        ----------
        features : Tensor, shape (n_scans, F)
            Standardised, of training scans.
        z_scores : Tensor, shape (n_scans, M)
            Of the same scans. An unknown one, NaN, counts as the mean.
        subjects : sequence of hashable
            Subject of each scan. The penalty of each measure is that of the least squared error on
            subjects left out.
        measures : sequence of int, optional
            Places of the M measures; all of them by default.
        """
        from fmri_llm.brain_input.ridge import fit_ridge

        x = features.double().cpu().numpy()
        if len(set(subjects)) < 2:
            return
        y = z_scores.nan_to_num().clamp(-MAX_Z, MAX_Z).double().cpu().numpy()
        weights, intercepts = fit_ridge(x, y, subjects)
        places = list(range(len(self.name))) if measures is None else list(measures)
        spread = (x @ weights.T).std(0).clip(min=LEAST_SPREAD)
        self.readout.weight[places] = torch.from_numpy(weights).to(self.readout.weight)
        self.readout.bias[places] = torch.from_numpy(intercepts).to(self.readout.bias)
        self.direction[places] /= torch.from_numpy(spread).to(self.direction)[:, None]

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


def _zeros(n_features: int, n_measures: int) -> nn.Linear:
    """Read-outs of nothing, which `MeasureReader.fit` sets and training leaves as they are."""
    readout = nn.Linear(n_features, n_measures).requires_grad_(False)
    nn.init.zeros_(readout.weight)
    nn.init.zeros_(readout.bias)
    return readout
