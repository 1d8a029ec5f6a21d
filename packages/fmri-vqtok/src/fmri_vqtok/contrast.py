"""Scans against captions: InfoNCE (equation 3) and SigLIP (Zhai et al., 2023), by cosines.

Both take, on each process, the scans of that process and the captions of all of them. Captions are
frozen: gradients reach the brain side and the temperature.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from fmri_vqtok.collectives import gather_rows, mean_over_processes

MAX_SCALE = 100.0
"""Largest scale of InfoNCE's cosines; beyond it the softmax is a hard choice."""


class _Pairs(NamedTuple):
    cosines: Tensor  # (b, B): scans of this process against captions of all
    own: Tensor  # (b, B) bool: the pair of a scan and its caption
    left_out: Tensor  # (b, B) bool: another window of the same scan


class InfoNCE(nn.Module):
    """Each scan has to tell its own caption from those of the other scans, equation 3.

    Attributes
    ----------
    log_scale : Parameter
        Logarithm of sigma; starts at log(1 / 0.07) and is kept at most at log(100).
    """

    def __init__(self) -> None:
        super().__init__()
        self.log_scale = nn.Parameter(torch.tensor(math.log(1 / 0.07)))

    @property
    def scale(self) -> Tensor:
        """Sigma, what multiplies the cosines."""
        return self.log_scale.exp()

    def forward(self, brain: Tensor, text: Tensor, scans: Tensor) -> Tensor:
        """Mean cross-entropy over all scans of all processes, a scalar.

        Parameters
        ----------
        brain : Tensor, shape (B, C)
            Embedding of each scan.
        text : Tensor, shape (B, C)
            Feature of the caption of the same scan.
        scans : Tensor of int64, shape (B,)
            Which scan each row comes from: another window of the same scan is no negative.
        """
        self._limit_scale()
        pairs = _compare(brain, text, scans)
        logits = (self.scale * pairs.cosines).masked_fill(pairs.left_out, -torch.inf)
        total = -logits.log_softmax(dim=1)[pairs.own].sum()
        return mean_over_processes(total, len(brain))

    @torch.no_grad()
    def _limit_scale(self) -> None:
        # The parameter itself: a limit on its exponential would stop the gradient that leads back.
        if self.training:
            self.log_scale.clamp_(max=math.log(MAX_SCALE))


class SigLIP(nn.Module):
    """Each pair of a scan and a caption is judged alone, as one that belongs together or not.

    Attributes
    ----------
    log_scale : Parameter
        Logarithm of the scale of the cosines; starts at log(10).
    bias : Parameter
        Added to the scaled cosines; starts at -10, since nearly all pairs do not belong together.
    """

    def __init__(self) -> None:
        super().__init__()
        self.log_scale = nn.Parameter(torch.tensor(math.log(10.0)))
        self.bias = nn.Parameter(torch.tensor(-10.0))

    @property
    def scale(self) -> Tensor:
        """What multiplies the cosines."""
        return self.log_scale.exp()

    def forward(self, brain: Tensor, text: Tensor, scans: Tensor) -> Tensor:
        """Sum over the pairs of minus log sigmoid, divided by the number of scans; a scalar.

        A pair with another window of the same scan is left out: its caption is the same text, so
        it is no negative, and as a positive it would count the scan's caption several times.

        Parameters
        ----------
        brain, text, scans
            As for `InfoNCE.forward`.
        """
        pairs = _compare(brain, text, scans)
        logits = self.scale * pairs.cosines + self.bias
        losses = -functional.logsigmoid(torch.where(pairs.own, logits, -logits))
        return mean_over_processes(losses.masked_fill(pairs.left_out, 0.0).sum(), len(brain))


CONTRASTS: dict[str, type[InfoNCE] | type[SigLIP]] = {"infonce": InfoNCE, "siglip": SigLIP}
"""By the value of the setting ``contrast``."""


def _compare(brain: Tensor, text: Tensor, scans: Tensor) -> _Pairs:
    texts, first = gather_rows(text)
    everyone, _ = gather_rows(scans)
    cosines = functional.normalize(brain, dim=1) @ functional.normalize(texts, dim=1).T
    rows = torch.arange(len(brain), device=brain.device)
    own = rows[:, None] + first == torch.arange(len(texts), device=brain.device)
    return _Pairs(cosines, own, (scans[:, None] == everyone) & ~own)
