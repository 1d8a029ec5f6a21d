"""The tokenizer's training objective: equation 4, and losses about relations between regions."""

from typing import Any, cast

import torch
from torch import Tensor, nn

from fmri_vqtok.alignment.adversarial import CHANCE
from fmri_vqtok.alignment.alignment import TextAlignment
from fmri_vqtok.distributed import all_gather
from fmri_vqtok.tokenizer import Encoded, FMRITokenizer, Reconstructed
from fmri_vqtok.training.coupling import CouplingLoss
from fmri_vqtok.training.metrics import code_counts, codes_used, dead_codes, perplexity
from fmri_vqtok.training.relation_losses import ReadOut, RelationFeatures


class TokenizerObjective(nn.Module):
    """Reconstruction, commitment, and the losses of the other parts that are given.

    Parameters
    ----------
    tokenizer : FMRITokenizer
    alignment : TextAlignment or None
        None trains on reconstruction alone.
    domain_weight : float
        Lambda of equation 4.
    contrastive_weight : float, default=1.0
        1 in equation 4.
    coupling : CouplingLoss, optional
    relations : RelationFeatures, optional
        Which the read-out and a pooling of relations look at.
    readout : ReadOut, optional
    """

    best_by = "normalised_mse"

    def __init__(
        self,
        tokenizer: FMRITokenizer,
        alignment: TextAlignment | None,
        domain_weight: float,
        contrastive_weight: float = 1.0,
        *,
        coupling: CouplingLoss | None = None,
        relations: RelationFeatures | None = None,
        readout: ReadOut | None = None,
    ) -> None:
        super().__init__()
        self.tokenizer = tokenizer
        self.alignment = alignment
        self.coupling = coupling
        self.relations = relations
        self.readout = readout
        self.weights = {"domain": domain_weight, "contrastive": contrastive_weight}
        if coupling is not None:
            self.weights["coupling"] = coupling.weight
        if readout is not None:
            self.weights["readout"] = readout.weight

    def set_progress(self, fraction: float) -> None:
        """Tell the alignment which part of the training is done."""
        if self.alignment is not None:
            self.alignment.set_progress(fraction)

    def loss_counts(
        self, signal: Tensor, mask: Tensor, scans: Tensor, **_: Tensor
    ) -> dict[str, Tensor]:
        """Count what a loss is a mean over, by name, where batches of equal size differ in it.

        Parameters
        ----------
        signal : Tensor, shape (B, T, N)
        mask : Tensor of bool, shape (B, N)
        scans : Tensor of int64, shape (B,)
        """
        counts = {"reconstruction": mask.sum() * signal.shape[1]}
        if self.alignment is not None:
            counts["contrastive"] = _n_scans(scans)
        if self.readout is not None:
            counts["readout"] = self.readout.n_known(scans)
        return counts

    def metrics(self, tallies: dict[str, Tensor]) -> dict[str, float]:
        """Metrics from the tallies of some batches, added up.

        Reconstruction error, codebook usage and, with a text space, the values that the alignment
        losses have where no input is distinguished from another. Of validation also how often a
        caption retrieves its own scan.
        """
        counts = tallies["codes"]
        found = {
            "normalised_mse": float(tallies["squared_error"] / tallies["power"]),
            "perplexity": perplexity(counts),
            "codes_used": float(codes_used(counts)),
            "dead_codes": float(dead_codes(counts)),
        }
        if "scans" in tallies:
            found["domain_chance"] = CHANCE
            found["contrastive_chance"] = float(tallies["chance"] / tallies["scans"])
        if self.alignment is not None and "retrieval" in tallies:
            found |= self.alignment.retrieval(tallies["retrieval"])
        return found

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
            "loss", a scalar, "losses", scalars by name, their "weights" where they are not 1, and
            "tallies", from which `metrics` are made.
        """
        out = self.tokenizer(signal, mask & ~hidden)
        features = self._features(out.encoded, mask & ~hidden)
        losses = {"reconstruction": masked_mse(signal, out.signal, mask), **out.losses}
        if self.coupling is not None:
            losses["coupling"] = self.coupling(out.signal, signal, mask)
        if self.readout is not None:
            losses["readout"] = self.readout(features, scans)
        tallies = self._tallies(signal, out, mask, scans)
        if self.alignment is not None:
            brain = self.tokenizer.project_to_text(out.encoded.quantized)
            losses |= self.alignment(brain, mask, scans, text_ids, features)
            if not self.training:
                tallies["retrieval"] = self._retrieval_tally(out.encoded, mask, features, scans)
        total = sum(self.weights.get(name, 1.0) * loss for name, loss in losses.items())
        return {"loss": total, "losses": losses, "weights": self.weights, "tallies": tallies}

    @torch.no_grad()
    def retrieval_tally(self, signal: Tensor, mask: Tensor, scans: Tensor) -> Tensor:
        """Return the sums that `TextAlignment.retrieval` takes, of windows of held-out scans.

        Parameters
        ----------
        signal : Tensor, shape (B, T, N)
        mask : Tensor of bool, shape (B, N)
        scans : Tensor of int64, shape (B,)
        """
        encoded = self.tokenizer.encode(signal, mask)
        return self._retrieval_tally(encoded, mask, self._features(encoded, mask), scans)

    def _features(self, encoded: Encoded, region_mask: Tensor) -> Tensor | None:
        if self.relations is None:
            return None
        return self.relations(encoded.coefficients, region_mask)

    def _retrieval_tally(
        self, encoded: Encoded, mask: Tensor, features: Tensor | None, scans: Tensor
    ) -> Tensor:
        brain = self.tokenizer.project_to_text(encoded.quantized)
        alignment = cast("TextAlignment", self.alignment)
        return alignment.retrieval_tally(alignment.pool(brain, mask, features), scans)

    @torch.no_grad()
    def _tallies(
        self, signal: Tensor, out: Reconstructed, mask: Tensor, scans: Tensor
    ) -> dict[str, Tensor]:
        present = mask[:, None, :]
        error = (signal - out.signal.float()).square().masked_fill(~present, 0.0)
        power = signal.square().masked_fill(~present, 0.0)
        tallies = {
            "codes": code_counts(out.encoded.codes, self.tokenizer.config.n_codes),
            "squared_error": error.sum(dtype=torch.float64),
            "power": power.sum(dtype=torch.float64),
        }
        if self.alignment is not None:
            n_scans = _n_scans(scans).double()
            chance = self.alignment.contrast.chance(int(n_scans))
            tallies |= {"scans": n_scans, "chance": n_scans * chance}
        return tallies


def masked_mse(signal: Tensor, reconstruction: Tensor, mask: Tensor) -> Tensor:
    """Mean squared error over the regions that are present, a scalar.

    Parameters
    ----------
    signal, reconstruction : Tensor, shape (B, T, N)
    mask : Tensor of bool, shape (B, N)
    """
    weights = mask[:, None, :].expand_as(signal).to(signal.dtype)
    return ((signal - reconstruction).square() * weights).sum() / weights.sum().clamp(min=1)


def _n_scans(scans: Tensor) -> Tensor:
    """Different scans among the windows of all processes, a scalar."""
    return torch.tensor(all_gather(scans).rows.unique().numel(), device=scans.device)
