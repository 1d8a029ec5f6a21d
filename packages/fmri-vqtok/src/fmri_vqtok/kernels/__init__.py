"""Numerical kernels."""

from fmri_vqtok.kernels.nearest_code import nearest_code

__all__ = ["nearest_code"]
