"""Equality with vector-quantize-pytorch on shared inputs, and its quantizers adapted."""

import random
from copy import deepcopy

import pytest
import torch

from fmri_vqtok.errors import InputError
from fmri_vqtok.quantizers import FiniteScalarQuantizer, VectorQuantizer
from fmri_vqtok.quantizers.external import ExternalQuantizer, make_external
from fmri_vqtok.quantizers.external_probe import probe
from fmri_vqtok.tokenizer import FMRITokenizer, FMRITokenizerConfig

peer = pytest.importorskip("vector_quantize_pytorch", reason="comes with `uv sync`")

D = 4
KINDS = [
    ("VectorQuantize", {"codebook_size": 16}, 16),
    ("VectorQuantize", {"codebook_size": 16, "use_cosine_sim": True}, 16),
    ("VectorQuantize", {"codebook_size": 16, "codebook_dim": 2}, 16),
    ("VectorQuantize", {"codebook_size": 16, "kmeans_init": True}, 16),
    ("VectorQuantize", {"codebook_size": 4, "heads": 2, "separate_codebook_per_head": True}, 16),
    ("VectorQuantize", {"codebook_size": 16, "learnable_codebook": True, "ema_update": False}, 16),
    ("ResidualVQ", {"codebook_size": 8, "num_quantizers": 2}, 64),
    ("ResidualVQ", {"codebook_size": 8, "num_quantizers": 2, "shared_codebook": True}, 64),
    ("ResidualFSQ", {"levels": [5, 5, 3, 3], "num_quantizers": 2}, 50625),
    ("ResidualSimVQ", {"codebook_size": 8, "num_quantizers": 2}, 64),
    ("FSQ", {"levels": [5, 5, 3, 3]}, 225),
    ("FSQ", {"levels": [5, 5], "num_codebooks": 2}, 625),
    ("LFQ", {"codebook_size": 16}, 16),
    ("LFQ", {"codebook_size": 16, "spherical": True}, 16),
    ("SimVQ", {"codebook_size": 16}, 16),
]
"""Name, options and number of codes of those that can be adapted."""

DROPOUT = {"quantize_dropout": True}
NO_DROPOUT = "external.options.quantize_dropout: a stage that is dropped has no code.*give false"


def draw(n=300, seed=0):
    return torch.randn(n, D, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(
    params=KINDS, ids=lambda kind: "-".join([kind[0], *map(str, kind[1])]), scope="module"
)
def made(request):
    name, options, n_codes = request.param
    torch.manual_seed(0)
    made = make_external(name, options, D)
    assert made.n_codes == n_codes
    # As a tokenizer does: some kinds start from the first vectors that they see.
    made.initialise(draw(), torch.Generator().manual_seed(0))
    return made.eval()


@pytest.fixture
def external(made):
    return deepcopy(made)


@pytest.mark.parametrize("levels", [[5, 3, 7, 9], [8, 4, 2, 6]])
def test_scalar_codes_and_latents_equal_those_of_the_other_library(levels):
    theirs = peer.FSQ(levels, preserve_symmetry=True, bound_hard_clamp=True)
    latents, codes = theirs(draw()[None])
    ours = FiniteScalarQuantizer(levels)(draw())
    assert torch.equal(ours.codes, codes[0].long())
    assert torch.allclose(ours.latents, latents[0], atol=1e-6)


def test_behind_a_tanh_scalar_codes_equal_the_soft_bound_of_the_other_library():
    latents, codes = peer.FSQ([8, 4, 2, 6], preserve_symmetry=True)(draw()[None])
    ours = FiniteScalarQuantizer([8, 4, 2, 6])(draw().tanh())
    assert torch.equal(ours.codes, codes[0].long())
    assert torch.allclose(ours.latents, latents[0], atol=1e-6)


@pytest.mark.parametrize("distance", ["euclidean", "cosine"])
@pytest.mark.parametrize("update", ["ema", "gradient"])
def test_nearest_codes_equal_those_of_the_other_library(distance, update):
    torch.manual_seed(0)
    theirs = peer.VectorQuantize(D, 33, use_cosine_sim=distance == "cosine").eval()
    ours = VectorQuantizer(33, D, distance=distance, update=update).eval()
    ours.codebook.data.copy_(theirs.codebook)
    assert torch.equal(ours(draw()).codes, theirs(draw()[None])[1][0])


def test_running_means_and_commitment_equal_those_of_the_other_library():
    options = {"decay": 0.9, "threshold_ema_dead_code": 0, "eps": 0.0, "commitment_weight": 0.25}
    theirs = peer.VectorQuantize(dim=D, codebook_size=16, **options).train()
    ours = VectorQuantizer(16, D, decay=0.9, commitment=0.25, dead_code_threshold=0.0).train()
    ours.codebook.copy_(theirs.codebook)
    ours.sums.copy_(theirs.codebook)
    ours.counts.fill_(1.0)
    theirs._codebook.embed_avg.copy_(theirs._codebook.embed)
    theirs._codebook.cluster_size.fill_(1.0)
    for seed in range(4):
        x = draw(200, seed)
        latents, codes, loss = theirs(x[None])
        out = ours(x)
        assert torch.equal(out.codes, codes[0])
        assert torch.allclose(out.latents, latents[0], atol=1e-5)
        assert torch.allclose(out.losses["commitment"], loss.sum(), atol=1e-6)
        assert torch.allclose(ours.codebook, theirs.codebook, atol=1e-5)


def test_an_external_quantizer_keeps_shapes_and_range(external):
    out = external(draw(60).reshape(2, 5, 6, D))
    assert (out.latents.shape, out.codes.shape) == ((2, 5, 6, D), (2, 5, 6))
    assert 0 <= out.codes.min() <= out.codes.max() < external.n_codes


def test_the_latents_of_an_external_quantizer_are_the_vectors_of_its_codes(external):
    out = external(draw())
    assert torch.allclose(external.lookup(out.codes), out.latents, atol=1e-5)


def test_the_codes_of_an_external_quantizer_are_those_it_gives_alone(external):
    alone = external.module(draw()[None])[1][0].long()
    codes = external(draw()).codes
    if alone.ndim == 2:
        codes = torch.stack([codes // external.size, codes % external.size], dim=-1)
    assert torch.equal(codes, alone)


def test_evaluation_changes_no_buffer_of_an_external_quantizer(external):
    before = {name: value.clone() for name, value in external.state_dict().items()}
    external(draw())
    assert all(torch.equal(value, before[name]) for name, value in external.state_dict().items())


def test_a_gradient_reaches_the_input_of_an_external_quantizer(external):
    x = draw().requires_grad_()
    out = external.train()(x)
    (out.latents.sum() + sum(out.losses.values())).backward()
    assert x.grad.abs().sum() > 0


def test_a_tokenizer_with_an_external_quantizer_comes_back_equal(tmp_path):
    torch.manual_seed(0)
    config = FMRITokenizerConfig.preset(
        "tiny", n_regions=3, n_frames=64, n_codes=16, code_width=D, quantizer="external",
        external={"name": "VectorQuantize", "options": {"codebook_size": 16}},
    )  # fmt: skip
    tokenizer = FMRITokenizer(config)
    windows = torch.randn(8, 64, 3, generator=torch.Generator().manual_seed(0))
    tokenizer.initialise(windows, torch.Generator().manual_seed(0))
    tokenizer.eval().save_pretrained(tmp_path)
    read = FMRITokenizer.from_pretrained(tmp_path)
    codes = tokenizer.encode(windows).codes
    assert torch.equal(read.encode(windows).codes, codes)
    assert torch.equal(read.decode(codes), tokenizer.decode(codes))


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("VectorQuantise", {}, r"external.name: 'VectorQuantise'; did you mean 'VectorQuantize'"),
        ("FSQ", {"level": [3]}, r"external.options.level: FSQ .* did you mean 'levels'"),
        ("RandomProjectionQuantizer", {"codebook_size": 4, "codebook_dim": 4}, "cannot decode"),
        ("ResidualVQ", {"codebook_size": 8, "num_quantizers": 3, **DROPOUT}, NO_DROPOUT),
        ("ResidualFSQ", {"levels": [5, 3], "num_quantizers": 2, **DROPOUT}, NO_DROPOUT),
        ("ResidualSimVQ", {"codebook_size": 8, "num_quantizers": 3, **DROPOUT}, NO_DROPOUT),
        ("BinaryMapper", {"bits": 4}, r"'BinaryMapper' cannot be made with these options"),
        ("LatentQuantize", {"levels": [5, 5, 8, 8]}, "'LatentQuantize' cannot quantize a vector"),
        ("VectorQuantize", {"codebook_size": 16, "heads": 2}, "cannot quantize vectors"),
        ("VectorQuantize", {"codebook_size": 0}, "cannot (be made|quantize)"),
        ("VectorQuantize", {"codebook_size": "many"}, "cannot be made with these options"),
        ("VectorQuantize", {"codebook_size": 8, "affine_param": True}, "decodes its codes to"),
        ("ResidualVQ", {"codebook_size": (8, 4), "num_quantizers": 2}, "cannot quantize vectors"),
        ("ResidualVQ", {"codebook_size": 1024, "num_quantizers": 8}, "options that make at most"),
        ("GroupedResidualFSQ", {"levels": [5, 3], "num_quantizers": 2, "groups": 2},
         r"codes of shape \(2, 1, 2, 2\)"),
        ("HierarchicalVQ", {"codebook_size": 8}, "cannot be made with these options"),
    ],
)  # fmt: skip
def test_an_external_quantizer_that_cannot_be_is_refused_in_one_line(name, options, message):
    with pytest.raises(InputError, match=message) as refusal:
        make_external(name, options, D)
    assert "\n" not in str(refusal.value)


class Peculiar(torch.nn.Module):
    """Quantizer of two codes, by the sign of the first component, with one fault."""

    codebook_size = 2

    def __init__(self, fault):
        super().__init__()
        self.fault = fault
        self.register_buffer("start", torch.zeros(()))

    def forward(self, x):
        codes = (x[..., 0] > 0).long()
        if self.fault == "draws" and not self.training:
            codes = torch.randint(2, codes.shape)
        vectors = self.indices_to_codes(codes)
        codes = codes - int(self.fault == "negative" and self.training)
        self.start += 1
        return vectors if self.fault == "no gradient" else x + (vectors - x).detach(), codes

    def indices_to_codes(self, codes):
        return codes[..., None] * torch.ones(D) + (torch.nan if self.fault == "nan" else 0.0)


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("negative", "gives codes from -1 to 0 in training, and not from 0 to below 2"),
        ("no gradient", "lets no finite gradient through to its input in training"),
        ("draws", "gives the same vectors other codes each time in evaluation mode"),
        ("nan", "no finite vector|no finite gradient"),
    ],
)
def test_a_quantizer_is_probed_when_it_is_made(fault, message):
    with pytest.raises(InputError, match=message):
        probe(ExternalQuantizer(Peculiar(fault), D), "Peculiar")


def test_a_probe_leaves_the_quantizer_and_the_random_generators_as_they_were():
    states = torch.get_rng_state(), random.getstate()
    quantizer = ExternalQuantizer(Peculiar(None), D)
    probe(quantizer, "Peculiar")
    assert quantizer.module.start == 0
    assert torch.equal(torch.get_rng_state(), states[0])
    assert random.getstate() == states[1]
