"""The tokenizer's training objective, equation 4."""

from typing import Any

from torch import Tensor, nn

from fmri_vqtok.alignment import TextAlignment
from fmri_vqtok.tokenizer import FMRITokenizer


class TokenizerObjective(nn.Module):
    """Reconstruction, commitment and, with a text space, the two alignment losses.

    Parameters
    ----------
    tokenizer : FMRITokenizer
    alignment : TextAlignment or None
        None trains on reconstruction alone.
    domain_weight : float
        Lambda of equation 4.
    contrastive_weight : float, default=1.0
        1 in equation 4.
    """

    def __init__(
        self,
        tokenizer: FMRITokenizer,
        alignment: TextAlignment | None,
        domain_weight: float,
        contrastive_weight: float = 1.0,
    ) -> None:
        super().__init__()
        self.tokenizer = tokenizer
        self.alignment = alignment
        self.weights = {"domain": domain_weight, "contrastive": contrastive_weight}

    def set_progress(self, fraction: float) -> None:
        """Tell the alignment which part of the training is done."""
        if self.alignment is not None:
            self.alignment.set_progress(fraction)

    def forward(
        self,
        signal: Tensor,
        mask: Tensor,
        hidden: Tensor,
        scans: Tensor,
        text_ids: Tensor | None = None,
    ) -> dict[str, Any]:
        """Weighted total loss, and the losses by name before weighting.

        Parameters
        ----------
        signal : Tensor, shape (B, T, N)
        mask : Tensor of bool, shape (B, N)
            Regions that are present.
        hidden : Tensor of bool, shape (B, N)
            Regions that the encoder does not see but the decoder has to give.
        scans : Tensor of int64, shape (B,)
        text_ids : Tensor of int64, shape (B, L), optional

        Returns
        -------
        dict
            "loss", a scalar, and "losses", scalars by name.
        """
        out = self.tokenizer(signal, mask & ~hidden)
        losses = {"reconstruction": masked_mse(signal, out.signal, mask), **out.losses}
        if self.alignment is not None:
            brain = self.tokenizer.project_to_text(out.encoded.quantized)
            losses |= self.alignment(brain, mask, scans, text_ids)
        total = sum(self.weights.get(name, 1.0) * loss for name, loss in losses.items())
        return {"loss": total, "losses": losses}


def masked_mse(signal: Tensor, reconstruction: Tensor, mask: Tensor) -> Tensor:
    """Mean squared error over the regions that are present, a scalar.

    Parameters
    ----------
    signal, reconstruction : Tensor, shape (B, T, N)
    mask : Tensor of bool, shape (B, N)
    """
    weights = mask[:, None, :].expand_as(signal).to(signal.dtype)
    return ((signal - reconstruction).square() * weights).sum() / weights.sum().clamp(min=1)
