"""K-means: the centres that a codebook starts at."""

from collections.abc import Callable

import torch
from torch import Tensor

from fmri_vqtok.errors import InputError
from fmri_vqtok.kernels import nearest_code, sum_by_code

SEED_SAMPLES = 16384
"""Training vectors among which the first centres are looked for, if there are not more codes."""

Nearest = Callable[[Tensor, Tensor], Tensor]


def kmeans(
    samples: Tensor,
    n_codes: int,
    generator: torch.Generator,
    n_rounds: int,
    nearest: Nearest = nearest_code,
) -> Tensor:
    """Centres of Lloyd's algorithm, which starts from samples far apart (see `spread_samples`).

    A centre that loses all its samples restarts at a sample.

    Parameters
    ----------
    samples : Tensor, shape (n, d)
    n_codes : int
        K, at most n.
    generator : torch.Generator
    n_rounds : int
        Rounds of assignment and averaging.
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
    centres = spread_samples(samples, n_codes, generator)
    for _ in range(n_rounds):
        counts, sums = sum_by_code(samples, nearest(samples, centres), n_codes)
        centres = sums / counts.clamp(min=1)[:, None]
        empty = counts == 0
        restarts = torch.randint(len(samples), (int(empty.sum()),), generator=generator)
        centres[empty] = samples[restarts]
    return centres


def spread_samples(samples: Tensor, n_chosen: int, generator: torch.Generator) -> Tensor:
    """Draw samples with chances that grow with the squared distance to those drawn before.

    So what is rare but far from everything else gets a centre too (k-means++, Arthur and
    Vassilvitskii, 2007).

    Parameters
    ----------
    samples : Tensor, shape (n, d)
        Many are thinned at random first.
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
        # Without the floor nothing could be drawn once all that is left are copies of drawn ones.
        chances = distances.double().clamp(min=1e-30).cpu()
        chosen.append(some[int(torch.multinomial(chances, 1, generator=generator))])
        distances = torch.minimum(distances, (some - chosen[-1]).square().sum(dim=1))
    return torch.stack(chosen)
