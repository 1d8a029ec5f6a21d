"""Pre-norm transformer blocks over the token grid, causal over time."""

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from fmri_vqtok.model.attention import Attend, attention_of_blocks


class Attention(nn.Module):
    """Multi-head attention of the tokens of a grid.

    Parameters
    ----------
    width : int
        D, a multiple of ``n_heads``.
    n_heads : int
    attend : callable
        Attention pattern: a function of `fmri_vqtok.model.attention`.
    """

    def __init__(self, width: int, n_heads: int, attend: Attend) -> None:
        super().__init__()
        self.n_heads = n_heads
        self.attend = attend
        self.to_qkv = nn.Linear(width, 3 * width)
        self.to_out = nn.Linear(width, width)

    def forward(self, x: Tensor, key_mask: Tensor | None) -> Tensor:
        """Attend; ``x`` (B, W, N, D), ``key_mask`` (B, N) True for regions to attend to."""
        q, k, v = self.to_qkv(x).unflatten(-1, (3, self.n_heads, -1)).permute(3, 0, 4, 1, 2, 5)
        return self.to_out(self.attend(q, k, v, key_mask).flatten(3))


class Block(nn.Module):
    """Attention and a two-layer perceptron, each on normalised input and added to it.

    The output weights of both start near zero, so that a new block is close to the identity.
    """

    def __init__(self, width: int, n_heads: int, attend: Attend, mlp_ratio: int = 4) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(width)
        self.attention = Attention(width, n_heads, attend)
        self.mlp_norm = nn.LayerNorm(width)
        self.mlp_in = nn.Linear(width, mlp_ratio * width)
        self.mlp_out = nn.Linear(mlp_ratio * width, width)
        for last in (self.attention.to_out, self.mlp_out):
            nn.init.normal_(last.weight, std=0.002)
            nn.init.zeros_(last.bias)

    def forward(self, x: Tensor, key_mask: Tensor | None) -> Tensor:
        """Tokens after this block, shape (B, W, N, D)."""
        x = x + self.attention(self.attention_norm(x), key_mask)
        return x + self.mlp_out(functional.gelu(self.mlp_in(self.mlp_norm(x))))


class GridTransformer(nn.Module):
    """Blocks over a (B, W, N, D) grid of tokens.

    Parameters
    ----------
    width, depth, n_heads : int
    attention : {"joint", "factorised"}
        "joint": a token attends to all regions; "factorised": blocks attend alternately to the
        regions of a step and to the steps of a region.
    temporal_attention : {"causal", "full"}
        "causal": a token attends to its own step and the past; "full": to every step.

    Attributes
    ----------
    checkpointing : bool
        Whether, in training, a block stores only its input and recomputes the rest in the
        backward pass.
    """

    def __init__(
        self, width: int, depth: int, n_heads: int, attention: str, temporal_attention: str
    ) -> None:
        super().__init__()
        self.checkpointing = False
        self.blocks = nn.ModuleList(
            Block(width, n_heads, attend)
            for attend in attention_of_blocks(depth, attention, temporal_attention)
        )

    def forward(self, grid: Tensor, region_mask: Tensor | None = None) -> Tensor:
        """Grid after all blocks, shape (B, W, N, D).

        Parameters
        ----------
        grid : Tensor, shape (B, W, N, D)
        region_mask : Tensor of bool, shape (B, N), optional
            Regions to attend to; in a scan without any, all are.
        """
        key_mask = (
            None if region_mask is None else region_mask | ~region_mask.any(dim=1, keepdim=True)
        )
        for block in self.blocks:
            if self.checkpointing and torch.is_grad_enabled():
                grid = cast("Tensor", checkpoint(block, grid, key_mask, use_reentrant=False))
            else:
                grid = block(grid, key_mask)
        return grid


class CorrectedLinear(nn.Linear):
    """A linear map, and a perceptron that corrects it; the correction starts near zero.

    Parameters
    ----------
    in_features, out_features : int
    hidden_width : int
        Of the perceptron's one hidden layer.
    """

    def __init__(self, in_features: int, out_features: int, hidden_width: int) -> None:
        super().__init__(in_features, out_features)
        self.norm = nn.LayerNorm(in_features)
        self.mlp_in = nn.Linear(in_features, hidden_width)
        self.mlp_out = nn.Linear(hidden_width, out_features)
        nn.init.normal_(self.mlp_out.weight, std=1e-4)
        nn.init.zeros_(self.mlp_out.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Map (..., in_features) to (..., out_features)."""
        correction = self.mlp_out(functional.gelu(self.mlp_in(self.norm(x))))
        return super().forward(x) + correction


def to_patches(x: Tensor, n_frames: int) -> Tensor:
    """Patches along time, the last one padded with zeros.

    Parameters
    ----------
    x : Tensor, shape (B, T, N)
    n_frames : int
        P, frames per patch.

    Returns
    -------
    Tensor, shape (B, ceil(T / P), N, P)
    """
    padded = functional.pad(x, (0, 0, 0, -x.shape[1] % n_frames))
    return padded.unflatten(1, (-1, n_frames)).transpose(2, 3)


def from_patches(patches: Tensor) -> Tensor:
    """Series of patches; the inverse of `to_patches` up to the padding.

    Parameters
    ----------
    patches : Tensor, shape (B, W, N, P)

    Returns
    -------
    Tensor, shape (B, W * P, N)
    """
    return torch.flatten(patches.transpose(2, 3), 1, 2)
