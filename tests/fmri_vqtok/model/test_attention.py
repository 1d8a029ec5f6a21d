import pytest
import torch
from torch.nn.functional import scaled_dot_product_attention

from fmri_vqtok.model import attention
from fmri_vqtok.model.transformer import GridTransformer, from_patches, to_patches

B, H, W, N, h = 2, 3, 4, 5, 8
P, T = 8, 24
STEPS, REGIONS = torch.arange(W).repeat_interleave(N), torch.arange(N).repeat(W)
PAST = STEPS[None, :] <= STEPS[:, None]
ALLOWED = {
    attention.attend_to_past: PAST,
    attention.attend_to_all: torch.ones(W * N, W * N, dtype=torch.bool),
    attention.attend_to_regions: STEPS[:, None] == STEPS,
    attention.attend_to_own_past: (REGIONS[:, None] == REGIONS) & PAST,
    attention.attend_to_own_steps: REGIONS[:, None] == REGIONS,
}
OWN_REGION = (attention.attend_to_own_past, attention.attend_to_own_steps)
by_name = pytest.mark.parametrize("attend", ALLOWED, ids=lambda attend: attend.__name__)
OPTIONS = pytest.mark.parametrize("kind", ["joint", "factorised"])


def heads(seed):
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.randn(3, B, H, W, N, h, generator=generator)
    return [x.clone().requires_grad_() for x in drawn]


def masked(q, k, v, allowed):
    """The same through a materialised mask of all pairs, as torch does it."""
    flat = (x.flatten(2, 3) for x in (q, k, v))
    out = scaled_dot_product_attention(*flat, attn_mask=allowed)
    return out.transpose(1, 2).unflatten(1, (W, N))


@by_name
@pytest.mark.parametrize("missing", [False, True])
def test_attention_and_its_gradients_equal_those_through_a_mask_of_all_pairs(attend, missing):
    keys, allowed = None, ALLOWED[attend]
    if missing:
        keys = torch.tensor([[True] * N, [True, False, True, False, True]])
        if attend not in OWN_REGION:
            allowed = allowed & keys.repeat(1, W)[:, None, None]
    ours, theirs = heads(0), heads(0)
    weights = torch.randn(B, W, N, H, h, generator=torch.Generator().manual_seed(1))
    out, expected = attend(*ours, keys), masked(*theirs, allowed)
    torch.testing.assert_close(out, expected, atol=1e-5, rtol=1e-5)
    (out * weights).sum().backward()
    (expected * weights).sum().backward()
    for x, y in zip(ours, theirs, strict=True):
        torch.testing.assert_close(x.grad, y.grad, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("keys", [None, torch.arange(100)[None] > 3], ids=["whole", "missing"])
def test_no_array_of_all_pairs_is_kept_for_the_gradient(keys):
    sizes = []

    def note(x):
        sizes.append(x.numel())
        return x

    with torch.autograd.graph.saved_tensors_hooks(note, lambda x: x):
        generator = torch.Generator().manual_seed(0)
        q, k, v = torch.randn(3, 1, 1, 4, 100, 8, generator=generator, requires_grad=True)
        attention.attend_to_past(q, k, v, keys)
    assert max(sizes) < 400 * 100  # the pairs of tokens are 400 * 400


def test_factorised_blocks_attend_alternately_to_regions_and_time():
    found = attention.attention_of_blocks(3, "factorised", "causal")
    assert found == [
        attention.attend_to_regions, attention.attend_to_own_past, attention.attend_to_regions,
    ]  # fmt: skip
    assert attention.attention_of_blocks(2, "factorised", "full")[1] is (
        attention.attend_to_own_steps
    )


@pytest.fixture
def signal():
    return torch.randn(2, T, N, generator=torch.Generator().manual_seed(1))


def test_factorised_attention_lets_nothing_of_the_future_through(make_tokenizer, signal):
    tokenizer = make_tokenizer(attention="factorised")
    changed = signal.clone()
    changed[:, P:] = torch.randn(2, T - P, N)
    with torch.no_grad():
        before, after = tokenizer(signal), tokenizer(changed)
    assert torch.equal(before.encoded.latents[:, 0], after.encoded.latents[:, 0])
    assert torch.equal(before.signal[:, :P], after.signal[:, :P])
    assert not torch.equal(before.encoded.latents[:, 1], after.encoded.latents[:, 1])


def test_factorised_attention_reaches_the_past_of_other_regions(make_tokenizer, signal):
    tokenizer = make_tokenizer(attention="factorised")
    changed = signal.clone()
    changed[:, :P, 0] = torch.randn(2, P)
    moved = (tokenizer.embed(changed) - tokenizer.embed(signal)).abs().amax(dim=(0, 3))
    assert (moved[1:, 1:] > 1e-4).all()


def test_factorised_attention_knows_the_order_of_time(make_tokenizer, signal):
    tokenizer = make_tokenizer(attention="factorised", temporal_attention="full")
    order = [2, 0, 1]
    permuted = from_patches(to_patches(signal, P)[:, order])
    difference = tokenizer.embed(permuted) - tokenizer.embed(signal)[:, order]
    assert difference.abs().max() > 1e-3


@OPTIONS
@pytest.mark.parametrize("n_frames", [8, 16, 20])
def test_a_shorter_signal_gives_the_first_steps_of_the_longer_one(
    make_tokenizer, signal, kind, n_frames
):
    tokenizer = make_tokenizer(attention=kind)
    signal[:, n_frames:] = 0.0
    short = tokenizer.encode(signal[:, :n_frames])
    whole = tokenizer.encode(signal)
    n_steps = short.codes.shape[1]
    assert n_steps == -(-n_frames // P)
    assert torch.equal(short.codes, whole.codes[:, :n_steps])
    torch.testing.assert_close(short.latents, whole.latents[:, :n_steps], atol=1e-5, rtol=1e-5)
    first, everything = tokenizer.decode(short.codes), tokenizer.decode(whole.codes)
    torch.testing.assert_close(first, everything[:, : n_steps * P], atol=1e-5, rtol=1e-5)


@OPTIONS
def test_recomputed_activations_give_the_same_gradients_to_the_bit(make_tokenizer, signal, kind):
    tokenizer = make_tokenizer(attention=kind).train()
    plain = gradients(tokenizer, signal)
    again = gradients(tokenizer.enable_activation_checkpointing(), signal)
    assert all(torch.equal(plain[name], again[name]) for name in plain)


def gradients(tokenizer, signal):
    tokenizer.zero_grad()
    # Not through the codebook, which moves in training: both runs have to meet the same one.
    latents = tokenizer.embed(signal)
    tokenizer.decoder(latents).square().mean().backward()
    return {
        name: parameter.grad.clone()
        for name, parameter in tokenizer.named_parameters()
        if parameter.grad is not None
    }


def test_recomputed_activations_are_not_kept():
    transformer = GridTransformer(32, 4, 4, "joint", "causal")
    grid = torch.randn(2, 3, 20, 32, requires_grad=True)
    plain = kept_numbers(transformer, grid)
    transformer.checkpointing = True
    assert kept_numbers(transformer, grid) < plain / 5
    transformer.checkpointing = False
    assert kept_numbers(transformer, grid) == plain


def kept_numbers(transformer, grid):
    """Numbers that a forward pass keeps for the gradient, each storage once."""
    kept = {}

    def note(x):
        kept[x.untyped_storage().data_ptr()] = x.untyped_storage().nbytes()
        return x

    with torch.autograd.graph.saved_tensors_hooks(note, lambda x: x):
        out = transformer(grid)
    weights = {p.untyped_storage().data_ptr() for p in transformer.parameters()}
    del out
    return sum(size for place, size in kept.items() if place not in weights)
