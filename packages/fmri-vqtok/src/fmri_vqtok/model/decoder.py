"""From quantized latents on the token grid back to a signal."""

import torch
from torch import Tensor, nn

from fmri_vqtok.model.position_embedding import SpaceTimePositions
from fmri_vqtok.model.transformer import GridTransformer, from_patches


class Decoder(nn.Module):
    """Transformer blocks over the quantized latents, and a head of P frames.

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

    def forward(self, grid: Tensor, region_mask: Tensor | None = None) -> Tensor:
        """Signal, shape (B, W * P, N), of quantized latents, shape (B, W, N, D).

        ``region_mask``, bool of shape (B, N), is False for regions that no other attends to.
        """
        placed = grid + self.positions(grid.shape[1])
        return from_patches(self.head(self.transformer(placed, region_mask)))

    @torch.no_grad()
    def init_basis(self, temporal: Tensor) -> None:
        """Make the head read the first channels as the coordinates of a patch in a basis.

        Parameters
        ----------
        temporal : Tensor, shape (P, J)
        """
        n_coefficients = temporal.shape[1]
        self.head.weight[:, :n_coefficients] = temporal
        self.head.weight[:, n_coefficients:] *= 0.01
        self.head.bias.zero_()
