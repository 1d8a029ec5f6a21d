"""Numerical kernels: plain torch everywhere, fused Triton on a GPU."""

from fmri_vqtok.kernels.operators import nearest_code, sum_by_code
from fmri_vqtok.kernels.switch import chosen_backend

__all__ = ["chosen_backend", "nearest_code", "sum_by_code"]
