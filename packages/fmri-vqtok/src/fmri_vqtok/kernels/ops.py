"""The kernels as torch operators, which torch.compile keeps as single nodes."""

from types import ModuleType

import torch
from torch import Tensor

from fmri_vqtok.kernels import reference
from fmri_vqtok.kernels.backend import Backend, chosen_backend


def nearest_code(x: Tensor, codebook: Tensor, backend: Backend = "auto") -> Tensor:
    """Index of the codebook vector at the smallest Euclidean distance.

    Distances are taken in float32 whatever the input's type, and ties go to the lower index. The
    full matrix of distances is never stored. No gradient passes.

    Parameters
    ----------
    x : Tensor, shape (..., d)
    codebook : Tensor, shape (K, d)
    backend : {"auto", "torch", "triton"}, default="auto"
        See `chosen_backend`.

    Returns
    -------
    Tensor of int64, shape (...)

    Raises
    ------
    InputError
        If the backend is unknown or cannot run.
    """
    rows = x.detach().reshape(-1, x.shape[-1])
    nearest = torch.ops.fmri_vqtok.nearest_code.default(rows, codebook.detach(), backend)
    return nearest.reshape(x.shape[:-1])


def sum_by_code(
    x: Tensor, codes: Tensor, n_codes: int, backend: Backend = "auto"
) -> tuple[Tensor, Tensor]:
    """Count and sum the vectors of each code in float32, as a running mean needs them.

    Parameters
    ----------
    x : Tensor, shape (M, d)
    codes : Tensor of int64, shape (M,)
        Below ``n_codes``.
    n_codes : int
        K.
    backend : {"auto", "torch", "triton"}, default="auto"
        See `chosen_backend`.

    Returns
    -------
    counts : Tensor of float32, shape (K,)
    sums : Tensor of float32, shape (K, d)

    Raises
    ------
    InputError
        If the backend is unknown or cannot run.
    """
    return torch.ops.fmri_vqtok.sum_by_code.default(x.detach(), codes, n_codes, backend)


# Not `torch.library.custom_op`: its first call imports the compiler, which takes seconds.
_LIBRARY = torch.library.Library("fmri_vqtok", "DEF")
_LIBRARY.define("nearest_code(Tensor x, Tensor codebook, str backend) -> Tensor")
_LIBRARY.define("sum_by_code(Tensor x, Tensor codes, int n_codes, str backend) -> (Tensor, Tensor)")


@torch.library.impl(_LIBRARY, "nearest_code", "CompositeExplicitAutograd")
def _nearest_code(x: Tensor, codebook: Tensor, backend: str) -> Tensor:
    return _implementation(x, backend).nearest_code(x, codebook)


@torch.library.register_fake("fmri_vqtok::nearest_code", lib=_LIBRARY)
def _(x: Tensor, codebook: Tensor, backend: str) -> Tensor:  # noqa: ARG001
    return x.new_empty(x.shape[0], dtype=torch.int64)


@torch.library.impl(_LIBRARY, "sum_by_code", "CompositeExplicitAutograd")
def _sum_by_code(x: Tensor, codes: Tensor, n_codes: int, backend: str) -> tuple[Tensor, Tensor]:
    return _implementation(x, backend).sum_by_code(x, codes, n_codes)


@torch.library.register_fake("fmri_vqtok::sum_by_code", lib=_LIBRARY)
def _(x: Tensor, codes: Tensor, n_codes: int, backend: str) -> tuple[Tensor, Tensor]:  # noqa: ARG001
    counts = x.new_empty(n_codes, dtype=torch.float32)
    return counts, x.new_empty(n_codes, x.shape[1], dtype=torch.float32)


def _implementation(x: Tensor, backend: str) -> ModuleType:
    if chosen_backend(x.device, backend) == "torch":  # type: ignore[arg-type]
        return reference
    from fmri_vqtok.kernels import triton_kernels

    return triton_kernels
