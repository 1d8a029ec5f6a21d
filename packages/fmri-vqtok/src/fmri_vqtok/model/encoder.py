"""From a signal to latents on the token grid."""

import torch
from torch import Tensor, nn

from fmri_vqtok.model.position_embedding import SpaceTimePositions
from fmri_vqtok.model.transformer import GridTransformer, to_patches


class Encoder(nn.Module):
    """Patch embedding along time, positions, and transformer blocks (section 3.2 of the paper).

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
        self.patch_frames = patch_frames
        self.patch_embedding = nn.Linear(patch_frames, width)
        self.positions = positions
        self.transformer = transformer

    def forward(self, x: Tensor, region_mask: Tensor | None = None) -> Tensor:
        """Latents, shape (B, W, N, D), of a signal, shape (B, T, N).

        ``region_mask``, bool of shape (B, N), is False for regions that no other attends to.
        """
        embedded = self.patch_embedding(to_patches(x, self.patch_frames))
        return self.transformer(embedded + self.positions(embedded.shape[1]), region_mask)

    @torch.no_grad()
    def init_basis(self, temporal: Tensor) -> None:
        """Make the first channels of the embedding the coordinates of a patch in a basis.

        Parameters
        ----------
        temporal : Tensor, shape (P, J)
            Orthonormal columns, J at most D.
        """
        self.patch_embedding.weight[: temporal.shape[1]] = temporal.T
        self.patch_embedding.bias.zero_()
