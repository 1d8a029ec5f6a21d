"""From quantized latents on the token grid back to a signal."""

import torch
from torch import Tensor, nn

from fmri_vqtok.model.position_embedding import SpaceTimePositions
from fmri_vqtok.model.transformer import GridTransformer, from_patches


class Decoder(nn.Module):
    """Transformer blocks that correct each patch by its neighbours, and a head of P frames.

    Time is causal in the same way as in the encoder: the frames of step w depend on the codes of
    steps up to w.

    Parameters
    ----------
    patch_frames : int
        P.
    positions : SpaceTimePositions
    transformer : GridTransformer
    width : int
        D.
    """

    def __init__(
        self,
        patch_frames: int,
        positions: SpaceTimePositions,
        transformer: GridTransformer,
        width: int,
    ) -> None:
        super().__init__()
        self.positions = positions
        self.transformer = transformer
        self.head = nn.Linear(width, patch_frames)

    def forward(self, grid: Tensor, present: Tensor | None = None) -> Tensor:
        """Signal, shape (B, W * P, N), of quantized latents, shape (B, W, N, D).

        ``present``, bool of shape (B, N), says which regions others may look at.
        """
        placed = grid + self.positions(grid.shape[1])
        return from_patches(self.head(self.transformer(placed, present)))

    @torch.no_grad()
    def start_at(self, temporal: Tensor) -> None:
        """Let the head read the first channels as the coordinates of a patch in a basis.

        Parameters
        ----------
        temporal : Tensor, shape (P, J)
        """
        n_coefficients = temporal.shape[1]
        self.head.weight[:, :n_coefficients] = temporal
        self.head.weight[:, n_coefficients:] *= 0.01
        self.head.bias.zero_()
