"""Quantizers: continuous vectors to codes and back."""

from fmri_vqtok.quantizers.base import Quantized, Quantizer
from fmri_vqtok.quantizers.external import ExternalQuantizer
from fmri_vqtok.quantizers.factory import make_quantizer
from fmri_vqtok.quantizers.fsq import FiniteScalarQuantizer
from fmri_vqtok.quantizers.residual import ResidualQuantizer
from fmri_vqtok.quantizers.trellis import TrellisQuantizer
from fmri_vqtok.quantizers.vq import VectorQuantizer

__all__ = [
    "ExternalQuantizer",
    "FiniteScalarQuantizer",
    "Quantized",
    "Quantizer",
    "ResidualQuantizer",
    "TrellisQuantizer",
    "VectorQuantizer",
    "make_quantizer",
]
