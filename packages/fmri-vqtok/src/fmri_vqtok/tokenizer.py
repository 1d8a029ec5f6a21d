"""The tokenizer: signal to codes in a language model's text space, and back."""

import hashlib
import json
from dataclasses import asdict, dataclass, fields
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NamedTuple, Self, cast

import torch
from safetensors.torch import save as to_safetensors
from torch import Tensor, nn

from fmri_vqtok.blocks import GridTransformer, to_patches
from fmri_vqtok.decoder import Decoder
from fmri_vqtok.encoder import Encoder
from fmri_vqtok.errors import InputError
from fmri_vqtok.positions import SpaceTimePositions
from fmri_vqtok.processor import TimeSeriesProcessor
from fmri_vqtok.quantizer_settings import (
    QuantizerChoice,
    quantizer_sizes,
    without_default_quantizer,
)
from fmri_vqtok.quantizers import make_quantizer
from fmri_vqtok.reading import read_description, read_weights, reading
from fmri_vqtok.token_basis import TokenBasis, principal_axes

SCHEMA = 1
"""Newest layout of ``config.json`` that this version reads, and the one it writes."""

PRESETS: dict[str, dict[str, int]] = {
    "tiny": {
        "width": 128,
        "n_heads": 4,
        "encoder_depth": 2,
        "decoder_depth": 2,
        "n_codes": 512,
        "code_width": 16,
    },
}

_SIZES = (
    "n_regions",
    "n_frames",
    "patch_frames",
    "width",
    "n_heads",
    "encoder_depth",
    "decoder_depth",
    "n_codes",
    "code_width",
)


@dataclass(frozen=True, kw_only=True)
class FMRITokenizerConfig(QuantizerChoice):
    """Sizes of a tokenizer, and its quantizer.

    Attributes
    ----------
    n_regions : int
        N.
    n_frames : int
        T, longest signal; W = ceil(T / P) steps have positions.
    patch_frames : int
        P.
    width, n_heads, encoder_depth, decoder_depth : int
        Of the transformers.
    n_codes, code_width : int
        K and d, of the quantizer.
    quantizer : {"vq", "fsq", "residual", "external"}
        What makes tokens discrete; ``vq``, ``fsq``, ``residual`` and ``external`` hold the
        settings of each, as the classes of `fmri_vqtok.quantizer_settings` or as mappings.
    temporal_attention : {"causal", "full"}
        "full" lets a token see later steps; next-step prediction on its codes would be cheating.
    token_basis : {"shared", "regions"}
        "shared": the N codes of a step describe its regions together, so that no bit is spent on
        what two regions have in common. "regions": code (w, n) is about region n alone.
    text_width : int or None
        C, width of the text space; None without one.
    text_space : str or None
        Name of the language model whose text space it is.
    """

    n_regions: int
    n_frames: int = 160
    patch_frames: int = 32
    width: int
    n_heads: int
    encoder_depth: int
    decoder_depth: int
    n_codes: int
    code_width: int
    temporal_attention: str = "causal"
    token_basis: str = "shared"
    text_width: int | None = None
    text_space: str | None = None

    def __post_init__(self) -> None:
        for key in _SIZES:
            if getattr(self, key) < 1:
                raise InputError(f"{key}: {getattr(self, key)}; give at least 1")
        if self.temporal_attention not in ("causal", "full"):
            raise InputError(
                f"temporal_attention: '{self.temporal_attention}'; give 'causal' or 'full'"
            )
        if self.token_basis not in ("shared", "regions"):
            raise InputError(f"token_basis: '{self.token_basis}'; give 'shared' or 'regions'")
        if self.width % self.n_heads:
            raise InputError(f"width: {self.width}; give a multiple of n_heads, {self.n_heads}")
        self.check_quantizer(self.n_codes)

    @classmethod
    def preset(cls, name: str, *, n_regions: int, **changes: Any) -> Self:
        """Sizes by name.

        Parameters
        ----------
        name : {"tiny"}
        n_regions : int
        **changes
            Fields that differ from the preset.

        Raises
        ------
        InputError
            If there is no such preset or field.
        """
        if name not in PRESETS:
            raise InputError(f"preset: '{name}'; give one of {', '.join(sorted(PRESETS))}")
        known = [field.name for field in fields(cls)]
        for key in changes:
            if key not in known:
                near = get_close_matches(key, known, n=1, cutoff=0)[0]
                raise InputError(f"{key}: no such field of a tokenizer; did you mean '{near}'?")
        sizes = {**PRESETS[name], **quantizer_sizes(changes), **changes}
        return cls(n_regions=n_regions, **sizes)

    @property
    def n_steps(self) -> int:
        """W, time steps of the longest signal."""
        return -(-self.n_frames // self.patch_frames)

    @property
    def n_coefficients(self) -> int:
        """J, coefficients along time that the codes can draw on."""
        return min(self.patch_frames, self.width)


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
    ) -> None:
        super().__init__()
        self.config = config
        self.processor = processor
        self.parcellation = parcellation
        self.order_hash = order_hash
        width, n_coefficients = config.width, config.n_coefficients
        self.encoder = Encoder(*_halves(config, config.encoder_depth))
        self.to_coefficients = nn.Linear(width, n_coefficients)
        self.basis = TokenBasis(config.n_regions, n_coefficients, config.code_width)
        self.quantizer = make_quantizer(config, config.n_codes, config.code_width)
        self.from_coefficients = nn.Linear(n_coefficients, width)
        self.decoder = Decoder(*_halves(config, config.decoder_depth))
        self.to_text: nn.Module | None = None
        if config.text_width is not None:
            self.to_text = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, config.text_width))
            self.register_buffer("text_center", torch.zeros(config.text_width))
        self._pass_through_first_channels()

    def encode(self, x: Tensor) -> Encoded:
        """Codes of a signal, with what stands before and behind them.

        Parameters
        ----------
        x : Tensor, shape (B, T, N)
            As the processor makes it; T at most the configured number of frames.

        Returns
        -------
        Encoded

        Raises
        ------
        InputError
            If the number of regions or frames does not fit.
        """
        return self._encode(x)[0]

    def decode(self, codes: Tensor) -> Tensor:
        """Signal that codes stand for, shape (B, T, N), from codes, shape (B, W, N)."""
        return self._to_signal(self._dequantize(self.quantizer.lookup(codes)))

    def embed(self, x: Tensor) -> Tensor:
        """Continuous embedding of each patch of each region, shape (B, W, N, D)."""
        self._check(x)
        return self.encoder(x)

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

    def forward(self, x: Tensor) -> Reconstructed:
        """Encode, quantize and decode; in training mode the codebook moves."""
        encoded, losses = self._encode(x)
        return Reconstructed(self._to_signal(encoded.quantized)[:, : x.shape[1]], encoded, losses)

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
        temporal = temporal[:, : self.config.n_coefficients].float()
        self.encoder.start_at(temporal)
        self.decoder.start_at(temporal)
        coefficients = torch.cat(
            [self.to_coefficients(self.encoder(batch)) for batch in windows.split(16)]
        )
        if self.config.token_basis == "shared":
            self.basis.fit(coefficients.flatten(0, 1))
        vectors = self.basis.to_tokens(coefficients).flatten(0, 2)
        self.quantizer.initialise(vectors, generator)

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
        """Write ``config.json`` and ``model.safetensors`` into an existing directory."""
        for name, content in self._files().items():
            Path(directory, name).write_bytes(content)

    @property
    def fingerprint(self) -> str:
        """Start of the SHA-256 of the files that `save_pretrained` writes: 16 hex digits."""
        return hashlib.sha256(b"".join(self._files().values())).hexdigest()[:16]

    def _files(self) -> dict[str, bytes]:
        description = {
            "schema": SCHEMA,
            "model": without_default_quantizer(asdict(self.config)),
            "processor": self.processor.to_dict() if self.processor else None,
            "parcellation": self.parcellation,
            "order_hash": self.order_hash,
            "text_space": (
                {"name": self.config.text_space, "width": self.config.text_width}
                if self.to_text is not None
                else None
            ),
        }
        text = json.dumps(description, indent=2, sort_keys=True, ensure_ascii=False)
        weights = {name: value.contiguous() for name, value in self.state_dict().items()}
        return {
            "config.json": f"{text}\n".encode(),
            "model.safetensors": to_safetensors(weights),
        }

    @classmethod
    def from_pretrained(cls, directory: Path | str, *, order_hash: str | None = None) -> Self:
        """Tokenizer that `save_pretrained` wrote, in evaluation mode.

        Parameters
        ----------
        directory : path
        order_hash : str, optional
            Hash of the region order of the signals to come.

        Raises
        ------
        InputError
            If the folder holds no tokenizer or a broken one, is of a newer schema, or has another
            region order.
        """
        fix = "give the folder of a fitted tokenizer"
        keys = ("model", "processor", "parcellation", "order_hash")
        description = read_description(Path(directory, "config.json"), SCHEMA, fix, keys=keys)
        if order_hash is not None and description["order_hash"] != order_hash:
            raise InputError(
                f"{directory}: trained on region order {description['order_hash']} of parcellation "
                f"'{description['parcellation']}', but the signals have order {order_hash}; "
                "put the regions into the tokenizer's order, or fit a tokenizer for this one"
            )
        processor = description["processor"]
        with reading(Path(directory, "config.json"), fix):
            tokenizer = cls(
                FMRITokenizerConfig(**description["model"]),
                TimeSeriesProcessor.from_dict(processor) if processor else None,
                description["parcellation"],
                description["order_hash"],
            )
        weights = read_weights(Path(directory, "model.safetensors"), fix)
        with reading(Path(directory, "model.safetensors"), fix):
            tokenizer.load_state_dict(weights)
        return tokenizer.eval()

    @torch.no_grad()
    def _pass_through_first_channels(self) -> None:
        """Let the coefficients be the first channels of the latents, on both sides."""
        self.to_coefficients.weight.copy_(torch.eye(*self.to_coefficients.weight.shape))
        self.from_coefficients.weight.copy_(torch.eye(*self.from_coefficients.weight.shape))
        self.to_coefficients.bias.zero_()
        self.from_coefficients.bias.zero_()

    def _encode(self, x: Tensor) -> tuple[Encoded, dict[str, Tensor]]:
        latents = self.embed(x)
        tokens = self.basis.to_tokens(self.to_coefficients(latents))
        vectors, codes, losses = self.quantizer(tokens)
        return Encoded(codes, latents, self._dequantize(vectors)), losses

    def _dequantize(self, vectors: Tensor) -> Tensor:
        return self.from_coefficients(self.basis.to_regions(vectors))

    def _to_signal(self, quantized: Tensor) -> Tensor:
        return self.decoder(quantized)[:, : self.config.n_frames]

    def _check(self, x: Tensor) -> None:
        config = self.config
        if x.ndim != 3 or x.shape[2] != config.n_regions or x.shape[1] > config.n_frames:
            raise InputError(
                f"signal: shape {tuple(x.shape)}; give (scans, frames, regions) with at most "
                f"{config.n_frames} frames and {config.n_regions} regions"
            )


def _halves(
    config: FMRITokenizerConfig, depth: int
) -> tuple[int, SpaceTimePositions, GridTransformer, int]:
    """Parts that encoder and decoder are made of alike."""
    positions = SpaceTimePositions(config.n_steps, config.n_regions, config.width)
    transformer = GridTransformer(config.width, depth, config.n_heads, config.temporal_attention)
    return config.patch_frames, positions, transformer, config.width
