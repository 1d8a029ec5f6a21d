"""Quantizers of the package vector-quantize-pytorch, behind the same interface."""

import inspect
import math
from collections.abc import Mapping
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, nn

from fmri_vqtok.errors import InputError, did_you_mean
from fmri_vqtok.quantizers.base import Quantized, Quantizer
from fmri_vqtok.quantizers.external_probe import FIX, isolated, one_line_errors, probe
from fmri_vqtok.quantizers.packing import pack, unpack

MAX_CODES = 2**31 - 1
"""Most codes: tokens are written as 32-bit whole numbers."""

_N_PROBED = 2
"""Vectors that are quantized to find the shape of the codes."""


class ExternalQuantizer(Quantizer):
    """A quantizer that takes (b, n, d) and returns vectors, codes and perhaps a loss.

    Codes of several codebooks, shape (b, n, q), are packed to one by
    `fmri_vqtok.quantizers.packing.pack`. Straight-through gradients and losses are the quantizer's
    own; it computes in float32, inside autocast too.

    Parameters
    ----------
    module : nn.Module
        Made with ``dim``; has ``codebook_size`` and ``get_output_from_indices`` or
        ``indices_to_codes``.
    dim : int
        d.

    Raises
    ------
    InputError
        If the module cannot decode codes, gives codes of another shape, or has too many codes.
    """

    def __init__(self, module: nn.Module, dim: int) -> None:
        super().__init__()
        name = type(module).__name__
        methods = ("get_output_from_indices", "indices_to_codes")
        method = next((method for method in methods if hasattr(module, method)), None)
        size = getattr(module, "codebook_size", None)
        if method is None or not isinstance(size, int):
            raise InputError(
                f"external.name: '{name}' cannot decode codes to vectors, or has no single "
                "number of codes; give another quantizer, such as 'VectorQuantize'"
            )
        self.module, self.dim, self.size = module, dim, size
        self.decode_method = method
        with isolated(), one_line_errors(name, "quantize a vector"), torch.no_grad():
            # A copy: some quantizers initialise from the first vectors that they get.
            indices = deepcopy(module).eval()(torch.zeros(1, _N_PROBED, dim))[1]
            shape = tuple(indices.shape)
        if shape[:2] != (1, _N_PROBED) or len(shape) > 3:
            raise InputError(
                f"external.name: '{name}' gives codes of shape {shape} for vectors of shape "
                f"{(1, _N_PROBED, dim)}, and not one code or one row per vector; {FIX}"
            )
        self.sizes = (size,) * shape[2] if len(shape) == 3 else ()  # of codebooks to be packed
        self.n_codes = math.prod(self.sizes or (size,))
        if self.n_codes > MAX_CODES:
            raise InputError(
                f"external.name: '{name}' has {self.n_codes} codes; give options that make at most "
                f"{MAX_CODES}"
            )

    @property
    def no_weight_decay(self) -> tuple[str, ...]:
        """All parameters, since it is not known which of them are code vectors."""
        return tuple(name for name, _ in self.named_parameters())

    def forward(self, x: Tensor) -> Quantized:
        """Quantize ``x``, shape (..., d); the quantizer's loss is called "external"."""
        with torch.autocast(x.device.type, enabled=False):
            vectors, indices, *rest = self.module(x.float().reshape(1, -1, self.dim))
        losses = {"external": rest[0].float().sum()} if rest else {}
        codes = pack(indices.long(), self.sizes) if self.sizes else indices.long()
        return Quantized(vectors.reshape(x.shape).to(x.dtype), codes.reshape(x.shape[:-1]), losses)

    def lookup(self, codes: Tensor) -> Tensor:
        """Vectors of ``codes``, shape (..., d)."""
        flat = codes.reshape(1, -1)
        indices = unpack(flat, self.sizes) if self.sizes else flat
        return getattr(self.module, self.decode_method)(indices).reshape(*codes.shape, self.dim)

    @torch.no_grad()
    def initialise(self, samples: Tensor, generator: torch.Generator) -> None:
        """Run training vectors, shape (..., d), through the quantizer once, in training mode."""
        seed = int(torch.randint(2**31, (), generator=generator))
        was_training = self.training
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.train()(samples.flatten(0, -2))
        self.train(was_training)


def make_external(name: str, options: Mapping[str, Any], dim: int) -> ExternalQuantizer:
    """Quantizer of vector-quantize-pytorch by the name of its class.

    Parameters
    ----------
    name : str
    options : mapping
        What the class is made with, besides ``dim``.
    dim : int
        d.

    Raises
    ------
    InputError
        If the package is not installed, has no such class or option, or the quantizer does not
        pass the probe; see `fmri_vqtok.quantizers.external_probe.probe`.
    """
    try:
        import vector_quantize_pytorch as package
    except ModuleNotFoundError as error:
        raise InputError(
            "quantizer: 'external' needs the package vector-quantize-pytorch; "
            'pip install "fmri-vqtok[external]"'
        ) from error
    known = [key for key, value in vars(package).items() if isinstance(value, type)]
    if name not in known:
        raise InputError(f"external.name: '{name}'; {did_you_mean(name, known)}")
    kind = getattr(package, name)
    taken = [key for key in inspect.signature(kind).parameters if key not in ("dim", "self")]
    for key in options:
        if key not in taken and "kwargs" not in " ".join(taken):
            hint = did_you_mean(key, taken)
            raise InputError(f"external.options.{key}: {name} takes none; {hint}")
    with one_line_errors(name, "be made with these options"):
        module = kind(dim=dim, **options)
    quantizer = ExternalQuantizer(module, dim)
    probe(quantizer, name)
    return quantizer
