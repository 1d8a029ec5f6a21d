"""One training step of preset S beside the same model with attention written out.

A step is forward, backward and optimiser step on 2 windows of 450 regions x 160 frames, P = 32, on
the CPU. The peer is the same tokenizer with the same weights whose attention multiplies all queries
with all keys, adds a block-causal mask, takes the softmax of that (M, M) matrix and multiplies
again: nothing is skipped, and the weights of every block are kept for the gradient. Both must give
the same loss. Each runs in a process of its own, so that its peak memory is its own; the two take
turns, and the shortest step of each counts.

    OMP_NUM_THREADS=2 python benchmarks/tokenizer_step.py
"""

import argparse
import json
import resource
import subprocess
import sys
import time
from typing import Any

import torch
from torch import Tensor

from fmri_vqtok import FMRITokenizer, FMRITokenizerConfig
from fmri_vqtok.model.transformer import Attention

N_REGIONS, N_FRAMES, PATCH_FRAMES, BATCH = 450, 160, 32, 2
NEEDED_RATIO = 1.3
KINDS = ("materialised", "ours")


def attend_materialised(q: Tensor, k: Tensor, v: Tensor, _keys: Tensor | None) -> Tensor:
    """Causal attention through the whole (M, M) matrix of weights; nothing is missing here."""
    n_steps, n_regions = q.shape[2:4]
    q, k, v = (x.flatten(2, 3) for x in (q, k, v))
    steps = torch.arange(n_steps, device=q.device).repeat_interleave(n_regions)
    allowed = steps[None, :] <= steps[:, None]
    scores = (q @ k.transpose(-2, -1)) * q.shape[-1] ** -0.5
    weights = scores.masked_fill_(~allowed, -torch.inf).softmax(dim=-1)
    return (weights @ v).transpose(1, 2).unflatten(1, (n_steps, n_regions))


def make_tokenizer(kind: str, depth: int | None) -> FMRITokenizer:
    """Preset S, of fewer blocks if asked for, with one attention or the other."""
    torch.manual_seed(0)
    changes = {} if depth is None else {"encoder_depth": depth, "decoder_depth": depth}
    config = FMRITokenizerConfig.preset(
        "S", n_regions=N_REGIONS, n_frames=N_FRAMES, patch_frames=PATCH_FRAMES, **changes
    )
    tokenizer = FMRITokenizer(config).train()
    if kind == "materialised":
        for module in tokenizer.modules():
            if isinstance(module, Attention):
                module.attend = attend_materialised
    return tokenizer


def measure(kind: str, steps: int, depth: int | None) -> dict[str, Any]:
    """Seconds of the shortest step, memory above what the model itself takes, and the losses."""
    tokenizer = make_tokenizer(kind, depth)
    optimiser = torch.optim.AdamW(tokenizer.parameters(), lr=1e-4)
    signal = torch.randn(BATCH, N_FRAMES, N_REGIONS, generator=torch.Generator().manual_seed(1))
    times, losses = [], []
    for _ in range(steps):
        start = time.perf_counter()
        optimiser.zero_grad()
        out = tokenizer(signal)
        loss = (out.signal - signal).square().mean() + sum(out.losses.values())
        loss.backward()
        optimiser.step()
        times.append(time.perf_counter() - start)
        losses.append(float(loss))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024  # kilobytes on Linux
    return {"seconds": min(times), "peak": peak, "losses": losses}


def in_own_process(kind: str, arguments: argparse.Namespace) -> dict[str, Any]:
    """Measure one kind in a fresh process."""
    command = [sys.executable, __file__, "--kind", kind, "--steps", str(arguments.steps)]
    if arguments.depth is not None:
        command += ["--depth", str(arguments.depth)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603 - this script
    return json.loads(done.stdout)


def best(results: list[dict[str, Any]]) -> dict[str, Any]:
    """Shortest time and smallest peak of several processes."""
    return {
        "seconds": min(result["seconds"] for result in results),
        "peak": min(result["peak"] for result in results),
        "losses": results[0]["losses"],
    }


def main() -> int:
    """Print seconds, memory and their ratios; fail below the wanted ratio or on other losses."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=3, help="steps a process")
    parser.add_argument("--rounds", type=int, default=2, help="processes of each kind, by turns")
    parser.add_argument("--depth", type=int, help="blocks of encoder and decoder, for a quick look")
    parser.add_argument("--kind", choices=KINDS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.kind is not None:
        print(json.dumps(measure(arguments.kind, arguments.steps, arguments.depth)))
        return 0
    rounds = [
        {kind: in_own_process(kind, arguments) for kind in KINDS} for _ in range(arguments.rounds)
    ]
    results = {kind: best([measured[kind] for measured in rounds]) for kind in KINDS}
    return report(results)


def report(results: dict[str, dict[str, Any]]) -> int:
    """Print a table; 1 if the wanted ratio is missed or the two do not agree."""
    theirs, ours = (results[kind] for kind in KINDS)
    print(f"one training step of preset S, {N_REGIONS} regions x {N_FRAMES} frames, batch {BATCH}")
    print(f"{torch.get_num_threads()} threads")
    for kind, result in results.items():
        loss = result["losses"][0]
        print(
            f"  {kind:13}{result['seconds']:8.2f} s  peak {result['peak'] / 2**30:6.2f} GB"
            f"  first loss {loss:.6f}"
        )
    ratio = theirs["seconds"] / ours["seconds"]
    print(f"time    {ratio:5.2f} times faster   (at least {NEEDED_RATIO} is wanted)")
    print(f"memory  {theirs['peak'] / ours['peak']:5.2f} times less at the peak")
    agree = abs(theirs["losses"][0] - ours["losses"][0]) < 1e-4
    if not agree:
        print("the two do not compute the same loss")
    return 0 if agree and ratio >= NEEDED_RATIO else 1


if __name__ == "__main__":
    sys.exit(main())
