"""The tokenizer: signal to codes in a language model's text space, and back."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, Self, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from fmri_vqtok.config.model import FMRITokenizerConfig
from fmri_vqtok.errors import InputError, check_choice
from fmri_vqtok.model.decoder import Decoder
from fmri_vqtok.model.encoder import Encoder
from fmri_vqtok.model.pooling import LEVELS, pool
from fmri_vqtok.model.position_embedding import SpaceTimePositions, check_region_features
from fmri_vqtok.model.token_basis import TokenBasis, principal_axes
from fmri_vqtok.model.transformer import CorrectedLinear, GridTransformer, to_patches
from fmri_vqtok.pretrained import directory, hub
from fmri_vqtok.pretrained.region_order import permutation
from fmri_vqtok.processor import TimeSeriesProcessor
from fmri_vqtok.quantizers import make_quantizer


class Encoded(NamedTuple):
    """What the tokenizer makes of a signal.

    Attributes
    ----------
    codes : Tensor of int64, shape (B, W, N)
    latents : Tensor, shape (B, W, N, D)
        The encoder's output, before quantization.
    quantized : Tensor, shape (B, W, N, D)
        What the codes say of each region, in the decoder's input space.
    """

    codes: Tensor
    latents: Tensor
    quantized: Tensor


class Reconstructed(NamedTuple):
    """A signal after the whole way through the codes.

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


class FMRITokenizer(nn.Module):
    """Discrete tokens of a (time, regions) signal.

    Parameters
    ----------
    config : FMRITokenizerConfig
    processor : TimeSeriesProcessor, optional
        What turned recordings into the signals that the tokenizer was trained on.
    parcellation : str, optional
        Name of the parcellation of the regions.
    order_hash : str, optional
        Hash of the ordered region labels.
    labels : sequence of str, optional
        Region labels in order.
    region_features : Tensor, shape (N, F), optional
        What positions of regions are made of, with ``region_positions="geometry"``; standardised
        over the regions.

    Attributes
    ----------
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
        super().__init__()
        if labels is not None and len(labels) != config.n_regions:
            raise InputError(
                f"labels: {len(labels)}; give one for each of {config.n_regions} regions"
            )
        check_region_features(region_features, config.n_regions, config.n_position_features)
        self.config = config
        self.processor = processor
        self.parcellation = parcellation
        self.order_hash = order_hash
        self.labels = None if labels is None else tuple(labels)
        self.card: str | None = None
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
        self._pass_through_first_channels()

    def encode(self, x: Tensor, mask: Tensor | None = None) -> Encoded:
        """Codes of a signal, with what stands before and behind them.

        Parameters
        ----------
        x : Tensor, shape (B, T, N)
            As the processor makes it; T at most the configured number of frames.
        mask : Tensor of bool, shape (B, N) or (N,), optional
            False for missing regions: whatever stands in them changes nothing of the others.

        Returns
        -------
        Encoded

        Raises
        ------
        InputError
            If the number of regions or frames does not fit.
        """
        return self._encode(x, self._present(mask, len(x)))[0]

    def decode(self, codes: Tensor, mask: Tensor | None = None) -> Tensor:
        """Signal that codes stand for.

        Parameters
        ----------
        codes : Tensor of int64, shape (B, W, N)
        mask : Tensor of bool, shape (B, N) or (N,), optional
            False for regions that were missing: no other is corrected by them.

        Returns
        -------
        Tensor, shape (B, T, N)
        """
        quantized = self._dequantize(self.quantizer.lookup(codes))
        return self._to_signal(quantized, self._present(mask, len(codes)))

    def embed(self, x: Tensor, level: str = "patch", mask: Tensor | None = None) -> Tensor:
        """Continuous embedding of a signal: the encoder's output, a mean of it, or its couplings.

        Parameters
        ----------
        x : Tensor, shape (B, T, N)
        level : {"patch", "step", "scan", "connectome"}
            "patch": each region in each step, (B, W, N, D). "step": mean over the regions that
            are present, (B, W, D). "scan": mean over them and the steps, (B, D). "connectome": how
            each pair of regions moves together, (B, N (N - 1) / 2), which is what tells people
            apart; see `fmri_vqtok.model.pooling.coupling`.
        mask : Tensor of bool, shape (B, N) or (N,), optional
            False for missing regions, which are neither looked at nor counted.

        Returns
        -------
        Tensor

        Raises
        ------
        InputError
            If there is no such level, or the signal or the mask does not fit.
        """
        check_choice("level", level, LEVELS)
        present = self._present(mask, len(x))
        return pool(self._latents(x, present), level, present)

    def informative(self, present: Tensor) -> Tensor:
        """Which of a step's codes say something about the signal.

        Parameters
        ----------
        present : Tensor of bool, shape (B, N)
            False for a region without signal.

        Returns
        -------
        Tensor of bool, shape (B, N)
            All codes of a shared basis; with a basis of regions, those of the present ones.
        """
        return torch.ones_like(present) if self.config.token_basis == "shared" else present

    def text_embeddings(self, codes: Tensor) -> Tensor:
        """Codes in the language model's text space, shape (B, W, N, C).

        Raises
        ------
        InputError
            If the tokenizer was made without a text space.
        """
        return self.project_to_text(self._dequantize(self.quantizer.lookup(codes)))

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

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Reconstructed:
        """Encode, quantize and decode, as `encode` does; in training mode the codebook moves."""
        present = self._present(mask, len(x))
        encoded, losses = self._encode(x, present)
        signal = self._to_signal(encoded.quantized, present)[:, : x.shape[1]]
        return Reconstructed(signal, encoded, losses)

    def enable_activation_checkpointing(self, enabled: bool = True) -> Self:
        """Keep the inputs of blocks alone in training, and compute the rest again when it is due.

        Gradients stay the same; memory falls, and a step takes about a third longer. Returns the
        tokenizer itself.
        """
        for half in (self.encoder, self.decoder):
            half.transformer.checkpointing = enabled
        return self

    def permutation_from(self, labels: Sequence[str]) -> NDArray[np.int64]:
        """Index that brings regions with these labels into the tokenizer's order.

        Parameters
        ----------
        labels : sequence of str
            Labels of the columns of a signal.

        Returns
        -------
        ndarray of int64, shape (N,)
            ``signal[..., index]`` can be encoded.

        Raises
        ------
        InputError
            If the tokenizer knows no labels, or these are others.
        """
        if self.labels is None:
            raise InputError(
                "tokenizer: it was saved without region labels, so no order can be told from it; "
                f"compare with order {self.order_hash} of parcellation '{self.parcellation}'"
            )
        return permutation(self.labels, labels)

    @torch.no_grad()
    def initialise(self, windows: Tensor, generator: torch.Generator) -> None:
        """Start from training data: bases along time and across regions, and the codebook.

        At this start the tokenizer is a transform coder with a k-means codebook; training only
        has to improve on it.

        Parameters
        ----------
        windows : Tensor, shape (n, T, N)
        generator : torch.Generator
            Draws the first centres of the codebook.
        """
        patches = to_patches(windows, self.config.patch_frames).flatten(0, 1)
        samples = patches.flatten(0, 1).double()
        temporal = principal_axes(samples.T @ samples / len(samples))
        temporal = temporal[:, : self.config.n_temporal].float()
        self.encoder.start_at(temporal)
        self.decoder.start_at(temporal)
        coefficients = torch.cat(
            [self.to_coefficients(self.encoder(batch)) for batch in windows.split(16)]
        )
        if self.config.token_basis == "shared":
            self.basis.fit(coefficients.flatten(0, 1))
        steps = self.basis.to_tokens(coefficients).flatten(0, 1)
        self.quantizer.initialise(steps, generator)

    @torch.no_grad()
    def start_text_space(self, table: Tensor, center: Tensor) -> None:
        """Start the projection at the size of text embeddings, and keep the captions' mean.

        Parameters
        ----------
        table : Tensor, shape (V, C)
            Frozen token embeddings of the language model.
        center : Tensor, shape (C,)
            Mean text feature of the training captions; kept in the buffer ``text_center``.
        """
        projection = cast("nn.Linear", cast("nn.Sequential", self.to_text)[1])
        size = float(table.square().mean().sqrt())
        projection.weight.mul_(size / (projection.weight.norm() / len(center) ** 0.5))
        projection.bias.zero_()
        self.text_center.copy_(center)

    def save_pretrained(self, directory: Path | str) -> None:
        """Write ``config.json`` and ``model.safetensors`` into a directory, made if there is none.

        A model card that the tokenizer has in ``card`` is written too, as ``README.md``.
        """
        directory.write(self, directory)

    def push_to_hub(
        self,
        repo_id: str,
        *,
        private: bool | None = None,
        token: str | None = None,
        endpoint: str | None = None,
    ) -> str:
        """Upload the tokenizer with its model card to the Hugging Face Hub.

        Parameters
        ----------
        repo_id : str
            "owner/name"; made if it does not exist.
        private : bool, optional
            Whether a repository that is made is private; by default as the owner has it.
        token : str, optional
            By default the one that ``hf auth login`` stored.
        endpoint : str, optional
            Address of another Hub.

        Returns
        -------
        str
            Address of the commit.

        Raises
        ------
        InputError
            If huggingface_hub is not installed, or the Hub refuses or cannot be reached.
        """
        if self.card is None:
            from fmri_vqtok.pretrained.model_card import model_card

            self.card = model_card(self)
        files = directory.files(self)
        return hub.upload(repo_id, files, private=private, token=token, endpoint=endpoint)

    @property
    def fingerprint(self) -> str:
        """Start of the SHA-256 of ``config.json`` and ``model.safetensors``: 16 hex digits."""
        return directory.fingerprint(self)

    @classmethod
    def from_pretrained(
        cls,
        directory: Path | str,
        *,
        order_hash: str | None = None,
        labels: Sequence[str] | None = None,
        revision: str | None = None,
    ) -> Self:
        """Tokenizer that `save_pretrained` wrote, in evaluation mode.

        Parameters
        ----------
        directory : path or str
            A folder, or "owner/name" on the Hugging Face Hub.
        order_hash : str, optional
            Hash of the region order of the signals to come.
        labels : sequence of str, optional
            Region labels of the signals to come, in order.
        revision : str, optional
            Branch, tag or commit on the Hub.

        Raises
        ------
        InputError
            If the folder holds no tokenizer or a broken one, is of a newer schema, or has another
            region order; where labels tell, with the permutation that would mend it.
        """
        return directory.load(
            cls, directory, order_hash=order_hash, labels=labels, revision=revision
        )

    @torch.no_grad()
    def _pass_through_first_channels(self) -> None:
        """Let the coefficients be the first channels of the latents, on both sides."""
        self.to_coefficients.weight.copy_(torch.eye(*self.to_coefficients.weight.shape))
        self.from_coefficients.weight.copy_(torch.eye(*self.from_coefficients.weight.shape))
        self.to_coefficients.bias.zero_()
        self.from_coefficients.bias.zero_()
        # A patch has no more coordinates than these: at the start the other coefficients are 0.
        self.to_coefficients.weight[self.config.n_temporal :].zero_()

    def _latents(self, x: Tensor, present: Tensor | None) -> Tensor:
        self._check(x)
        if present is not None:
            x = x.masked_fill(~present[:, None], 0.0)
        return self.encoder(x, present)

    def _encode(
        self, x: Tensor, present: Tensor | None = None
    ) -> tuple[Encoded, dict[str, Tensor]]:
        latents = self._latents(x, present)
        coefficients = self.to_coefficients(latents)
        if present is not None:
            # The shared basis mixes regions, so a missing one must have nothing to say.
            coefficients = coefficients * present[:, None, :, None]
        vectors, codes, losses = self.quantizer(self.basis.to_tokens(coefficients))
        return Encoded(codes, latents, self._dequantize(vectors)), losses

    def _dequantize(self, vectors: Tensor) -> Tensor:
        return self.from_coefficients(self.basis.to_regions(vectors))

    def _to_signal(self, quantized: Tensor, present: Tensor | None = None) -> Tensor:
        return self.decoder(quantized, present)[:, : self.config.n_frames]

    def _present(self, mask: Tensor | None, n_scans: int) -> Tensor | None:
        """Mask for each scan, shape (B, N); None where nothing is missing."""
        if mask is None:
            return None
        n_regions = self.config.n_regions
        if mask.dtype != torch.bool or tuple(mask.shape) not in (
            (n_regions,),
            (n_scans, n_regions),
        ):
            raise InputError(
                f"mask: {mask.dtype} of shape {tuple(mask.shape)}; give bool of shape "
                f"({n_scans}, {n_regions}) or ({n_regions},), True for regions that are present"
            )
        return None if bool(mask.all()) else mask.expand(n_scans, -1)

    def _check(self, x: Tensor) -> None:
        config = self.config
        if x.ndim != 3 or x.shape[2] != config.n_regions or x.shape[1] > config.n_frames:
            raise InputError(
                f"signal: shape {tuple(x.shape)}; give (scans, frames, regions) with at most "
                f"{config.n_frames} frames and {config.n_regions} regions"
            )


def _halves(
    config: FMRITokenizerConfig, depth: int, region_features: Tensor | None
) -> tuple[int, SpaceTimePositions, GridTransformer, int]:
    """Parts that encoder and decoder are made of alike."""
    positions = SpaceTimePositions(config.n_steps, config.n_regions, config.width, region_features)
    transformer = GridTransformer(
        config.width, depth, config.n_heads, config.attention, config.temporal_attention
    )
    return config.patch_frames, positions, transformer, config.width


def _head(n_in: int, n_out: int, hidden_width: int | None) -> nn.Linear:
    """Map between latents and coefficients; with a hidden width, corrected by a perceptron."""
    if hidden_width is None:
        return nn.Linear(n_in, n_out)
    return CorrectedLinear(n_in, n_out, hidden_width)
