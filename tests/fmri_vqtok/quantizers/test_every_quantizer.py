"""What every quantizer promises, whichever settings choose it."""

from copy import deepcopy

import pytest
import torch

from fmri_vqtok.config.quantizers import FSQSettings, QuantizerChoice, VQSettings
from fmri_vqtok.errors import InputError
from fmri_vqtok.quantizers import (
    FiniteScalarQuantizer,
    ResidualQuantizer,
    TrellisQuantizer,
    VectorQuantizer,
    make_quantizer,
)
from fmri_vqtok.tokenizer import FMRITokenizer, FMRITokenizerConfig
from fmri_vqtok.training.metrics import code_counts, codes_used, dead_codes, perplexity

D, N = 3, 4
KINDS = {
    "ema": lambda: VectorQuantizer(24, D),
    "gradient": lambda: VectorQuantizer(24, D, update="gradient"),
    "cosine": lambda: VectorQuantizer(24, D, distance="cosine"),
    "gradient, cosine": lambda: VectorQuantizer(24, D, update="gradient", distance="cosine"),
    "fsq": lambda: FiniteScalarQuantizer([4, 3, 2]),
    "residual": lambda: ResidualQuantizer([4, 3, 2], D),
    "trellis": lambda: TrellisQuantizer(32, D, N, state_bits=8),
}
CHOICES = {
    "vq": {},
    "gradient": {"vq": {"update": "gradient", "distance": "cosine"}},
    "fsq": {"quantizer": "fsq", "fsq": {"levels": [4, 4, 2]}},
    "residual": {"quantizer": "residual", "residual": {"stages": [8, 4]}},
    "trellis": {"quantizer": "trellis", "trellis": {"state_bits": 6, "classes": 4}},
}


def samples(n_steps=100, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n_steps, N, D, generator=generator) * torch.tensor([2.0, 1.0, 0.5])


@pytest.fixture(params=KINDS)
def quantizer(request):
    torch.manual_seed(0)
    made = KINDS[request.param]()
    made.initialise(samples(), torch.Generator().manual_seed(0))
    return made.eval()


def test_codes_are_whole_numbers_in_range_in_the_shape_of_the_input(quantizer):
    codes = quantizer(3 * samples(10).reshape(2, 5, N, D)).codes
    assert codes.shape == (2, 5, N)
    assert codes.dtype == torch.int64
    assert 0 <= codes.min() <= codes.max() < quantizer.n_codes


def test_quantizing_the_vector_of_a_code_gives_the_code_and_the_vector(quantizer):
    codes = torch.arange(quantizer.n_codes).reshape(-1, N)
    vectors = quantizer.lookup(codes)
    out = quantizer(vectors)
    assert torch.equal(out.codes, codes)
    assert torch.allclose(out.latents, vectors, atol=1e-6)


def test_the_latents_are_the_vectors_of_the_codes_in_training_too(quantizer):
    before = deepcopy(quantizer)
    out = quantizer.train()(samples(12, seed=1))
    assert torch.allclose(out.latents, before.lookup(out.codes), atol=1e-6)


@pytest.mark.parametrize("kind", [k for k in KINDS if "cosine" not in k and k != "trellis"])
def test_the_code_of_a_vector_is_its_nearest_one(kind):
    quantizer = KINDS[kind]().eval()
    quantizer.initialise(samples(), torch.Generator().manual_seed(0))
    x = samples(75, seed=2).flatten(0, 1)
    distances = torch.cdist(x, quantizer.lookup(torch.arange(24)).detach())
    chosen = distances.gather(1, quantizer(x).codes[:, None])[:, 0]
    assert torch.allclose(chosen, distances.amin(dim=1), atol=1e-5)


def test_the_gradient_passes_straight_through_to_the_input(quantizer):
    x = samples(2).requires_grad_()
    weights = torch.randn(2, N, D)
    (quantizer(x).latents * weights).sum().backward()
    assert torch.equal(x.grad, weights)


def test_the_commitment_pulls_the_input_and_nothing_else(quantizer):
    x = samples(2).requires_grad_()
    out = quantizer(x)
    out.losses["commitment"].backward()
    away = x.detach() - quantizer.lookup(out.codes).detach()
    assert torch.allclose(x.grad, 0.25 * 2 * away / x.numel(), atol=1e-6)
    assert all(p.grad is None for p in quantizer.parameters())


def test_evaluation_changes_no_buffer(quantizer):
    before = {name: value.clone() for name, value in quantizer.state_dict().items()}
    quantizer(5 * samples(25))
    assert all(torch.equal(value, before[name]) for name, value in quantizer.state_dict().items())


def test_autocast_changes_no_code_and_no_loss(quantizer):
    x = samples(50, seed=3)
    with torch.autocast("cpu", torch.bfloat16):
        half = quantizer(x)
    full = quantizer(x)
    assert torch.equal(half.codes, full.codes)
    assert all(torch.equal(half.losses[name], loss) for name, loss in full.losses.items())


def test_the_start_uses_most_codes_on_data_like_its_own(quantizer):
    n_codes = quantizer.n_codes
    counts = code_counts(quantizer(samples(500, seed=4)).codes, n_codes)
    assert codes_used(counts) >= 20
    assert dead_codes(counts) == n_codes - codes_used(counts)
    assert 10 < perplexity(counts) <= n_codes


@pytest.mark.parametrize("kind", KINDS)
def test_the_start_is_a_function_of_samples_and_generator(kind):
    made = []
    for noise in (1, 2):
        torch.manual_seed(noise)
        quantizer = KINDS[kind]()
        quantizer.initialise(samples(), torch.Generator().manual_seed(0))
        made.append(quantizer.lookup(torch.arange(quantizer.n_codes).reshape(-1, N)))
    assert torch.equal(*made)


@pytest.mark.parametrize("kind", KINDS)
def test_the_start_loses_less_than_half_of_the_signal(kind):
    quantizer = KINDS[kind]()
    quantizer.initialise(samples(), torch.Generator().manual_seed(0))
    x = samples(500, seed=5)
    error = (quantizer.eval()(x).latents - x).square().sum() / x.square().sum()
    assert error < 0.5


def test_the_digits_of_packed_codes_are_the_codes_of_the_stages():
    quantizer = ResidualQuantizer([4, 3, 2], D)
    digits = torch.tensor([[0, 0, 1], [0, 1, 0], [1, 0, 0], [3, 2, 1]])
    # c_0 * 3 * 2 + c_1 * 2 + c_2
    assert quantizer.pack(digits).tolist() == [1, 2, 6, 23]
    assert torch.equal(quantizer.unpack(quantizer.pack(digits)), digits)
    parts = [stage.codebook[digits[3, s]] for s, stage in enumerate(quantizer.stages)]
    assert torch.allclose(quantizer.lookup(torch.tensor(23)), sum(parts))


def test_stages_learn_the_factors_that_sums_were_made_of():
    # Every vector is one of four corners of a large square plus one of a small one.
    corners = torch.tensor([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]])
    generator = torch.Generator().manual_seed(0)
    large, small = torch.randint(4, (2, 500), generator=generator)
    x = 4 * corners[large] + corners[small]
    errors = []
    for seed in range(8):
        quantizer = ResidualQuantizer([4, 4], 2).eval()
        quantizer.initialise(x, torch.Generator().manual_seed(seed))
        errors.append(float((quantizer(x).latents - x).square().mean()))
    assert min(errors) < 1e-6


def test_training_keeps_the_stages_at_what_they_learned():
    x = samples(1000, seed=6).flatten(0, 1)
    quantizer = ResidualQuantizer([6, 4], D, decay=0.9)
    quantizer.initialise(x, torch.Generator().manual_seed(0))
    error = [float((quantizer.eval()(x).latents - x).square().mean())]
    for batch in x.split(200):
        quantizer.train()(batch)
    error.append(float((quantizer.eval()(x).latents - x).square().mean()))
    assert error[1] < 1.05 * error[0]


def test_the_levels_of_a_scalar_quantizer_are_even_symmetric_and_packed_first_digit_first():
    quantizer = FiniteScalarQuantizer([3, 2])
    expected = [[-1, -1], [0, -1], [1, -1], [-1, 1], [0, 1], [1, 1]]
    assert quantizer.lookup(torch.arange(6)).tolist() == expected


def test_a_code_beyond_the_grid_is_refused():
    with pytest.raises(IndexError, match="codes: 0 to 6 of 6"):
        FiniteScalarQuantizer([3, 2]).lookup(torch.tensor([0, 6]))


def test_the_scale_of_two_levels_is_the_one_that_lloyd_gives():
    # For a Gaussian of variance 1 the best two levels are -+ sqrt(2 / pi) = 0.798.
    x = torch.randn(100_000, 1, generator=torch.Generator().manual_seed(0))
    quantizer = FiniteScalarQuantizer([2])
    quantizer.initialise(x, torch.Generator())
    assert quantizer.scale.item() == pytest.approx(0.798, abs=0.035)


def config(**changes):
    return FMRITokenizerConfig(**{
        "n_regions": 5, "n_frames": 24, "patch_frames": 8, "width": 16, "n_heads": 2,
        "encoder_depth": 1, "decoder_depth": 1, "n_codes": 32, "code_width": 3, **changes,
    })  # fmt: skip


@pytest.mark.parametrize("choice", CHOICES)
def test_a_tokenizer_with_any_quantizer_starts_trains_saves_and_comes_back(choice, tmp_path):
    torch.manual_seed(0)
    tokenizer = FMRITokenizer(config(**CHOICES[choice]))
    windows = torch.randn(20, 24, 5, generator=torch.Generator().manual_seed(0))
    tokenizer.initialise(windows, torch.Generator().manual_seed(0))
    out = tokenizer.train()(windows[:4])
    (out.signal.square().mean() + sum(out.losses.values())).backward()
    assert tokenizer.encoder.patch_embedding.weight.grad.abs().sum() > 0
    tokenizer.eval().save_pretrained(tmp_path)
    read = FMRITokenizer.from_pretrained(tmp_path)
    codes = tokenizer.encode(windows).codes
    assert torch.equal(read.encode(windows).codes, codes)
    assert torch.equal(read.decode(codes), tokenizer.decode(codes))
    assert (read.config, read.fingerprint) == (tokenizer.config, tokenizer.fingerprint)


def test_a_default_tokenizer_is_described_without_quantizer_options(tmp_path):
    FMRITokenizer(config()).save_pretrained(tmp_path)
    text = (tmp_path / "config.json").read_text()
    assert not [key for key in ("quantizer", "vq", "fsq") if f'"{key}"' in text]


def test_a_preset_takes_its_sizes_from_the_quantizer():
    made = FMRITokenizerConfig.preset(
        "tiny", n_regions=5, quantizer="fsq", fsq=FSQSettings(levels=(5, 5))
    )
    assert (made.n_codes, made.code_width) == (25, 2)
    residual = FMRITokenizerConfig.preset(
        "tiny", n_regions=5, quantizer="residual", residual={"stages": [8, 8, 2]}
    )
    assert (residual.n_codes, residual.code_width) == (128, 16)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"quantizer": "vqq"}, r"quantizer: 'vqq'; .* did you mean 'vq'"),
        ({"vq": {"decai": 0.9}}, "vq.decai: no such setting; did you mean 'decay'"),
        ({"vq": {"update": "emma"}}, "vq.update: 'emma'; .* did you mean 'ema'"),
        ({"vq": {"distance": "l1"}}, "vq.distance: 'l1'; give 'euclidean' or 'cosine'"),
        ({"vq": {"decay": 1.0}}, "vq.decay: 1.0; give less than 1"),
        ({"fsq": {"levels": [1, 4]}}, "fsq.levels.0: 1; give at least 2"),
        ({"residual": {"stages": [2**9, 2**9]}}, "make 262144 codes; give at most 65536"),
        ({"quantizer": "fsq", "fsq": {"levels": [5, 5]}}, r"n_codes: 32, but .* give n_codes 25"),
        ({"quantizer": "trellis", "n_codes": 24}, "n_codes: 24, but .* give a power of two"),
        ({"quantizer": "trellis", "n_codes": 2, "trellis": {"classes": 4}}, "give n_codes 4 or"),
        ({"trellis": {"state_bits": 0}}, "trellis.state_bits: 0; give at least 1"),
        ({"trellis": {"classes": 3}}, "trellis.classes: 3; give a power of two"),
        ({"quantizer": "residual"}, "n_codes: 32, but .* give n_codes 512"),
    ],
)
def test_a_quantizer_that_cannot_be_is_refused_by_key_value_and_fix(changes, message):
    with pytest.raises(InputError, match=message):
        config(**changes)


def test_a_width_that_the_levels_do_not_make_is_refused():
    choice = QuantizerChoice(quantizer="fsq", fsq=FSQSettings(levels=(4, 4)))
    with pytest.raises(InputError, match=r"code_width: 3, .* give code_width 2"):
        make_quantizer(choice, 16, 3, N)


def test_the_default_choice_is_what_the_class_does_by_default():
    chosen, plain = make_quantizer(QuantizerChoice(), 8, 2, N), VectorQuantizer(8, 2)
    for key in ("decay", "commitment", "dead_code_threshold", "by_gradient", "nearest"):
        assert getattr(chosen, key) == getattr(plain, key), key
    assert VQSettings() == QuantizerChoice().vq
