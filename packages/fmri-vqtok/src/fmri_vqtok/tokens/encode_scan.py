"""One scan as what a language model reads of it: the way of cohorts and of a new file."""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from fmri_vqtok.errors import InputError, check_choice
from fmri_vqtok.model.relations import region_covariance
from fmri_vqtok.scan_scale import ScanScale
from fmri_vqtok.tokenizer import FMRITokenizer
from fmri_vqtok.tokens.new_steps import new_steps

RELATIONS = ("codes", "latents", "recording")


class EncodedScan(NamedTuple):
    """Codes of all windows of a scan, and what is known of it besides.

    V windows, W steps, N regions.

    Attributes
    ----------
    codes : ndarray of int64, shape (V, W, N)
    region_mask : ndarray of bool, shape (N,)
        False for a region without signal.
    new : ndarray of bool, shape (V, W)
        False for a step with frames of the window before.
    scale : ScanScale or None
        What normalisation took out; None if the tokenizer's processor has no mean amplitudes.
    covariance : ndarray of float32, shape (N, N), or None
        Of the regions over all windows; a frame in two windows counts twice, as its codes do. None
        if relations are computed from codes.
    """

    codes: NDArray[np.int64]
    region_mask: NDArray[np.bool_]
    new: NDArray[np.bool_]
    scale: ScanScale | None
    covariance: NDArray[np.float32] | None


@torch.no_grad()
def encode_scan(
    tokenizer: FMRITokenizer,
    timeseries: ArrayLike,
    tr: float,
    site: str | None = None,
    *,
    unit: ArrayLike | None = None,
    relations: str = "codes",
    batch_size: int = 16,
) -> EncodedScan:
    """Encode all windows of a scan, on the device of the tokenizer.

    Parameters
    ----------
    tokenizer : FMRITokenizer
        With a processor, in evaluation mode.
    timeseries : array_like, shape (T, N)
        In the tokenizer's region order.
    tr : float
        Repetition time in seconds.
    site : str, optional
    unit : array_like, shape (N,), optional
        What 1 of each region is in the units of the recording, for a series that was standardised
        before; 1 by default.
    relations : {"codes", "latents", "recording"}
        What the covariance is computed from: nothing for codes, the coefficients before
        quantization, or the normalised signal.
    batch_size : int, default=16
        Windows encoded at a time.

    Returns
    -------
    EncodedScan

    Raises
    ------
    InputError
        If the tokenizer has no processor, or the scan does not fit it.
    """
    check_choice("relations", relations, RELATIONS)
    processor = tokenizer.processor
    if processor is None:
        raise InputError(
            "tokenizer: it has no processor; fit it with `fmri fit-tokenizer`, or set `processor`"
        )
    normalised = processor.normalise_with_scaling(timeseries, tr, site)
    windows = processor.cut(normalised.series)
    keep_latents = relations == "latents"
    codes, coefficients = _encode(tokenizer, windows, normalised.mask, batch_size, keep_latents)
    if relations == "recording":
        coefficients = windows[..., None]  # a frame is a step of one coefficient
    starts = processor.starts(len(normalised.series))
    config = tokenizer.config
    return EncodedScan(
        codes.numpy(),
        normalised.mask.numpy(),
        new_steps(starts, config.n_frames, config.patch_frames),
        processor.scale_of(normalised, tr, site, unit),
        None if coefficients is None else _covariance(coefficients, normalised.mask),
    )


def _encode(
    tokenizer: FMRITokenizer, windows: Tensor, mask: Tensor, batch_size: int, keep_latents: bool
) -> tuple[Tensor, Tensor | None]:
    """Codes of windows, (V, W, N), and the coefficients before quantization, (V, W, N, J)."""
    device = next(tokenizer.parameters()).device
    codes, coefficients = [], []
    for batch in windows.split(batch_size):
        encoded = tokenizer.encode(batch.to(device), mask.to(device))
        codes.append(encoded.codes.cpu())
        if keep_latents:
            coefficients.append(tokenizer.to_coefficients(encoded.latents).cpu())
    return torch.cat(codes), torch.cat(coefficients) if keep_latents else None


def _covariance(coefficients: Tensor, mask: Tensor) -> NDArray[np.float32]:
    """Covariance over all steps of all windows; coefficients of shape (V, W, N, J)."""
    steps = coefficients.flatten(0, 1)[None]
    return region_covariance(steps, mask[None])[0].numpy()
