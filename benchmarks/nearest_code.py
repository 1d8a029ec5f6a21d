"""Time and memory of finding each vector's code, against vector-quantize-pytorch, in one run.

    OMP_NUM_THREADS=2 uv run python benchmarks/nearest_code.py

Eight scans of 2,250 vectors of width 128 are quantized with 8,192 codes in float32. The routes run
by turns; the medians are compared. "matrix product" is `x @ codebook.T` alone, whole; "in chunks"
is the same product written to one small buffer again and again, and the fairer floor. Memory is the
growth of the peak resident set during one call, each in a process of its own. Linux.
"""

import argparse
import ctypes
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn
from vector_quantize_pytorch import VectorQuantize

from fmri_vqtok.kernels import nearest_code, reference
from fmri_vqtok.quantizers import VectorQuantizer

N_SCANS, N_TOKENS, WIDTH, N_CODES = 8, 2_250, 128, 8_192
MOST_OF_PRODUCT = 1.3
LEAST_SPEED_UP = 1.5
MOST_OF_MEMORY = 0.25

Route = Callable[[], object]


def inputs() -> tuple[Tensor, Tensor]:
    """Vectors, shape (B, M, d), and a codebook, shape (K, d)."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(N_SCANS, N_TOKENS, WIDTH, generator=generator)
    return x, torch.randn(N_CODES, WIDTH, generator=generator)


def our_quantizer(codebook: Tensor) -> nn.Module:
    """`VectorQuantizer` with this codebook, in evaluation mode."""
    quantizer = VectorQuantizer(N_CODES, WIDTH).eval()
    quantizer.codebook.copy_(codebook)
    return quantizer


def their_quantizer(codebook: Tensor) -> nn.Module:
    """`VectorQuantize` of vector-quantize-pytorch with this codebook, in evaluation mode."""
    quantizer = VectorQuantize(dim=WIDTH, codebook_dim=WIDTH, codebook_size=N_CODES).eval()
    quantizer.codebook = codebook
    return quantizer


def product_in_chunks(x: Tensor, codebook: Tensor) -> None:
    """Multiply as many rows at a time as the operator takes, into one buffer."""
    n_rows = reference.rows_at_once(N_CODES)
    buffer = torch.empty(n_rows, N_CODES)
    for rows in x.flatten(0, 1).split(n_rows):
        torch.mm(rows, codebook.T, out=buffer[: len(rows)])


def routes(x: Tensor, codebook: Tensor) -> dict[str, Route]:
    """Return what is compared, by name."""
    return {
        "matrix product": lambda: x.flatten(0, 1) @ codebook.T,
        "in chunks": partial(product_in_chunks, x, codebook),
        "nearest_code": partial(nearest_code, x, codebook),
        "VectorQuantizer": partial(our_quantizer(codebook), x),
        "VectorQuantize": partial(their_quantizer(codebook), x),
    }


def seconds(compared: dict[str, Route], n_rounds: int) -> dict[str, float]:
    """Median time of each route; all run once in every round."""
    times: dict[str, list[float]] = {name: [] for name in compared}
    for done in range(n_rounds + 1):
        for name, route in compared.items():
            start = time.perf_counter()
            route()
            if done:  # the first round only warms up
                times[name].append(time.perf_counter() - start)
    return {name: statistics.median(taken) for name, taken in times.items()}


def peak_bytes() -> int:
    """Largest resident set of this process since it was last reset."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text("ascii"))
    if found is None:
        raise RuntimeError("/proc/self/status tells no VmHWM; run the benchmark on Linux")
    return 1024 * int(found[1])


def growth(name: str) -> int:
    """Bytes by which one call of a route raises the peak of this process."""
    x, codebook = inputs()
    # Threads and libraries are set up by a small call, so that they do not count.
    routes(x[:, :4], codebook)[name]()
    route = routes(x, codebook)[name]
    # What was freed goes back to the system, so that the call cannot live on it unseen.
    ctypes.CDLL(None).malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    before = peak_bytes()
    route()
    return peak_bytes() - before


def growth_apart(name: str) -> int:
    """`growth`, in a process of its own."""
    command = [sys.executable, __file__, "--memory-of", name]
    done = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603
    return int(done.stdout)


def same_codes(x: Tensor, codebook: Tensor) -> bool:
    """Whether all three ways give the same codes."""
    theirs = their_quantizer(codebook)(x)[1]
    ours = our_quantizer(codebook)(x).codes
    return bool(torch.equal(ours, theirs) and torch.equal(nearest_code(x, codebook), theirs))


def compare(n_rounds: int) -> None:
    """Print times, memory and the ratios that are wanted."""
    x, codebook = inputs()
    took = seconds(routes(x, codebook), n_rounds)
    memory = {name: growth_apart(name) for name in took}
    print(f"{N_SCANS} x {N_TOKENS} vectors of width {WIDTH}, {N_CODES} codes, float32")
    threads = torch.get_num_threads()
    print(f"{threads} threads, medians of {n_rounds} rounds, torch {torch.__version__}")
    for name, median in took.items():
        print(f"  {name:16}{median:8.3f} s {memory[name] / 2**20:8.0f} MB extra")
    print(f"codes equal to those of vector-quantize-pytorch: {same_codes(x, codebook)}")
    theirs = "VectorQuantize"
    for name in ("nearest_code", "VectorQuantizer"):
        print(name)
        bare, chunked = took[name] / took["matrix product"], took[name] / took["in chunks"]
        print(f"  time / matrix product      {bare:6.2f}   (at most {MOST_OF_PRODUCT})")
        print(f"  time / product in chunks   {chunked:6.2f}")
        faster, share = took[theirs] / took[name], memory[name] / memory[theirs]
        print(f"  times faster than theirs   {faster:6.2f}   (at least {LEAST_SPEED_UP})")
        print(f"  share of their memory      {share:6.3f}   (at most {MOST_OF_MEMORY})")


def main() -> None:
    """Compare, or measure one route's memory."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--memory-of", metavar="ROUTE", help="print the extra bytes of one route")
    asked = parser.parse_args()
    with torch.no_grad():
        if asked.memory_of:
            print(growth(asked.memory_of))
        else:
            compare(asked.rounds)


if __name__ == "__main__":
    main()
