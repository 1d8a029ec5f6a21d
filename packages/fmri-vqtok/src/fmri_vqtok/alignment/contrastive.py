"""Scans against captions: InfoNCE (equation 3) and SigLIP (Zhai et al., 2023), by cosines.

Both take one embedding and one caption of each scan. Captions are frozen: gradients reach the brain
side and the temperature.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

MAX_SCALE = 100.0
"""Largest scale of InfoNCE's cosines; beyond it the softmax is a hard choice."""


class InfoNCE(nn.Module):
    """Cross-entropy of each scan's own caption among those of the other scans, equation 3.

    Attributes
    ----------
    log_scale : Parameter
        Logarithm of sigma; starts at log(1 / 0.07) and is at most log(100).
    """

    def __init__(self) -> None:
        super().__init__()
        self.log_scale = nn.Parameter(torch.tensor(math.log(1 / 0.07)))

    @property
    def scale(self) -> Tensor:
        """Sigma, the factor of the cosines."""
        return self.log_scale.exp()

    @staticmethod
    def chance(n_scans: int) -> float:
        """Loss of equal probabilities for all captions of S scans, log S, in nats."""
        return math.log(n_scans)

    def forward(self, brain: Tensor, text: Tensor) -> Tensor:
        """Mean cross-entropy over the scans, a scalar.

        Parameters
        ----------
        brain : Tensor, shape (S, C)
            Embedding of each scan.
        text : Tensor, shape (S, C)
            Feature of the caption of the same scan.
        """
        if self.training:
            # The parameter itself: clamping its exponential would stop the gradient.
            with torch.no_grad():
                self.log_scale.clamp_(max=math.log(MAX_SCALE))
        own = torch.arange(len(brain), device=brain.device)
        return functional.cross_entropy(self.scale * _cosines(brain, text), own)


class SigLIP(nn.Module):
    """Binary classification of each pair of a scan and a caption: matching or not.

    Attributes
    ----------
    log_scale : Parameter
        Logarithm of the scale of the cosines; starts at log(10).
    bias : Parameter
        Added to the scaled cosines; starts at -10, since nearly all pairs do not match.
    """

    def __init__(self) -> None:
        super().__init__()
        self.log_scale = nn.Parameter(torch.tensor(math.log(10.0)))
        self.bias = nn.Parameter(torch.tensor(-10.0))

    @property
    def scale(self) -> Tensor:
        """The factor of the cosines."""
        return self.log_scale.exp()

    @staticmethod
    def chance(n_scans: int) -> float:
        """Loss where each of S x S pairs matches with probability 1 / S, in nats."""
        others = n_scans - 1
        return math.log(n_scans) + (others * math.log(n_scans / others) if others else 0.0)

    def forward(self, brain: Tensor, text: Tensor) -> Tensor:
        """Sum over the pairs of minus log sigmoid, divided by the number of scans; a scalar.

        Parameters
        ----------
        brain, text
            As for `InfoNCE.forward`.
        """
        logits = self.scale * _cosines(brain, text) + self.bias
        own = torch.eye(len(brain), dtype=torch.bool, device=brain.device)
        return -functional.logsigmoid(torch.where(own, logits, -logits)).sum() / len(brain)


CONTRASTS: dict[str, type[InfoNCE] | type[SigLIP]] = {"infonce": InfoNCE, "siglip": SigLIP}
"""By the value of the setting ``contrast``."""


def _cosines(brain: Tensor, text: Tensor) -> Tensor:
    return functional.normalize(brain, dim=1) @ functional.normalize(text, dim=1).T
