"""K-means, which initialises a codebook."""

from collections.abc import Callable

import torch
from torch import Tensor

from fmri_vqtok.errors import InputError
from fmri_vqtok.kernels import nearest_code, sum_by_code

SEED_SAMPLES = 16384
"""Training vectors that initial centres are drawn from, if there are not more codes."""

Nearest = Callable[[Tensor, Tensor], Tensor]


def kmeans(
    samples: Tensor,
    n_codes: int,
    generator: torch.Generator,
    n_iterations: int,
    nearest: Nearest = nearest_code,
) -> Tensor:
    """Centres of Lloyd's algorithm after k-means++ initialisation.

    A centre that loses all its samples restarts at a sample.

    Parameters
    ----------
    samples : Tensor, shape (n, d)
    n_codes : int
        K, at most n.
    generator : torch.Generator
    n_iterations : int
        Of assignment and averaging.
    nearest : callable, optional
        ``nearest(samples, centres)``: index of each sample's centre.

    Returns
    -------
    Tensor, shape (K, d)

    Raises
    ------
    InputError
        If there are fewer samples than codes.
    """
    if len(samples) < n_codes:
        raise InputError(
            f"n_codes: {n_codes}, but there are {len(samples)} training vectors; "
            "give fewer codes or more scans"
        )
    centres = kmeans_plus_plus(samples, n_codes, generator)
    for _ in range(n_iterations):
        counts, sums = sum_by_code(samples, nearest(samples, centres), n_codes)
        centres = sums / counts.clamp(min=1)[:, None]
        empty = counts == 0
        restarts = torch.randint(len(samples), (int(empty.sum()),), generator=generator)
        centres[empty] = samples[restarts]
    return centres


def kmeans_plus_plus(samples: Tensor, n_chosen: int, generator: torch.Generator) -> Tensor:
    """k-means++ (Arthur and Vassilvitskii, 2007): samples far from those drawn before.

    The probability of a sample is proportional to its squared distance to the nearest one drawn, so
    that rare but distant samples get a centre too.

    Parameters
    ----------
    samples : Tensor, shape (n, d)
        At most `SEED_SAMPLES` of them, or `n_chosen` if more, are considered.
    n_chosen : int
        At most n.
    generator : torch.Generator

    Returns
    -------
    Tensor, shape (n_chosen, d)
    """
    order = torch.randperm(len(samples), generator=generator)
    some = samples[order[: max(SEED_SAMPLES, n_chosen)].to(samples.device)]
    chosen = [some[0]]
    distances = (some - chosen[0]).square().sum(dim=1)
    while len(chosen) < n_chosen:
        # Without the floor nothing could be drawn once all others are copies of drawn ones.
        chances = distances.double().clamp(min=1e-30).cpu()
        chosen.append(some[int(torch.multinomial(chances, 1, generator=generator))])
        distances = torch.minimum(distances, (some - chosen[-1]).square().sum(dim=1))
    return torch.stack(chosen)
