"""Nearest codebook vector, in plain torch."""

import torch
from torch import Tensor

CHUNK_ROWS = 8192
"""Rows whose distances to all codes are held at one time."""


def nearest_code(x: Tensor, codebook: Tensor) -> Tensor:
    """Index of the codebook vector at the smallest Euclidean distance.

    Distances are taken in float32 whatever the input's type, and ties go to the lower index.

    Parameters
    ----------
    x : Tensor, shape (..., d)
    codebook : Tensor, shape (K, d)

    Returns
    -------
    Tensor of int64, shape (...)
    """
    with torch.autocast(x.device.type, enabled=False):
        codes = codebook.float()
        half_norms = codes.square().sum(dim=1) / 2
        chunks = x.reshape(-1, x.shape[-1]).split(CHUNK_ROWS)
        # |x - c|^2 / 2 without the term that is the same for every code
        nearest = [(half_norms - rows.float() @ codes.T).argmin(dim=1) for rows in chunks]
    return torch.cat(nearest).reshape(x.shape[:-1])
