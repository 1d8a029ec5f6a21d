"""Numerical kernels: plain torch everywhere, fused Triton on a GPU."""

from fmri_vqtok.kernels.backend import chosen_backend
from fmri_vqtok.kernels.ops import nearest_code, sum_by_code

__all__ = ["chosen_backend", "nearest_code", "sum_by_code"]
