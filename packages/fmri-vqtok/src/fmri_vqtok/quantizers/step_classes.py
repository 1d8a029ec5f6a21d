"""Classes of steps, so that rare strong steps have their own mean and variances."""

import torch
from torch import Tensor

ROUNDS = 5

MEAN_WEIGHT = 0.3
"""Pseudo-steps at 0 in the mean of a class, a weak prior."""

VARIANCE_WEIGHT = 3.0
"""Pseudo-steps with the overall variance in the variances of a class."""


def fit_classes(steps: Tensor, n_classes: int) -> tuple[Tensor, Tensor]:
    """Means and variances of each class of steps, both of shape (n_classes, C).

    Classes are those of k-means from far apart: the first centre is 0, each further one the step
    that is farthest from those before it.

    Parameters
    ----------
    steps : Tensor, shape (n, C)
    n_classes : int
    """
    values = steps.double()
    kinds = _kinds(values, n_classes)
    overall = values.square().mean(dim=0)
    means, variances = [], []
    for k in range(n_classes):
        own = values[kinds == k]
        mean = own.sum(dim=0) / (len(own) + MEAN_WEIGHT)
        spread = (own - mean).square().sum(dim=0) + VARIANCE_WEIGHT * overall
        means.append(mean)
        variances.append(spread / (len(own) + VARIANCE_WEIGHT))
    return torch.stack(means), torch.stack(variances)


def _kinds(values: Tensor, n_classes: int) -> Tensor:
    """Class of each step, shape (n,)."""
    centres = torch.zeros_like(values[:1])
    for _ in range(n_classes - 1):
        farthest = torch.cdist(values, centres).amin(dim=1).argmax()
        centres = torch.cat([centres, values[farthest, None]])
    for _ in range(ROUNDS):
        kinds = torch.cdist(values, centres).argmin(dim=1)
        for k in range(1, n_classes):
            if (kinds == k).any():
                centres[k] = values[kinds == k].mean(dim=0)
    return kinds
