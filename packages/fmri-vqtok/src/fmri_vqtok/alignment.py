"""Alignment of brain tokens with the frozen text space of a language model (equations 2 and 3).

The raw text features of captions are nearly parallel: cosines between captions of different scans
are close to 1, because all share one template. So the mean over the training captions is
subtracted before the cosine is taken; without that the contrast has next to nothing to contrast.
"""

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

MAX_SCALE = 100.0
"""Largest scale of the cosines; beyond it the softmax is a hard choice."""


class _Reverse(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, strength: float) -> Tensor:
        ctx.strength = strength
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return -ctx.strength * gradients[0], None


def reverse_gradient(x: Tensor, strength: float) -> Tensor:
    """Return ``x`` itself, whose gradient comes back times ``-strength`` (Ganin et al., 2016)."""
    return _Reverse.apply(x, strength)


def reversal_strength(fraction: float) -> float:
    """Rise from 0 at the start of training to nearly 1 at its end (Ganin et al., 2016).

    Parameters
    ----------
    fraction : float
        Part of the training that is done, 0 to 1.
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
    """Binary cross-entropy of brain against text, equation 2.

    The classifier learns from both sides. What made ``brain`` gets the reversed gradient, so it
    learns to be taken for text; what made ``text`` is frozen and gets none.

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
        Scalar, the mean over all n + m embeddings.
    """
    logits = torch.cat([classifier(reverse_gradient(brain, strength)), classifier(text.detach())])
    is_brain = torch.cat([logits.new_ones(len(brain)), logits.new_zeros(len(text))])
    return functional.binary_cross_entropy_with_logits(logits, is_brain)


def contrastive_loss(brain: Tensor, text: Tensor, scans: Tensor, scale: Tensor) -> Tensor:
    """InfoNCE of scans against captions, equation 3.

    Parameters
    ----------
    brain : Tensor, shape (B, C)
        Embedding of each scan.
    text : Tensor, shape (B, C)
        Feature of the caption of the same scan.
    scans : Tensor of int64, shape (B,)
        Which scan each row comes from: another window of the same scan is no negative.
    scale : Tensor
        Scalar that multiplies the cosines (sigma in the paper).

    Returns
    -------
    Tensor
        Scalar, the mean over the batch.
    """
    cosines = functional.normalize(brain, dim=1) @ functional.normalize(text, dim=1).T
    same = scans[:, None] == scans[None, :]
    same.fill_diagonal_(fill_value=False)
    logits = (scale * cosines).masked_fill(same, -torch.inf)
    return functional.cross_entropy(logits, torch.arange(len(brain), device=brain.device))


class TextAlignment(nn.Module):
    """The two alignment losses, with their classifier and learned temperature.

    Parameters
    ----------
    table : Tensor, shape (V, C)
        Frozen token embeddings of the language model.
    captions : Tensor, shape (n_scans, C)
        Frozen features of the scans' captions.
    center : Tensor, shape (C,)
        Mean feature of the training captions.
    """

    table: Tensor
    captions: Tensor

    def __init__(self, table: Tensor, captions: Tensor, center: Tensor) -> None:
        super().__init__()
        self.classifier = DomainClassifier(table.shape[1])
        self.log_scale = nn.Parameter(torch.tensor(math.log(1 / 0.07)))
        self.strength = 0.0
        # Not persistent: they are frozen and large, and are computed again from the text model.
        self.register_buffer("table", table, persistent=False)
        self.register_buffer("captions", captions - center, persistent=False)

    def set_progress(self, fraction: float) -> None:
        """Set the strength of the gradient reversal for this part of the training."""
        self.strength = reversal_strength(fraction)

    @property
    def scale(self) -> Tensor:
        """Scale of the cosines: the exponential of the learned parameter, at most 100."""
        return self.log_scale.exp().clamp(max=MAX_SCALE)

    def forward(
        self, brain: Tensor, mask: Tensor, scans: Tensor, text_ids: Tensor
    ) -> dict[str, Tensor]:
        """Alignment losses by name.

        Parameters
        ----------
        brain : Tensor, shape (B, W, N, C)
            Tokens in the text space.
        mask : Tensor of bool, shape (B, N)
            Regions that are present.
        scans : Tensor of int64, shape (B,)
            Row of each scan's caption.
        text_ids : Tensor of int64, shape (B, L)
            Tokens of real text.

        Returns
        -------
        dict of str to Tensor
            "domain" and "contrastive".
        """
        present = mask[:, None, :].expand(brain.shape[:3])
        text = self.table[text_ids].flatten(0, 1)
        weights = present[..., None].to(brain.dtype)
        pooled = (brain * weights).sum(dim=(1, 2)) / weights.sum(dim=(1, 2)).clamp(min=1)
        return {
            "domain": domain_loss(self.classifier, brain[present], text, self.strength),
            "contrastive": contrastive_loss(pooled, self.captions[scans], scans, self.scale),
        }
