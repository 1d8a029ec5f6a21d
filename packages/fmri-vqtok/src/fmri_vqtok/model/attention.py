"""Attention patterns over the token grid, without an (M, M) mask or matrix of weights.

B scans, H heads, W steps, N regions, h channels of a head. Queries, keys and values have the shape
(B, H, W, N, h) and outputs (B, W, N, H, h). Causal attention gets no keys of later steps, so that
the future costs nothing and cannot leak.

``key_mask``, bool of shape (B, N), is True for regions that may be attended to; None for all. (As
in `scaled_dot_product_attention`, True takes part; torch's ``key_padding_mask`` is the opposite.)
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

Attend = Callable[[Tensor, Tensor, Tensor, Tensor | None], Tensor]


def attend_to_past(q: Tensor, k: Tensor, v: Tensor, key_mask: Tensor | None) -> Tensor:
    """Attend to every region of the same step and of all earlier ones."""
    outputs = []
    for step in range(q.shape[2]):
        past_k, past_v = (x[:, :, : step + 1].flatten(2, 3) for x in (k, v))
        mask = _mask(key_mask, step + 1)
        heads = scaled_dot_product_attention(q[:, :, step], past_k, past_v, attn_mask=mask)
        outputs.append(heads.transpose(1, 2))
    return torch.stack(outputs, dim=1)


def attend_to_all(q: Tensor, k: Tensor, v: Tensor, key_mask: Tensor | None) -> Tensor:
    """Attend to every region of every step."""
    n_steps, n_regions = q.shape[2:4]
    heads = scaled_dot_product_attention(
        q.flatten(2, 3), k.flatten(2, 3), v.flatten(2, 3), attn_mask=_mask(key_mask, n_steps)
    )
    return heads.transpose(1, 2).unflatten(1, (n_steps, n_regions))


def attend_to_regions(q: Tensor, k: Tensor, v: Tensor, key_mask: Tensor | None) -> Tensor:
    """Attend to every region of the same step."""
    n_scans, _, n_steps = q.shape[:3]
    q, k, v = (x.transpose(1, 2).flatten(0, 1) for x in (q, k, v))
    mask = None if key_mask is None else _mask(key_mask.repeat_interleave(n_steps, dim=0), 1)
    heads = scaled_dot_product_attention(q, k, v, attn_mask=mask)
    return heads.transpose(1, 2).unflatten(0, (n_scans, n_steps))


def attend_to_own_past(q: Tensor, k: Tensor, v: Tensor, _key_mask: Tensor | None) -> Tensor:
    """Attend to the same region, up to the same step; no mask of other regions is needed."""
    return _attend_along_time(q, k, v, is_causal=True)


def attend_to_own_steps(q: Tensor, k: Tensor, v: Tensor, _key_mask: Tensor | None) -> Tensor:
    """Attend to the same region in all steps; no mask of other regions is needed."""
    return _attend_along_time(q, k, v, is_causal=False)


def attention_of_blocks(depth: int, attention: str, temporal_attention: str) -> list[Attend]:
    """Attention pattern of each block.

    Parameters
    ----------
    depth : int
    attention : {"joint", "factorised"}
    temporal_attention : {"causal", "full"}
    """
    causal = temporal_attention == "causal"
    if attention == "joint":
        return [attend_to_past if causal else attend_to_all] * depth
    along_time = attend_to_own_past if causal else attend_to_own_steps
    return [along_time if block % 2 else attend_to_regions for block in range(depth)]


def _attend_along_time(q: Tensor, k: Tensor, v: Tensor, *, is_causal: bool) -> Tensor:
    n_scans, n_regions = q.shape[0], q.shape[3]
    q, k, v = (x.permute(0, 3, 1, 2, 4).flatten(0, 1) for x in (q, k, v))
    heads = scaled_dot_product_attention(q, k, v, is_causal=is_causal)
    return heads.unflatten(0, (n_scans, n_regions)).permute(0, 3, 1, 2, 4)


def _mask(key_mask: Tensor | None, n_steps: int) -> Tensor | None:
    """Mask of the tokens of some steps, shape (B, 1, 1, n_steps * N)."""
    return None if key_mask is None else key_mask.repeat(1, n_steps)[:, None, None]
