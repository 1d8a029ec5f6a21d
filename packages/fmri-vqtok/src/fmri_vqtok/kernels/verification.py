"""Check before use that the Triton kernels agree with plain torch on a device."""

import functools
import logging
import textwrap
from collections.abc import Iterator
from types import ModuleType

import torch
from torch import Tensor

from fmri_vqtok.kernels import reference

_SHAPES = ((1, 1, 1), (37, 5, 3), (200, 130, 16), (300, 512, 40))
"""Vectors, codes and width: below, at and beyond the kernels' blocks, and no multiple of them."""

_log = logging.getLogger(__name__)


@functools.cache
def triton_agrees(device: torch.device) -> bool:
    """Whether the Triton kernels compile on a device and agree there with plain torch.

    Tested once per device and process, on a few shapes in each type that vectors may have. A
    kernel that fails or differs is reported in one line of the log.

    Parameters
    ----------
    device : torch.device
    """
    try:
        from fmri_vqtok.kernels import triton_kernels

        different = next(_differences(triton_kernels, device), None)
    except Exception as error:  # noqa: BLE001 - a compiler or driver can fail in any way
        different = textwrap.shorten(f"{type(error).__name__}: {error}", 200, placeholder=" ...")
    if different is not None:
        _log.warning("Triton kernels on %s: %s; plain torch runs in their place", device, different)
    return different is None


def _differences(kernels: ModuleType, device: torch.device) -> Iterator[str]:
    generator = torch.Generator().manual_seed(0)
    for dtype in (torch.float32, torch.bfloat16, torch.float16):
        for n_rows, n_codes, width in _SHAPES:
            x = torch.randn(n_rows, width, generator=generator).to(device, dtype)
            codebook = torch.randn(n_codes, width, generator=generator).to(device)
            where = f"{n_rows} vectors of {width} {dtype}, {n_codes} codes"
            codes = kernels.nearest_code(x, codebook)
            if not _as_near(x, codebook, codes):
                yield f"nearest_code differs for {where}"
            own, other = (m.sum_by_code(x, codes, n_codes) for m in (kernels, reference))
            if not all(torch.allclose(a, b, atol=1e-3) for a, b in zip(own, other, strict=True)):
                yield f"sum_by_code differs for {where}"


def _as_near(x: Tensor, codebook: Tensor, codes: Tensor) -> bool:
    """Whether the codes are as near as those of plain torch; ties may be rounded differently."""
    if codes.dtype != torch.int64 or codes.min() < 0 or codes.max() >= len(codebook):
        return False
    found, expected = codebook[codes], codebook[reference.nearest_code(x, codebook)]
    own, least = ((x.float() - chosen).norm(dim=1) for chosen in (found, expected))
    return torch.allclose(own, least, rtol=1e-4, atol=1e-5)
