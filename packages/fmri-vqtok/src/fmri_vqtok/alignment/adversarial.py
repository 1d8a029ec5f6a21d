"""Domain-adversarial loss of brain tokens and text (equation 2), by gradient reversal."""

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from fmri_vqtok.distributed import all_reduce_mean

CHANCE = math.log(2.0)
"""Domain loss of a classifier at chance, in nats."""


class _Reverse(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, strength: float) -> Tensor:
        ctx.strength = strength
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return -ctx.strength * gradients[0], None


def reverse_gradient(x: Tensor, strength: float) -> Tensor:
    """Identity whose gradient is multiplied by ``-strength`` (Ganin et al., 2016)."""
    return _Reverse.apply(x, strength)


def reversal_strength(fraction: float) -> float:
    """Strength from 0 at the start of training to nearly 1 at its end (Ganin et al., 2016).

    Parameters
    ----------
    fraction : float
        Of the training steps done, 0 to 1.
    """
    return 2.0 / (1.0 + math.exp(-10.0 * fraction)) - 1.0


class DomainClassifier(nn.Module):
    """Logit that an embedding comes from a brain and not from text.

    Parameters
    ----------
    text_width : int
        C.
    hidden_width : int, default=64
    """

    def __init__(self, text_width: int, hidden_width: int = 64) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.LayerNorm(text_width),
            nn.Linear(text_width, hidden_width),
            nn.GELU(),
            nn.Linear(hidden_width, 1),
        )

    def forward(self, embeddings: Tensor) -> Tensor:
        """Logits, shape (...), of embeddings, shape (..., C)."""
        return self.layers(embeddings).squeeze(-1)


def domain_loss(
    classifier: DomainClassifier, brain: Tensor, text: Tensor, strength: float
) -> Tensor:
    """Binary cross-entropy of brain against text, equation 2; `CHANCE` at confusion.

    Both domains have equal weight: a batch has many more brain tokens than text tokens, and with a
    mean over all of them the classifier could predict "brain" everywhere and leave the encoder
    almost no gradient.

    The classifier is trained on both domains. The encoder gets the reversed gradient through
    ``brain``, so that its tokens become like text; ``text`` is frozen.

    Parameters
    ----------
    classifier : DomainClassifier
    brain : Tensor, shape (n, C)
    text : Tensor, shape (m, C)
    strength : float
        Of the reversal.

    Returns
    -------
    Tensor
        Scalar, the mean of the mean losses of brain and of text embeddings of all processes.
    """
    brain_side = _mean_loss(classifier(reverse_gradient(brain, strength)), 1.0)
    text_side = _mean_loss(classifier(text.detach()), 0.0)
    return (brain_side + text_side) / 2


def _mean_loss(logits: Tensor, target: float) -> Tensor:
    targets = torch.full_like(logits, target)
    total = functional.binary_cross_entropy_with_logits(logits, targets, reduction="sum")
    return all_reduce_mean(total, len(logits))
