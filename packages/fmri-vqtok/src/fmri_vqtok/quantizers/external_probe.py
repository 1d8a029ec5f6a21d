"""Whether a quantizer of another package works in a tokenizer: checked when it is made."""

import contextlib
import random
import textwrap
from collections.abc import Iterator
from copy import deepcopy

import torch
from torch import Tensor

from fmri_vqtok.errors import InputError
from fmri_vqtok.quantizers.base import Quantizer

FIX = (
    "give other external.options, or another quantizer: 'VectorQuantize', 'ResidualVQ', 'FSQ', "
    "'LFQ' and 'SimVQ' work"
)

_N_VECTORS, _N_BATCHES = 64, 8
_TOLERANCE = 1e-4


@contextlib.contextmanager
def one_line_errors(name: str, does: str) -> Iterator[None]:
    """Turn whatever another package raises inside this context into one line.

    Parameters
    ----------
    name : str
    does : str
        What it failed to do, such as "be made".

    Raises
    ------
    InputError
        In place of whatever the package raises; an InputError passes unchanged.
    """
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        why = textwrap.shorten(f"{type(error).__name__}: {error}", 160, placeholder=" ...")
        raise InputError(f"external.name: '{name}' cannot {does} ({why}); {FIX}") from error


@contextlib.contextmanager
def isolated() -> Iterator[None]:
    """Use fixed seeds and no log inside this context, and restore the generators after it."""
    before = random.getstate()
    with torch.random.fork_rng(devices=[]), _quiet():
        torch.manual_seed(0)
        random.seed(0)
        try:
            yield
        finally:
            random.setstate(before)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Silence the package, which warns of the few vectors of a probe."""
    try:
        from loguru import logger
    except ModuleNotFoundError:
        yield
        return
    logger.disable("vector_quantize_pytorch")
    try:
        yield
    finally:
        logger.enable("vector_quantize_pytorch")


def probe(quantizer: Quantizer, name: str) -> None:
    """Refuse a quantizer that a tokenizer cannot train with, or whose codes do not decode.

    A copy is probed: some quantizers initialise from the first vectors that they get.

    Raises
    ------
    InputError
        If a batch cannot be quantized, its vectors have another shape, codes are no numbers from 0
        to below ``n_codes``, no gradient reaches the input in training; or if in evaluation mode
        the same vectors get other codes again, or codes decode to other vectors than they were.
    """
    if any(getattr(module, "quantize_dropout", False) for module in quantizer.modules()):
        raise InputError(
            "external.options.quantize_dropout: a stage that is dropped has no code, but each code "
            "must decode to one vector; give false"
        )
    with isolated(), one_line_errors(name, "quantize vectors"):
        copy = deepcopy(quantizer)
        _probe_training(copy.train(), name)
        with torch.no_grad():
            _probe_evaluation(copy.eval(), name)


def _probe_training(quantizer: Quantizer, name: str) -> None:
    for _ in range(_N_BATCHES):
        x = torch.randn(_N_VECTORS, quantizer.dim, requires_grad=True)
        out = quantizer(x)
        _check_codes(quantizer, out.codes, name, "training")
        total = out.latents.sum() + sum(out.losses.values(), torch.zeros(()))
        gradient = torch.autograd.grad(total, x, allow_unused=True)[0] if total.grad_fn else None
        if gradient is None or not gradient.isfinite().all() or not gradient.any():
            raise _refusal(name, "lets no finite gradient through to its input in training")


def _probe_evaluation(quantizer: Quantizer, name: str) -> None:
    x = torch.randn(_N_VECTORS, quantizer.dim)
    out, again = quantizer(x), quantizer(x)
    _check_codes(quantizer, out.codes, name, "evaluation")
    if not torch.equal(out.codes, again.codes):
        raise _refusal(name, "gives the same vectors other codes each time in evaluation mode")
    scale = out.latents.abs().max().clamp(min=1e-12)
    if (quantizer.lookup(out.codes) - out.latents).abs().max() > _TOLERANCE * scale:
        raise _refusal(name, "decodes its codes to other vectors than it gives in evaluation mode")
    ends = torch.tensor([0, quantizer.n_codes - 1])
    anywhere = torch.cat([ends, torch.randint(quantizer.n_codes, (_N_VECTORS,))])
    if not quantizer.lookup(anywhere).isfinite().all():
        raise _refusal(name, f"has no finite vector for each of its {quantizer.n_codes} codes")


def _check_codes(quantizer: Quantizer, codes: Tensor, name: str, mode: str) -> None:
    lowest, highest = int(codes.min()), int(codes.max())
    if lowest < 0 or highest >= quantizer.n_codes:
        raise _refusal(
            name,
            f"gives codes from {lowest} to {highest} in {mode}, and not from 0 to below "
            f"{quantizer.n_codes}",
        )


def _refusal(name: str, does: str) -> InputError:
    return InputError(f"external.name: '{name}' {does}; {FIX}")
