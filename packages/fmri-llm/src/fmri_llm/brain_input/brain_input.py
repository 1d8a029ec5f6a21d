"""Everything that a language model is given of a scan, as input embeddings.

B scans, W time steps, N regions, M = W * N signal tokens, C context tokens, D width, Q filters.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor, nn

from fmri_llm.brain_input.connector import Connector
from fmri_llm.brain_input.feature_tokens import FeatureTokens
from fmri_llm.brain_input.filter_tokens import FilterTokens
from fmri_llm.brain_input.measure_reader import MeasureReader
from fmri_vqtok.model.relations import Features, SpatialFilters, Standardiser

if TYPE_CHECKING:
    from fmri_llm.brain_input.measure_words import MeasureWords
    from fmri_llm.brain_input.scans import BrainScans
    from fmri_llm.settings import BrainInputSettings

__all__ = ["BrainInput", "Context"]


class Context(NamedTuple):
    """Tokens about whole scans.

    Attributes
    ----------
    embeddings : Tensor, shape (B, C, D)
    mask : Tensor of bool, shape (B, C)
        False for the token of a region without signal.
    offsets : Tensor of int64, shape (C,)
        Position of each token after the first one.
    measures : Tensor, shape (B, M), or None
        Values of the measures that text reads; None if it reads none.
    """

    embeddings: Tensor
    mask: Tensor
    offsets: Tensor
    measures: Tensor | None


class BrainInput(nn.Module):
    """Signal tokens, tokens about the whole scan, and the two tokens that enclose them.

    Parameters
    ----------
    settings : BrainInputSettings
    filters : Tensor, shape (Q, N)
        Initial spatial filters.
    names : Tensor, shape (Q, D)
        Initial embedding of each filter, such as that of a network's name.
    n_bands : int
        F, frequency bands of the spectrum.
    width : int
        D.
    token_length : float
        Length of a word's embedding, with which tokens start.
    scale : float
        Initial factor of stage 1's text embeddings of codes.
    measures : MeasureWords, optional
        Words for the measures that text reads; none by default.
    """

    def __init__(
        self,
        settings: BrainInputSettings,
        filters: Tensor,
        names: Tensor,
        n_bands: int,
        width: int,
        token_length: float,
        scale: float,
        measures: MeasureWords | None = None,
    ) -> None:
        super().__init__()
        n_filters, n_regions = filters.shape
        self.settings = settings
        self.markers = nn.Parameter(torch.randn(2, width) * token_length / width**0.5)
        self.connector = Connector(n_regions, width, settings.connector_width, scale)
        self.filters = SpatialFilters(filters)
        self.relation_scaler = Standardiser(self.filters.n_features)
        self.scale_scaler = Standardiser(n_filters + n_bands)
        n_features = self.filters.n_features + n_filters + n_bands

        def tokens(n_features: int, n_tokens: int) -> FeatureTokens | None:
            if n_tokens == 0:
                return None
            return FeatureTokens(n_features, n_tokens, width, token_length)

        self.relations = tokens(self.filters.n_features, settings.relation_tokens)
        self.scale = tokens(n_filters + n_bands, settings.scale_tokens)
        self.filter_tokens: FilterTokens | None = None
        if settings.filter_tokens:
            self.filter_tokens = FilterTokens(names, n_filters + 1, token_length)
        self.measures: MeasureReader | None = None
        if settings.text_reads_measures and measures is not None and len(measures.names):
            self.measures = MeasureReader(measures, n_features, token_length)
            # Read-outs are fitted to the features that these filters give.
            self.filters.requires_grad_(False)
        self.profiles = tokens(n_filters, int(settings.region_tokens))

    def signal(self, text_embeddings: Tensor) -> Tensor:
        """Signal tokens, (B, M, D), of codes in the text space, (B, W, N, D)."""
        return self.connector(text_embeddings)

    def context(self, scans: BrainScans, covariance: Tensor) -> Context:
        """Tokens about whole scans: relations, scale, filters, profiles of regions.

        Parameters
        ----------
        scans : BrainScans
        covariance : Tensor, shape (B, N, N)
            From `fmri_vqtok.model.relations.region_covariance`.

        Returns
        -------
        Context
        """
        blocks = [covariance.new_zeros(len(scans), 0, self.markers.shape[1])]
        relations, scale_features = self._noisy_features(scans, covariance)
        if self.relations is not None:
            blocks.append(self.relations(relations))
        if self.scale is not None:
            blocks.append(self.scale(scale_features))
        if self.filter_tokens is not None:
            amplitudes = scale_features[:, : self.filters.n_filters]
            rows = torch.cat([self.filters.rows(relations), amplitudes[:, :, None]], dim=2)
            blocks.append(self.filter_tokens(rows))
        offsets = torch.arange(sum(block.shape[1] for block in blocks), device=covariance.device)
        mask = scans.region_mask.new_ones(len(scans), len(offsets))
        if self.profiles is not None:
            # Regions share a position, as those of a step do.
            blocks.append(self._region_tokens(scans, covariance))
            offsets = torch.cat([offsets, offsets.new_full((blocks[-1].shape[1],), len(offsets))])
            mask = torch.cat([mask, scans.region_mask], dim=1)
        measures = None
        if self.measures is not None:
            measures = self.measures.readout(torch.cat([relations, scale_features], dim=1))
        return Context(torch.cat(blocks, dim=1), mask, offsets, measures)

    def features(self, scans: BrainScans, covariance: Tensor) -> tuple[Tensor, Tensor]:
        """Numbers that tokens about whole scans are made of, standardised by training scans.

        Parameters
        ----------
        scans : BrainScans
        covariance : Tensor, shape (B, N, N)

        Returns
        -------
        relations : Tensor, shape (B, Q (Q + 1) / 2)
            Log powers and couplings of the spatial filters.
        scale : Tensor, shape (B, Q + F)
            Log amplitudes by filter, and the spectrum.
        """
        relations = self.relation_scaler(self.filters(covariance, scans.region_mask))
        return relations, self.scale_scaler(self._scale_features(scans))

    @property
    def n_positions(self) -> int:
        """Positions that the tokens about a whole scan take up."""
        modules = (self.relations, self.scale)
        n_tokens = sum(module.n_tokens for module in modules if module is not None)
        n_named = self.filters.n_filters if self.filter_tokens is not None else 0
        return n_tokens + n_named + (self.profiles is not None)

    @torch.no_grad()
    def fit(self, batches: Iterable[tuple[BrainScans, Tensor]]) -> None:
        """Learn the mean and spread of each feature over training scans.

        Parameters
        ----------
        batches : iterable of (scans, covariance)
        """
        relations, scales = [], []
        for scans, covariance in batches:
            relations.append(self.filters(covariance, scans.region_mask))
            scales.append(self._scale_features(scans))
        for scaler, parts in ((self.relation_scaler, relations), (self.scale_scaler, scales)):
            scaler.fit(Features(*(torch.cat(column) for column in zip(*parts, strict=True))))

    @torch.no_grad()
    def fit_measures(
        self,
        batches: Iterable[tuple[BrainScans, Tensor]],
        z_scores: Tensor,
        subjects: Sequence[Hashable],
        measures: Sequence[int] | None = None,
    ) -> None:
        """Start the read-outs of measures from the z-scores of training scans.

        Parameters
        ----------
        batches : iterable of (scans, covariance)
        z_scores : Tensor, shape (n_scans, M)
            Of the scans of all batches, in order.
        subjects, measures
            As for `MeasureReader.fit`.
        """
        if self.measures is not None:
            rows = [torch.cat(self.features(scans, cov), dim=1) for scans, cov in batches]
            self.measures.fit(torch.cat(rows), z_scores, subjects, measures)

    def _noisy_features(self, scans: BrainScans, covariance: Tensor) -> tuple[Tensor, Tensor]:
        """Features as `features` gives them, with the noise of training."""
        relations, scale = self.features(scans, covariance)
        return self._noisy(relations, scans, 0), self._noisy(scale, scans, 1)

    def _noisy(self, features: Tensor, scans: BrainScans, kind: int) -> Tensor:
        """Features with the noise of training, which each example draws by a seed of its own."""
        if not self.training or scans.noise_seeds is None or self.settings.feature_noise == 0:
            return features
        generators = [
            torch.Generator().manual_seed(3 * s + kind) for s in scans.noise_seeds.tolist()
        ]
        noise = [torch.randn(features.shape[1:], generator=each) for each in generators]
        return features + self.settings.feature_noise * torch.stack(noise).to(features)

    def _scale_features(self, scans: BrainScans) -> Features:
        """Log amplitude by filter, and the spectrum; unknown where a scan comes without them."""
        n_bands = len(self.scale_scaler.mean) - self.filters.n_filters
        amplitude, spectrum = scans.log_amplitude, scans.spectrum
        found = self.filters.average(
            torch.zeros_like(scans.region_mask, dtype=torch.float32)
            if amplitude is None
            else amplitude,
            scans.region_mask,
        )
        shape = (len(scans), n_bands)
        values = found.values.new_zeros(shape) if spectrum is None else spectrum
        known = found.known.new_full(shape, spectrum is not None)
        return Features(
            torch.cat([found.values, values], dim=1),
            torch.cat([found.known & (amplitude is not None), known], dim=1),
        )

    def _region_tokens(self, scans: BrainScans, covariance: Tensor) -> Tensor:
        """Row of the region-by-filter connectome of each region as a token; (B, N, D)."""
        profiles = self.filters.region_profiles(covariance, scans.region_mask)
        profiles = self._noisy(profiles, scans, 2)
        tokens = self.profiles(profiles.flatten(0, 1)).squeeze(1)  # type: ignore[misc]
        return tokens.unflatten(0, profiles.shape[:2]) + self.connector.region
