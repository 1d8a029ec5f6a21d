"""Quantizers: continuous vectors to codes and back."""

from fmri_vqtok.quantizers.base import Quantized, Quantizer
from fmri_vqtok.quantizers.vq import VectorQuantizer

__all__ = ["Quantized", "Quantizer", "VectorQuantizer"]
