"""Alignment of brain tokens with the frozen text space of a language model (equations 2 and 3).

The raw text features of captions are nearly parallel: cosines between captions of different scans
are close to 1, because all share one template. So the mean over the training captions is
subtracted before the cosine is taken; otherwise all captions are nearly the same.
"""

import torch
from torch import Tensor, nn

from fmri_vqtok.alignment.adversarial import DomainClassifier, domain_loss, reversal_strength
from fmri_vqtok.alignment.contrastive import CONTRASTS
from fmri_vqtok.alignment.pooling import Pooled, make_pooling, pool_scans
from fmri_vqtok.alignment.retrieval import retrieval_metrics, retrieval_tally


class TextAlignment(nn.Module):
    """The two alignment losses and their trainable parts.

    A caption is about the whole scan, so the contrast is between scans, not between windows:
    the tokens of all windows of a scan in the batch, on all processes, are pooled to one vector.

    With several processes both losses are those of the whole batch, on each process, and gradients
    averaged over the processes are its gradients.

    Parameters
    ----------
    table : Tensor, shape (V, C)
        Frozen token embeddings of the language model.
    captions : Tensor, shape (n_scans, C)
        Frozen features of the scans' captions.
    center : Tensor, shape (C,)
        Mean feature of the training captions.
    contrast : {"infonce", "siglip"}
        Contrastive loss of scans and captions.
    pooling : {"mean", "attention", "relations"}
        How the tokens of a scan become one vector.
    n_relations : int, default=0
        Relation features of a window, for pooling of "relations".
    held_out : Tensor of int64, shape (S,), optional
        Rows of the captions among which retrieval is measured, ascending; none by default.
    """

    table: Tensor
    captions: Tensor
    held_out: Tensor

    def __init__(
        self,
        table: Tensor,
        captions: Tensor,
        center: Tensor,
        *,
        contrast: str = "infonce",
        pooling: str = "mean",
        n_relations: int = 0,
        held_out: Tensor | None = None,
    ) -> None:
        super().__init__()
        self.classifier = DomainClassifier(table.shape[1])
        self.contrast = CONTRASTS[contrast]()
        self.pooling = make_pooling(pooling, table.shape[1], n_relations)
        self.strength = 0.0
        # Not persistent: they are frozen and large, and can be computed from the text model.
        self.register_buffer("table", table, persistent=False)
        self.register_buffer("captions", captions - center, persistent=False)
        rows = torch.zeros(0, dtype=torch.int64) if held_out is None else held_out
        self.register_buffer("held_out", rows, persistent=False)

    def set_progress(self, fraction: float) -> None:
        """Set the strength of the gradient reversal for this part of the training."""
        self.strength = reversal_strength(fraction)

    def pool(self, brain: Tensor, region_mask: Tensor, features: Tensor | None = None) -> Pooled:
        """One vector per window, in single precision; parameters as of `forward`."""
        # The scale of the cosines would magnify the rounding of half precision.
        with torch.autocast(brain.device.type, enabled=False):
            single = brain.to(torch.promote_types(brain.dtype, torch.float32))
            return self.pooling(single, region_mask, features)

    @torch.no_grad()
    def retrieval_tally(self, pooled: Pooled, scans: Tensor) -> Tensor:
        """Return the sums that `retrieval` takes, over windows of held-out scans; shape (S, C + 1).

        Parameters
        ----------
        pooled : Pooled
        scans : Tensor of int64, shape (B,)
            Rows of the captions, each among the held-out ones.
        """
        places = torch.searchsorted(self.held_out, scans)
        return retrieval_tally(pooled, places, len(self.held_out))

    def retrieval(self, tally: Tensor) -> dict[str, float]:
        """Metrics of `fmri_vqtok.alignment.retrieval.retrieval_metrics` among held-out scans."""
        return retrieval_metrics(tally, self.captions[self.held_out].to(tally.device))

    def forward(
        self,
        brain: Tensor,
        region_mask: Tensor,
        scans: Tensor,
        text_ids: Tensor,
        features: Tensor | None = None,
    ) -> dict[str, Tensor]:
        """Alignment losses by name.

        Parameters
        ----------
        brain : Tensor, shape (B, W, N, C)
            Tokens in the text space.
        region_mask : Tensor of bool, shape (B, N)
            Regions that are present.
        scans : Tensor of int64, shape (B,)
            Row of the caption of each window's scan.
        text_ids : Tensor of int64, shape (B, L)
            Tokens of real text.
        features : Tensor, shape (B, n_relations), optional
            Relation features of the windows, for pooling of "relations".

        Returns
        -------
        dict of str to Tensor
            "domain" and "contrastive".
        """
        token_mask = region_mask[:, None, :].expand(brain.shape[:3])
        text = self.table[text_ids].flatten(0, 1)
        pooled = self.pool(brain, region_mask, features)
        with torch.autocast(brain.device.type, enabled=False):
            vectors, found = pool_scans(pooled, scans)
            contrastive = self.contrast(vectors, self.captions[found])
        return {
            "domain": domain_loss(self.classifier, brain[token_mask], text, self.strength),
            "contrastive": contrastive,
        }
