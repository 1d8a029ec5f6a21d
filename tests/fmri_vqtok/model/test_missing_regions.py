import pytest
import torch

from fmri_vqtok.errors import InputError

T, N, P = 24, 5, 8
MISSING = 2
PRESENT = torch.arange(N) != MISSING
KINDS = pytest.mark.parametrize(
    "changes",
    [{}, {"attention": "factorised"}, {"temporal_attention": "full"}, {"token_basis": "regions"}],
    ids=["default", "factorised", "full", "regions"],
)


def signal(scans=2):
    return torch.randn(scans, T, N, generator=torch.Generator().manual_seed(1))


def fitted(make_tokenizer, **changes):
    """Tokenizer whose shared basis really mixes the regions."""
    tokenizer = make_tokenizer(**changes)
    generator = torch.Generator().manual_seed(2)
    common = torch.randn(40, T, 1, generator=generator)
    tokenizer.initialise(common + torch.randn(40, T, N, generator=generator), generator)
    return tokenizer


@KINDS
@pytest.mark.parametrize("value", [123.0, float("nan"), float("inf")])
def test_values_of_a_missing_region_change_no_bit(make_tokenizer, changes, value):
    tokenizer = fitted(make_tokenizer, **changes)
    x, other = signal(), signal()
    other[:, :, MISSING] = value
    with torch.no_grad():
        one, two = tokenizer(x, PRESENT), tokenizer(other, PRESENT)
    assert torch.equal(one.encoded.latents[:, :, PRESENT], two.encoded.latents[:, :, PRESENT])
    assert torch.equal(one.encoded.codes, two.encoded.codes)
    assert torch.equal(one.signal, two.signal)


@KINDS
def test_a_missing_region_is_not_taken_for_one_that_is_silent(make_tokenizer, changes):
    tokenizer = fitted(make_tokenizer, **changes)
    x = signal()
    x[:, :, MISSING] = 0.0
    silent, missing = tokenizer.embed(x), tokenizer.embed(x, region_mask=PRESENT)
    assert not torch.allclose(silent[:, :, PRESENT], missing[:, :, PRESENT], atol=1e-4)


def test_other_regions_attend_as_if_a_missing_one_did_not_exist(make_tokenizer):
    # The oracle is a tokenizer of four regions with the same weights.
    tokenizer = make_tokenizer()
    smaller = make_tokenizer(n_regions=N - 1)
    state = {
        name: value[PRESENT] if name.endswith("positions.region") else value
        for name, value in tokenizer.state_dict().items()
        if not name.startswith("basis")
    }
    smaller.load_state_dict(state, strict=False)
    latents = tokenizer.embed(signal(), region_mask=PRESENT)[:, :, PRESENT]
    expected = smaller.embed(signal()[:, :, PRESENT])
    torch.testing.assert_close(latents, expected, atol=1e-5, rtol=1e-5)


def test_the_decoder_does_not_correct_others_by_a_missing_region(make_tokenizer):
    tokenizer = make_tokenizer(token_basis="regions", n_codes=32)
    codes = tokenizer.encode(signal()).codes
    changed = codes.clone()
    changed[:, :, MISSING] = (codes[:, :, MISSING] + 1) % 32
    before, after = (tokenizer.decode(x, PRESENT)[:, :, PRESENT] for x in (codes, changed))
    assert torch.equal(before, after)
    before, after = (tokenizer.decode(x)[:, :, PRESENT] for x in (codes, changed))
    assert not torch.equal(before, after)


def test_a_mask_of_all_regions_equals_no_mask(make_tokenizer):
    tokenizer = fitted(make_tokenizer)
    whole = torch.ones(2, N, dtype=torch.bool)
    with_mask, without = tokenizer(signal(), whole), tokenizer(signal())
    assert torch.equal(with_mask.signal, without.signal)


def test_each_scan_has_its_own_mask(make_tokenizer):
    tokenizer = fitted(make_tokenizer)
    masks = torch.stack([PRESENT, torch.ones(N, dtype=torch.bool)])
    both = tokenizer.embed(signal(), region_mask=masks)
    torch.testing.assert_close(both[0], tokenizer.embed(signal()[:1], region_mask=PRESENT)[0])
    torch.testing.assert_close(both[1], tokenizer.embed(signal()[1:])[0])


def test_a_scan_without_any_region_gives_finite_numbers_and_gradients(make_tokenizer):
    tokenizer = fitted(make_tokenizer)
    nothing = torch.zeros(2, N, dtype=torch.bool)
    x = signal().requires_grad_()
    out = tokenizer(x, nothing)
    out.signal.sum().backward()
    assert out.signal.isfinite().all()
    assert not x.grad.any()
    assert not tokenizer.embed(signal(), "scan", nothing).any()


def test_steps_and_scans_are_means_over_the_present_regions(make_tokenizer):
    tokenizer = make_tokenizer()
    patches = tokenizer.embed(signal(), region_mask=PRESENT)
    steps = tokenizer.embed(signal(), level="step", region_mask=PRESENT)
    scans = tokenizer.embed(signal(), level="scan", region_mask=PRESENT)
    assert (patches.shape, steps.shape, scans.shape) == ((2, 3, N, 16), (2, 3, 16), (2, 16))
    torch.testing.assert_close(steps, patches[:, :, PRESENT].mean(dim=2))
    torch.testing.assert_close(scans, patches[:, :, PRESENT].mean(dim=(1, 2)))
    torch.testing.assert_close(tokenizer.embed(signal(), "scan"),
                               tokenizer.embed(signal()).mean(dim=(1, 2)))  # fmt: skip


def test_an_unknown_level_is_refused(make_tokenizer):
    with pytest.raises(InputError, match="level: 'region'; give one of 'patch', 'step', 'scan'"):
        make_tokenizer().embed(signal(), level="region")


@pytest.mark.parametrize(
    "mask", [torch.ones(N), torch.ones(3, N, dtype=torch.bool), torch.ones(4, dtype=torch.bool)]
)
def test_a_mask_that_does_not_fit_is_refused(make_tokenizer, mask):
    with pytest.raises(InputError, match=r"mask: torch.* give bool of shape \(2, 5\) or \(5,\)"):
        make_tokenizer().encode(signal(), mask)
