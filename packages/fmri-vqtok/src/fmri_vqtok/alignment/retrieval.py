"""Retrieval of scans by their captions: how often the nearest scan is the caption's own."""

import torch
from torch import Tensor
from torch.nn import functional

from fmri_vqtok.alignment.pooling import Pooled


def retrieval_tally(pooled: Pooled, places: Tensor, n_scans: int) -> Tensor:
    """Weighted sums of the vectors of each scan's windows, and of the weights; they add up.

    Parameters
    ----------
    pooled : Pooled
        Of B windows of width C.
    places : Tensor of int64, shape (B,)
        Which scan each window is from, from 0 to ``n_scans`` - 1.
    n_scans : int

    Returns
    -------
    Tensor of float64, shape (n_scans, C + 1)
        Over all windows of a scan, the first C columns divided by the last are its pooled vector.
    """
    weights = pooled.log_weights.double().exp()[:, None]
    rows = torch.cat([weights * pooled.vectors.double(), weights], dim=1)
    return rows.new_zeros(n_scans, rows.shape[1]).index_add(0, places, rows)


def retrieval_metrics(tally: Tensor, captions: Tensor) -> dict[str, float]:
    """Share of captions whose nearest scan is their own, and that of chance.

    Parameters
    ----------
    tally : Tensor, shape (S, C + 1)
        Of `retrieval_tally`, over all windows; scans without any are left out.
    captions : Tensor, shape (S, C)
        Centred features.

    Returns
    -------
    dict of str to float
        "retrieval_top1", where scans that are equally near share one hit, and "retrieval_chance",
        1 / S.
    """
    has_windows = tally[:, -1] > 0
    tally, captions = tally[has_windows], captions[has_windows].to(tally)
    vectors = functional.normalize(tally[:, :-1] / tally[:, -1:], dim=1)
    cosines = functional.normalize(captions, dim=1) @ vectors.T
    nearest = cosines >= cosines.amax(dim=1, keepdim=True) - TIE
    hits = nearest.diagonal() / nearest.sum(dim=1)
    return {"retrieval_top1": float(hits.mean()), "retrieval_chance": 1 / len(captions)}


TIE = 1e-9
"""Cosines that differ by less are equal but for rounding."""
