"""Who looks at whom on the token grid, without an (M, M) mask or matrix of weights.

B scans, H heads, W steps, N regions, h channels of a head. Queries, keys and values have the shape
(B, H, W, N, h) and what comes out (B, W, N, H, h). A step looks at no later one because it is
handed none, so the future costs nothing and cannot leak.

``keys`` says which regions may be looked at, bool of shape (B, N); None for all of them.
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

Attend = Callable[[Tensor, Tensor, Tensor, Tensor | None], Tensor]


def attend_to_past(q: Tensor, k: Tensor, v: Tensor, keys: Tensor | None) -> Tensor:
    """Look at every region of a token's own step and of all earlier ones."""
    seen = []
    for step in range(q.shape[2]):
        past_k, past_v = (x[:, :, : step + 1].flatten(2, 3) for x in (k, v))
        mask = _mask(keys, step + 1)
        heads = scaled_dot_product_attention(q[:, :, step], past_k, past_v, attn_mask=mask)
        seen.append(heads.transpose(1, 2))
    return torch.stack(seen, dim=1)


def attend_to_all(q: Tensor, k: Tensor, v: Tensor, keys: Tensor | None) -> Tensor:
    """Look at every region of every step."""
    n_steps, n_regions = q.shape[2:4]
    heads = scaled_dot_product_attention(
        q.flatten(2, 3), k.flatten(2, 3), v.flatten(2, 3), attn_mask=_mask(keys, n_steps)
    )
    return heads.transpose(1, 2).unflatten(1, (n_steps, n_regions))


def attend_to_regions(q: Tensor, k: Tensor, v: Tensor, keys: Tensor | None) -> Tensor:
    """Look at every region of a token's own step."""
    n_scans, _, n_steps = q.shape[:3]
    q, k, v = (x.transpose(1, 2).flatten(0, 1) for x in (q, k, v))
    mask = None if keys is None else _mask(keys.repeat_interleave(n_steps, dim=0), 1)
    heads = scaled_dot_product_attention(q, k, v, attn_mask=mask)
    return heads.transpose(1, 2).unflatten(0, (n_scans, n_steps))


def attend_to_own_past(q: Tensor, k: Tensor, v: Tensor, _keys: Tensor | None) -> Tensor:
    """Look at the steps of a token's own region up to its own; others are not looked at anyway."""
    return _attend_along_time(q, k, v, is_causal=True)


def attend_to_own_steps(q: Tensor, k: Tensor, v: Tensor, _keys: Tensor | None) -> Tensor:
    """Look at all steps of a token's own region; others are not looked at anyway."""
    return _attend_along_time(q, k, v, is_causal=False)


def attention_of_blocks(depth: int, attention: str, temporal_attention: str) -> list[Attend]:
    """Choose what each block looks at.

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


def _mask(keys: Tensor | None, n_steps: int) -> Tensor | None:
    """Mask of the tokens of some steps, shape (B, 1, 1, n_steps * N)."""
    return None if keys is None else keys.repeat(1, n_steps)[:, None, None]
