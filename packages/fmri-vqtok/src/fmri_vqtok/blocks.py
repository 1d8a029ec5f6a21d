"""Pre-norm transformer blocks over the token grid, causal over time."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from fmri_vqtok.token_grid import block_causal_mask, flatten, unflatten


class Attention(nn.Module):
    """Multi-head attention of the tokens of a grid.

    Parameters
    ----------
    width : int
        D, a multiple of ``n_heads``.
    n_heads : int
    """

    def __init__(self, width: int, n_heads: int) -> None:
        super().__init__()
        self.n_heads = n_heads
        self.to_qkv = nn.Linear(width, 3 * width)
        self.to_out = nn.Linear(width, width)

    def forward(self, x: Tensor, allowed: Tensor | None) -> Tensor:
        """Attend; ``x`` has shape (B, M, D), ``allowed`` (M, M) is True where it may look."""
        q, k, v = self.to_qkv(x).unflatten(-1, (3, self.n_heads, -1)).permute(2, 0, 3, 1, 4)
        heads = functional.scaled_dot_product_attention(q, k, v, attn_mask=allowed)
        return self.to_out(heads.transpose(1, 2).flatten(2))


class Block(nn.Module):
    """Attention and a two-layer perceptron, each on normalised input and added to it.

    Both start near zero, so that a new block hardly changes what passes through it.
    """

    def __init__(self, width: int, n_heads: int, mlp_ratio: int = 4) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(width)
        self.attention = Attention(width, n_heads)
        self.mlp_norm = nn.LayerNorm(width)
        self.mlp_in = nn.Linear(width, mlp_ratio * width)
        self.mlp_out = nn.Linear(mlp_ratio * width, width)
        for last in (self.attention.to_out, self.mlp_out):
            nn.init.normal_(last.weight, std=0.002)
            nn.init.zeros_(last.bias)

    def forward(self, x: Tensor, allowed: Tensor | None) -> Tensor:
        """Next state of the tokens, shape (B, M, D)."""
        x = x + self.attention(self.attention_norm(x), allowed)
        return x + self.mlp_out(functional.gelu(self.mlp_in(self.mlp_norm(x))))


class GridTransformer(nn.Module):
    """Blocks over a (B, W, N, D) grid of tokens.

    Parameters
    ----------
    width, depth, n_heads : int
    temporal_attention : {"causal", "full"}
        "causal": a token sees its own step and the past; "full": every token.
    """

    def __init__(self, width: int, depth: int, n_heads: int, temporal_attention: str) -> None:
        super().__init__()
        self.causal = temporal_attention == "causal"
        self.blocks = nn.ModuleList(Block(width, n_heads) for _ in range(depth))

    def forward(self, grid: Tensor) -> Tensor:
        """Grid after all blocks, shape (B, W, N, D)."""
        n_steps, n_regions = grid.shape[1:3]
        allowed = None
        if self.causal and n_steps > 1:
            allowed = block_causal_mask(n_steps, n_regions, grid.device)
        tokens = flatten(grid)
        for block in self.blocks:
            tokens = block(tokens, allowed)
        return unflatten(tokens, n_regions)


def to_patches(x: Tensor, n_frames: int) -> Tensor:
    """Patches along time, the last one filled up with zeros.

    Parameters
    ----------
    x : Tensor, shape (B, T, N)
    n_frames : int
        P, frames of a patch.

    Returns
    -------
    Tensor, shape (B, ceil(T / P), N, P)
    """
    filled = functional.pad(x, (0, 0, 0, -x.shape[1] % n_frames))
    return filled.unflatten(1, (-1, n_frames)).transpose(2, 3)


def from_patches(patches: Tensor) -> Tensor:
    """Series of patches; the inverse of `to_patches` up to the filling.

    Parameters
    ----------
    patches : Tensor, shape (B, W, N, P)

    Returns
    -------
    Tensor, shape (B, W * P, N)
    """
    return torch.flatten(patches.transpose(2, 3), 1, 2)
