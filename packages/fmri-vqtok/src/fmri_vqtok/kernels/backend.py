"""Which implementation of the kernels runs."""

import os
from importlib.util import find_spec
from typing import Literal

import torch

from fmri_vqtok.errors import InputError
from fmri_vqtok.kernels.verification import triton_agrees

VARIABLE = "FMRI_VQTOK_KERNELS"
MODES = ("off", "auto", "require")
BACKENDS = ("auto", "torch", "triton")

Backend = Literal["auto", "torch", "triton"]


def chosen_backend(
    device: torch.device | str, backend: Backend = "auto"
) -> Literal["torch", "triton"]:
    """Name of the implementation that runs on a device.

    Parameters
    ----------
    device : torch.device or str
    backend : {"auto", "torch", "triton"}, default="auto"
        "auto" follows the environment variable ``FMRI_VQTOK_KERNELS``: "auto" (its default) is
        Triton on a CUDA device where it is installed and agrees with torch, see
        `fmri_vqtok.kernels.verification.triton_agrees`; "off" is torch, "require" is Triton.

    Returns
    -------
    {"torch", "triton"}

    Raises
    ------
    InputError
        If ``backend`` or the variable has another value, or Triton is wanted and cannot run.
    """
    mode = os.environ.get(VARIABLE, "auto")
    if mode not in MODES:
        raise InputError(f"{VARIABLE}={mode}: set it to one of {', '.join(MODES)}")
    if backend not in BACKENDS:
        raise InputError(f"backend: {backend!r}; give one of {', '.join(BACKENDS)}")
    kind = torch.device(device).type
    if backend == "triton":
        return _triton_on(kind, "backend='triton'")
    if backend == "auto" and mode == "require":
        return _triton_on(kind, f"{VARIABLE}=require")
    wanted = backend == "auto" and mode == "auto" and kind == "cuda" and find_spec("triton")
    return "triton" if wanted and triton_agrees(torch.device(device)) else "torch"


def _triton_on(kind: str, asked: str) -> Literal["triton"]:
    if find_spec("triton") is None:
        raise InputError(f"{asked}, but Triton is missing: pip install 'fmri-vqtok[kernels]'")
    if kind != "cuda" and os.environ.get("TRITON_INTERPRET") != "1":
        raise InputError(
            f"{asked}, but the vectors are on '{kind}': use a CUDA device or {VARIABLE}=auto"
        )
    return "triton"
