import json

import pytest
import torch
from safetensors.torch import load_file

from fmri_vqtok.errors import InputError
from fmri_vqtok.model.token_basis import TokenBasis
from fmri_vqtok.model.transformer import from_patches, to_patches
from fmri_vqtok.processor import TimeSeriesProcessor
from fmri_vqtok.tokenizer import FMRITokenizer, FMRITokenizerConfig

B, T, N, P, W = 2, 24, 5, 8, 3


def make(**changes):
    sizes = {
        "n_regions": N, "n_frames": T, "patch_frames": P, "width": 16, "n_heads": 2,
        "encoder_depth": 2, "decoder_depth": 2, "n_codes": 32, "code_width": 4,
    }  # fmt: skip
    torch.manual_seed(0)
    tokenizer = FMRITokenizer(FMRITokenizerConfig(**{**sizes, **changes}), TimeSeriesProcessor(T))
    return tokenizer.eval()


def strong_attention(tokenizer):
    """Make attention matter, as after training: a fresh block hardly changes its input."""
    for name, parameter in tokenizer.named_parameters():
        if "to_out.weight" in name or "mlp_out.weight" in name:
            torch.nn.init.normal_(parameter, std=0.3)
    return tokenizer


@pytest.fixture
def signal():
    return torch.randn(B, T, N, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("step", [0, 1])
def test_the_future_moves_no_code_latent_or_reconstruction_by_one_bit(signal, step):
    tokenizer = strong_attention(make())
    changed = signal.clone()
    frames = (step + 1) * P
    changed[:, frames:] = torch.randn(B, T - frames, N)
    with torch.no_grad():
        before, after = tokenizer(signal), tokenizer(changed)
    seen = slice(None, step + 1)
    assert torch.equal(before.encoded.codes[:, seen], after.encoded.codes[:, seen])
    assert torch.equal(before.encoded.latents[:, seen], after.encoded.latents[:, seen])
    assert torch.equal(before.signal[:, :frames], after.signal[:, :frames])
    assert not torch.equal(before.encoded.latents[:, step + 1], after.encoded.latents[:, step + 1])


def test_decoded_steps_do_not_depend_on_later_codes():
    tokenizer = strong_attention(make())
    codes = torch.randint(32, (B, W, N))
    changed = codes.clone()
    changed[:, 2] = torch.randint(32, (B, N))
    before, after = tokenizer.decode(codes), tokenizer.decode(changed)
    assert torch.equal(before[:, : 2 * P], after[:, : 2 * P])
    assert not torch.equal(before[:, 2 * P :], after[:, 2 * P :])


def test_a_token_depends_on_the_past_and_on_the_regions_of_its_step(signal):
    tokenizer = strong_attention(make())
    past, neighbour = signal.clone(), signal.clone()
    past[:, :P] = torch.randn(B, P, N)
    neighbour[:, 2 * P :, 0] = torch.randn(B, P)
    latents = tokenizer.embed(signal)
    assert not torch.allclose(tokenizer.embed(past)[:, 2], latents[:, 2])
    assert not torch.allclose(tokenizer.embed(neighbour)[:, 2, 1:], latents[:, 2, 1:])


def test_full_attention_depends_on_later_steps(signal):
    tokenizer = strong_attention(make(temporal_attention="full"))
    changed = signal.clone()
    changed[:, 2 * P :] = torch.randn(B, P, N)
    assert not torch.allclose(tokenizer.embed(changed)[:, 0], tokenizer.embed(signal)[:, 0])


@pytest.mark.parametrize("temporal_attention", ["causal", "full"])
def test_permuting_time_patches_does_more_than_permute_the_latents(signal, temporal_attention):
    tokenizer = make(temporal_attention=temporal_attention)
    order = [2, 0, 1]
    permuted = from_patches(to_patches(signal, P)[:, order])
    difference = tokenizer.embed(permuted) - tokenizer.embed(signal)[:, order]
    assert difference.abs().max() > 1e-3


def test_patches_and_back_give_the_signal_with_zeros_at_the_end():
    signal = torch.randn(2, 21, 3)
    back = from_patches(to_patches(signal, 8))
    assert torch.equal(back[:, :21], signal)
    assert not back[:, 21:].any()


@pytest.mark.parametrize(("n_frames", "n_steps"), [(24, 3), (20, 3), (16, 2), (3, 1)])
def test_shorter_signals_have_as_many_steps_as_they_need(signal, n_frames, n_steps):
    out = make()(signal[:, :n_frames])
    assert out.encoded.codes.shape == (B, n_steps, N)
    assert out.signal.shape == (B, n_frames, N)


def test_codes_and_their_quantized_latents_belong_together(signal):
    tokenizer = make()
    out = tokenizer(signal)
    assert torch.allclose(tokenizer.decode(out.encoded.codes), out.signal, atol=1e-5)
    assert out.encoded.quantized.shape == (B, W, N, 16)


@pytest.mark.parametrize("n_bands", [1, 2, 5])
def test_the_token_basis_is_orthonormal_and_invertible(n_bands):
    basis = TokenBasis(6, 8, 8, n_bands)
    coefficients = torch.randn(50, 6, 8, generator=torch.Generator().manual_seed(0))
    basis.fit(coefficients)
    tokens = basis.to_tokens(coefficients[:, None])
    assert torch.allclose(basis.to_regions(tokens)[:, 0], coefficients, atol=1e-5)
    assert tokens.square().sum().item() == pytest.approx(coefficients.square().sum().item(), 1e-4)


def test_the_token_basis_keeps_a_common_signal_in_one_component():
    # All regions carry the same series, so one component of the step holds everything.
    common = torch.randn(50, 1, 8, generator=torch.Generator().manual_seed(0)).expand(50, 6, 8)
    basis = TokenBasis(6, 8, 3)
    basis.fit(common)
    tokens = basis.to_tokens(common[:, None].contiguous())
    energy = tokens.square().sum(dim=(0, 1))
    assert (energy > 1e-3).sum() == 8
    assert torch.allclose(basis.to_regions(tokens)[:, 0], common, atol=1e-4)


def test_bands_find_what_regions_share_in_slow_and_in_fast_coefficients():
    slow, fast = torch.tensor([[1.0, 1, 1, 0, 0, 0], [1.0, 0, 0, 1, 1, 1]])
    generator = torch.Generator().manual_seed(0)
    coefficients = torch.cat([
        slow[:, None] * torch.randn(200, 1, 12, generator=generator),
        fast[:, None] * torch.randn(200, 1, 20, generator=generator),
    ], dim=2)  # fmt: skip
    basis = TokenBasis(6, 32, 6, n_bands=8)
    basis.fit(coefficients)
    for band, shared in ((0, slow), (7, fast)):
        assert abs(basis.spatial[band][:, 0] @ shared) / shared.norm() > 0.98


def test_with_a_basis_of_regions_a_code_is_about_its_own_region(signal):
    tokenizer = make(token_basis="regions", n_codes=16)
    tokenizer.initialise(signal, torch.Generator().manual_seed(0))
    codes = tokenizer.encode(signal).codes
    changed = codes.clone()
    changed[:, :, 1] = (changed[:, :, 1] + 1) % tokenizer.config.n_codes
    before, after = (
        tokenizer.from_coefficients(tokenizer.coefficients(x)) for x in (codes, changed)
    )
    moved = (before != after).flatten(0, 1).any(dim=(0, 2))
    assert moved.tolist() == [n == 1 for n in range(N)]


@pytest.mark.parametrize(("basis", "counted"), [("shared", True), ("regions", False)])
def test_the_code_of_a_missing_region_is_valid_only_with_a_shared_basis(basis, counted):
    present = torch.tensor([[True] * (N - 1) + [False]])
    assert make(token_basis=basis).valid_codes(present)[0, -1].item() is counted


def test_initialisation_alone_beats_kmeans_on_raw_patches_with_as_many_codes():
    # Regions that share two sources, as brain regions do; fitted and held-out windows differ.
    generator = torch.Generator().manual_seed(0)
    mixing = torch.randn(2, N, generator=generator)

    def windows(n):
        noise = torch.randn(n, T, N, generator=generator)
        return torch.randn(n, T, 2, generator=generator) @ mixing + 0.3 * noise

    from fmri_vqtok.kernels import nearest_code
    from fmri_vqtok.quantizers.kmeans import kmeans

    train, held_out = windows(200), windows(40)
    tokenizer = make()
    tokenizer.initialise(train, torch.Generator().manual_seed(0))
    ours = (tokenizer(held_out).signal - held_out).square().sum()
    patches = to_patches(held_out, P).reshape(-1, P)
    training = to_patches(train, P).reshape(-1, P)
    centres = kmeans(training, 32, torch.Generator().manual_seed(0), 20)
    theirs = (centres[nearest_code(patches, centres)] - patches).square().sum()
    assert ours < 0.9 * theirs


def test_a_saved_tokenizer_comes_back_equal_to_the_bit(signal, tmp_path):
    tokenizer = make(text_width=12, text_space="tiny")
    tokenizer.parcellation, tokenizer.order_hash = "five", "abc"
    tokenizer.processor.site_scale_ = {"a": 1.25}
    tokenizer.save_pretrained(tmp_path)
    read = FMRITokenizer.from_pretrained(tmp_path, order_hash="abc")
    before, after = tokenizer(signal), read(signal)
    assert torch.equal(before.signal, after.signal)
    assert torch.equal(before.encoded.codes, after.encoded.codes)
    codes = before.encoded.codes
    assert torch.equal(tokenizer.text_embeddings(codes), read.text_embeddings(codes))
    assert read.processor.to_dict() == tokenizer.processor.to_dict()
    assert (read.config, read.parcellation, read.training) == (tokenizer.config, "five", False)


def test_saving_into_new_folders_writes_the_same_bytes_each_time(tmp_path):
    tokenizer = make()
    folders = [tmp_path / "models" / name for name in "ab"]
    for folder in folders:
        tokenizer.save_pretrained(folder)
    for file in ("config.json", "model.safetensors"):
        assert (folders[0] / file).read_bytes() == (folders[1] / file).read_bytes()


def test_the_checkpoint_holds_every_parameter_and_buffer(tmp_path):
    tokenizer = make(text_width=12)
    tokenizer.save_pretrained(tmp_path)
    assert set(load_file(tmp_path / "model.safetensors")) == set(tokenizer.state_dict())


def test_the_description_of_a_default_tokenizer_lacks_later_options(tmp_path):
    make().save_pretrained(tmp_path)
    model = json.loads((tmp_path / "config.json").read_text())["model"]
    assert set(model) == {
        "n_regions", "n_frames", "patch_frames", "width", "n_heads", "encoder_depth",
        "decoder_depth", "n_codes", "code_width", "temporal_attention", "token_basis",
        "text_width", "text_space",
    }  # fmt: skip


def test_options_that_are_no_default_come_back(tmp_path):
    tokenizer = make(attention="factorised", head_width=24)
    tokenizer.save_pretrained(tmp_path)
    assert FMRITokenizer.from_pretrained(tmp_path).config == tokenizer.config


def test_another_region_order_is_refused(tmp_path):
    tokenizer = make()
    tokenizer.order_hash, tokenizer.parcellation = "abc", "aal2"
    tokenizer.save_pretrained(tmp_path)
    with pytest.raises(InputError, match=r"order abc of parcellation 'aal2'.* order xyz"):
        FMRITokenizer.from_pretrained(tmp_path, order_hash="xyz")


def test_a_newer_checkpoint_is_refused(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"schema": 9}))
    with pytest.raises(InputError, match="schema 9, but this version reads up to 1; upgrade"):
        FMRITokenizer.from_pretrained(tmp_path)


def test_a_folder_without_a_tokenizer_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"no config.json; give the folder"):
        FMRITokenizer.from_pretrained(tmp_path)


@pytest.mark.parametrize("key", ["n_frames", "width", "n_heads", "encoder_depth", "code_width"])
def test_a_size_of_zero_is_refused_by_name(key):
    with pytest.raises(InputError, match=f"^{key}: 0; give at least 1"):
        FMRITokenizerConfig.preset("tiny", n_regions=5, **{key: 0})


def test_a_mistyped_size_names_the_nearest_one():
    with pytest.raises(InputError, match=r"n_code: .* did you mean 'n_codes'\?"):
        FMRITokenizerConfig.preset("tiny", n_regions=5, n_code=64)


@pytest.mark.parametrize("shape", [(B, T, N + 1), (B, T + 1, N), (T, N)])
def test_a_signal_of_another_shape_is_refused(shape):
    with pytest.raises(InputError, match="signal: shape"):
        make().encode(torch.zeros(shape))


def test_a_tokenizer_without_text_space_refuses_text_embeddings():
    with pytest.raises(InputError, match="no text space"):
        make().text_embeddings(torch.zeros(1, 1, N, dtype=torch.int64))


def test_an_unknown_preset_is_refused():
    with pytest.raises(InputError, match="preset: 'huge'; give one of tiny, S, B, L"):
        FMRITokenizerConfig.preset("huge", n_regions=3)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"temporal_attention": "none"}, "temporal_attention: 'none'"),
        ({"n_heads": 3}, "width: 16; give a multiple of n_heads, 3"),
        ({"code_width": 17}, "code_width: 17; give at most 16"),
        ({"decoder_depth": -1}, "decoder_depth: -1; give at least 0"),
        ({"head_width": 0}, "head_width: 0; give at least 1, or none"),
        ({"attention": "axial"}, "attention: 'axial'; give one of 'joint', 'factorised'"),
        ({"attention": "factorised", "encoder_depth": 1}, "encoder_depth: 1; give at least 2 with"),
        ({"region_positions": "geometry"}, "n_position_features: 0 with region_positions"),
        ({"n_position_features": 2}, "n_position_features: 2 with region_positions 'learned'"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(changes, message):
    with pytest.raises(InputError, match=message):
        make(**changes)
