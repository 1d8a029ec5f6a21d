"""The tokenizer: signal to codes in a language model's text space, and back."""

from collections.abc import Sequence
from typing import NamedTuple, Self, cast

import torch
from torch import Tensor, nn

from fmri_vqtok.config.model import FMRITokenizerConfig
from fmri_vqtok.errors import InputError, check_choice
from fmri_vqtok.model.checks import check_signal, mask_per_scan
from fmri_vqtok.model.decoder import Decoder
from fmri_vqtok.model.encoder import Encoder
from fmri_vqtok.model.pooling import LEVELS, pool
from fmri_vqtok.model.position_embedding import SpaceTimePositions, check_region_features
from fmri_vqtok.model.token_basis import TokenBasis, principal_axes
from fmri_vqtok.model.transformer import CorrectedLinear, GridTransformer, to_patches
from fmri_vqtok.pretrained.base import PretrainedTokenizer
from fmri_vqtok.processor import TimeSeriesProcessor
from fmri_vqtok.quantizers import make_quantizer


class Encoded(NamedTuple):
    """Codes of a signal, and the vectors before and after quantization.

    Attributes
    ----------
    codes : Tensor of int64, shape (B, W, N)
    latents : Tensor, shape (B, W, N, D)
        The encoder's output, before quantization.
    quantized : Tensor, shape (B, W, N, D)
        What the codes decode to for each region, in the decoder's input space.
    coefficients : Tensor, shape (B, W, N, J)
        The same as coordinates along time, see `FMRITokenizer.coefficients`. The gradient of both
        passes straight through the quantizer.
    """

    codes: Tensor
    latents: Tensor
    quantized: Tensor
    coefficients: Tensor


class Reconstructed(NamedTuple):
    """A signal after encoding, quantization and decoding.

    Attributes
    ----------
    signal : Tensor, shape (B, T, N)
    encoded : Encoded
    losses : dict of str to Tensor
        The quantizer's losses by name.
    """

    signal: Tensor
    encoded: Encoded
    losses: dict[str, Tensor]


class FMRITokenizer(PretrainedTokenizer):
    """Discrete tokens of a (time, regions) signal.

    Parameters
    ----------
    config : FMRITokenizerConfig
    processor : TimeSeriesProcessor, optional
        What turned scans into the signals that the tokenizer was trained on.
    parcellation : str, optional
        Name of the parcellation of the regions.
    order_hash : str, optional
        Hash of the ordered region labels.
    labels : sequence of str, optional
        Region labels in order.
    region_features : Tensor, shape (N, F), optional
        Of which position embeddings are a linear map, with ``region_positions="geometry"``;
        standardised over the regions.

    Attributes
    ----------
    networks : tuple of str or None
        Network of each region, kept with the weights.
    card : str or None
        Text of the model card, which `save_pretrained` writes beside the weights.

    Raises
    ------
    InputError
        If labels or features do not fit the configuration.

    Examples
    --------
    >>> import torch
    >>> from fmri_vqtok import FMRITokenizer, FMRITokenizerConfig
    >>> config = FMRITokenizerConfig.preset("tiny", n_regions=5, n_frames=64)
    >>> tokenizer = FMRITokenizer(config).eval()
    >>> codes = tokenizer.encode(torch.randn(2, 64, 5)).codes
    >>> tuple(codes.shape), tuple(tokenizer.decode(codes).shape)
    ((2, 2, 5), (2, 64, 5))
    """

    text_center: Tensor

    def __init__(
        self,
        config: FMRITokenizerConfig,
        processor: TimeSeriesProcessor | None = None,
        parcellation: str | None = None,
        order_hash: str | None = None,
        labels: Sequence[str] | None = None,
        region_features: Tensor | None = None,
    ) -> None:
        super().__init__(config, processor, parcellation, order_hash, labels)
        check_region_features(region_features, config.n_regions, config.n_position_features)
        width, n_coefficients = config.width, config.n_coefficients
        self.encoder = Encoder(*_halves(config, config.encoder_depth, region_features))
        self.to_coefficients = _head(width, n_coefficients, config.head_width)
        self.basis = TokenBasis(
            config.n_regions, n_coefficients, config.code_width, config.spatial_bands
        )
        self.quantizer = make_quantizer(config, config.n_codes, config.code_width, config.n_regions)
        self.from_coefficients = _head(n_coefficients, width, config.head_width)
        self.decoder = Decoder(*_halves(config, config.decoder_depth, region_features))
        self.to_text: nn.Module | None = None
        if config.text_width is not None:
            self.to_text = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, config.text_width))
            self.register_buffer("text_center", torch.zeros(config.text_width))
        self._init_identity_maps()

    def encode(self, x: Tensor, region_mask: Tensor | None = None) -> Encoded:
        """Codes of a signal, and the vectors before and after quantization.

        Parameters
        ----------
        x : Tensor, shape (B, T, N)
            As the processor makes it; T at most the configured number of frames.
        region_mask : Tensor of bool, shape (B, N) or (N,), optional
            False for missing regions, whose values do not change the codes of the others.

        Returns
        -------
        Encoded

        Raises
        ------
        InputError
            If the number of regions or frames does not fit.
        """
        return self._encode(x, mask_per_scan(region_mask, len(x), self.config))[0]

    def decode(self, codes: Tensor, region_mask: Tensor | None = None) -> Tensor:
        """Signal that codes decode to.

        Parameters
        ----------
        codes : Tensor of int64, shape (B, W, N)
        region_mask : Tensor of bool, shape (B, N) or (N,), optional
            False for regions that were missing: the decoder does not attend to them.

        Returns
        -------
        Tensor, shape (B, T, N)
        """
        quantized = self.from_coefficients(self.coefficients(codes))
        return self._to_signal(quantized, mask_per_scan(region_mask, len(codes), self.config))

    def embed(self, x: Tensor, level: str = "patch", region_mask: Tensor | None = None) -> Tensor:
        """Continuous embedding of a signal: the encoder's output, a mean of it, or correlations.

        Parameters
        ----------
        x : Tensor, shape (B, T, N)
        level : {"patch", "step", "scan", "connectome"}
            "patch": each region in each step, (B, W, N, D). "step": mean over the regions that
            are present, (B, W, D). "scan": mean over them and the steps, (B, D). "connectome":
            correlation over steps of each pair of regions, (B, N (N - 1) / 2), which
            differs most between people; see `fmri_vqtok.model.pooling.latent_connectome`.
        region_mask : Tensor of bool, shape (B, N) or (N,), optional
            False for missing regions, which are left out.

        Returns
        -------
        Tensor

        Raises
        ------
        InputError
            If there is no such level, or the signal or the mask does not fit.
        """
        check_choice("level", level, LEVELS)
        region_mask = mask_per_scan(region_mask, len(x), self.config)
        return pool(self._latents(x, region_mask), level, region_mask)

    def coefficients(self, codes: Tensor) -> Tensor:
        """Coordinates along time of each region that codes stand for, before the decoder.

        Parameters
        ----------
        codes : Tensor of int64, shape (B, W, N)

        Returns
        -------
        Tensor, shape (B, W, N, J)
        """
        return self.basis.to_regions(self.quantizer.lookup(codes))

    def valid_codes(self, region_mask: Tensor) -> Tensor:
        """Which of a step's codes describe signal.

        Parameters
        ----------
        region_mask : Tensor of bool, shape (B, N)
            False for a region without signal.

        Returns
        -------
        Tensor of bool, shape (B, N)
            All codes of a shared basis; with a basis of regions, those of the present ones.
        """
        is_shared = self.config.token_basis == "shared"
        return torch.ones_like(region_mask) if is_shared else region_mask

    def text_embeddings(self, codes: Tensor) -> Tensor:
        """Codes in the language model's text space, shape (B, W, N, C).

        Raises
        ------
        InputError
            If the tokenizer was made without a text space.
        """
        return self.project_to_text(self.from_coefficients(self.coefficients(codes)))

    def project_to_text(self, quantized: Tensor) -> Tensor:
        """Quantized latents, shape (B, W, N, D), in the text space, shape (B, W, N, C).

        Raises
        ------
        InputError
            If the tokenizer was made without a text space.
        """
        if self.to_text is None:
            raise InputError(
                "tokenizer: it has no text space; fit it with --text and --language-model"
            )
        return self.to_text(quantized)

    def forward(self, x: Tensor, region_mask: Tensor | None = None) -> Reconstructed:
        """Encode, quantize and decode; in training mode the codebook is updated.

        The parameters are those of `encode`.
        """
        region_mask = mask_per_scan(region_mask, len(x), self.config)
        encoded, losses = self._encode(x, region_mask)
        signal = self._to_signal(encoded.quantized, region_mask)[:, : x.shape[1]]
        return Reconstructed(signal, encoded, losses)

    def enable_activation_checkpointing(self, enabled: bool = True) -> Self:
        """Store only the inputs of blocks in training, and recompute the rest in the backward pass.

        Gradients stay the same, memory falls, and a step takes about a third longer. Returns the
        tokenizer itself.
        """
        for half in (self.encoder, self.decoder):
            half.transformer.checkpointing = enabled
        return self

    @torch.no_grad()
    def initialise(self, windows: Tensor, generator: torch.Generator) -> None:
        """Initialise bases along time and across regions, and the codebook, from training data.

        The result is a transform coder with a k-means codebook, which training improves.

        Parameters
        ----------
        windows : Tensor, shape (n, T, N)
        generator : torch.Generator
            Draws the initial centres of the codebook.
        """
        patches = to_patches(windows, self.config.patch_frames).flatten(0, 1)
        samples = patches.flatten(0, 1).double()
        temporal = principal_axes(samples.T @ samples / len(samples))
        temporal = temporal[:, : self.config.n_temporal].float()
        self.encoder.init_basis(temporal)
        self.decoder.init_basis(temporal)
        coefficients = torch.cat(
            [self.to_coefficients(self.encoder(batch)) for batch in windows.split(16)]
        )
        if self.config.token_basis == "shared":
            self.basis.fit(coefficients.flatten(0, 1))
        steps = self.basis.to_tokens(coefficients).flatten(0, 1)
        self.quantizer.initialise(steps, generator)

    @torch.no_grad()
    def init_text_space(self, table: Tensor, center: Tensor) -> None:
        """Scale the text projection to the size of text embeddings, and store the captions' mean.

        Parameters
        ----------
        table : Tensor, shape (V, C)
            Frozen token embeddings of the language model.
        center : Tensor, shape (C,)
            Mean text feature of the training captions; stored in the buffer ``text_center``.
        """
        projection = cast("nn.Linear", cast("nn.Sequential", self.to_text)[1])
        size = float(table.square().mean().sqrt())
        projection.weight.mul_(size / (projection.weight.norm() / len(center) ** 0.5))
        projection.bias.zero_()
        self.text_center.copy_(center)

    @torch.no_grad()
    def _init_identity_maps(self) -> None:
        """Make the coefficients the first channels of the latents, on both sides."""
        self.to_coefficients.weight.copy_(torch.eye(*self.to_coefficients.weight.shape))
        self.from_coefficients.weight.copy_(torch.eye(*self.from_coefficients.weight.shape))
        self.to_coefficients.bias.zero_()
        self.from_coefficients.bias.zero_()
        # A patch has no more coordinates than these: the other coefficients start at 0.
        self.to_coefficients.weight[self.config.n_temporal :].zero_()

    def _latents(self, x: Tensor, region_mask: Tensor | None) -> Tensor:
        check_signal(x, self.config)
        if region_mask is not None:
            x = x.masked_fill(~region_mask[:, None], 0.0)
        return self.encoder(x, region_mask)

    def _encode(
        self, x: Tensor, region_mask: Tensor | None = None
    ) -> tuple[Encoded, dict[str, Tensor]]:
        latents = self._latents(x, region_mask)
        coefficients = self.to_coefficients(latents)
        if region_mask is not None:
            # The shared basis mixes regions, so a missing one must contribute nothing.
            coefficients = coefficients * region_mask[:, None, :, None]
        vectors, codes, losses = self.quantizer(self.basis.to_tokens(coefficients))
        decoded = self.basis.to_regions(vectors)
        return Encoded(codes, latents, self.from_coefficients(decoded), decoded), losses

    def _to_signal(self, quantized: Tensor, region_mask: Tensor | None) -> Tensor:
        return self.decoder(quantized, region_mask)[:, : self.config.n_frames]


def _halves(
    config: FMRITokenizerConfig, depth: int, region_features: Tensor | None
) -> tuple[int, SpaceTimePositions, GridTransformer, int]:
    """Arguments of the encoder and of the decoder."""
    positions = SpaceTimePositions(config.n_steps, config.n_regions, config.width, region_features)
    transformer = GridTransformer(
        config.width, depth, config.n_heads, config.attention, config.temporal_attention
    )
    return config.patch_frames, positions, transformer, config.width


def _head(n_in: int, n_out: int, hidden_width: int | None) -> nn.Linear:
    """Map between latents and coefficients; with a hidden width, plus a perceptron."""
    if hidden_width is None:
        return nn.Linear(n_in, n_out)
    return CorrectedLinear(n_in, n_out, hidden_width)
