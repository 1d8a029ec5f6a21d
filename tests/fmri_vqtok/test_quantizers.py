import numpy as np
import pytest
import torch
from sklearn.cluster import KMeans

from fmri_vqtok.errors import InputError
from fmri_vqtok.kernels import nearest_code
from fmri_vqtok.quantizers import VectorQuantizer
from fmri_vqtok.quantizers.kmeans import kmeans, spread_samples


@pytest.fixture
def quantizer():
    torch.manual_seed(0)
    return VectorQuantizer(n_codes=7, dim=3)


def test_the_nearest_code_is_the_one_that_the_full_distance_matrix_gives():
    torch.manual_seed(0)
    x, codebook = torch.randn(9001, 5), torch.randn(33, 5)
    assert torch.equal(nearest_code(x, codebook), torch.cdist(x, codebook).argmin(dim=1))


def test_of_two_equal_codes_the_first_is_taken():
    assert nearest_code(torch.ones(1, 2), torch.ones(2, 2)).item() == 0


def test_half_precision_input_is_compared_in_full_precision():
    # 256.5 and 257 are the same bfloat16 number, so a half-precision distance cannot tell them.
    codebook = torch.tensor([[257.5], [256.25]])
    assert nearest_code(torch.tensor([[256.0]], dtype=torch.bfloat16), codebook).item() == 1


def test_codes_lie_in_range_and_have_the_shape_of_the_input(quantizer):
    codes = quantizer(torch.randn(2, 5, 4, 3)).codes
    assert codes.shape == (2, 5, 4)
    assert codes.min() >= 0
    assert codes.max() < 7


def test_quantizing_a_code_vector_gives_that_code(quantizer):
    codes = torch.arange(7)
    assert torch.equal(quantizer.eval()(quantizer.lookup(codes)).codes, codes)


def test_the_latents_are_the_vectors_of_the_codes(quantizer):
    out = quantizer.eval()(torch.randn(50, 3))
    assert torch.allclose(out.latents, quantizer.lookup(out.codes), atol=1e-6)


def test_the_gradient_passes_straight_through_to_the_input(quantizer):
    x = torch.randn(4, 3, requires_grad=True)
    weights = torch.randn(4, 3)
    (quantizer.eval()(x).latents * weights).sum().backward()
    assert torch.equal(x.grad, weights)


def test_the_commitment_loss_pulls_the_input_to_its_code(quantizer):
    x = torch.randn(4, 3, requires_grad=True)
    out = quantizer.eval()(x)
    out.losses["commitment"].backward()
    expected = quantizer.commitment * 2 * (x.detach() - quantizer.lookup(out.codes)) / x.numel()
    assert torch.allclose(x.grad, expected)


def test_evaluation_changes_no_buffer(quantizer):
    before = {name: value.clone() for name, value in quantizer.eval().state_dict().items()}
    quantizer(torch.randn(100, 3))
    assert all(torch.equal(value, before[name]) for name, value in quantizer.state_dict().items())


def test_the_codebook_follows_the_running_mean_of_its_vectors():
    quantizer = VectorQuantizer(n_codes=2, dim=1, decay=0.9, revive_below=0.0)
    quantizer.codebook.copy_(torch.tensor([[-1.0], [1.0]]))
    quantizer.sums.copy_(quantizer.codebook)
    quantizer.train()(torch.tensor([[-3.0], [2.0], [4.0]]))
    # Counts go from 1, 1 to 1.0, 1.1 and sums from -1, 1 to -1.2, 1.5.
    assert quantizer.codebook.flatten().tolist() == pytest.approx([-1.2 / 1.0, 1.5 / 1.1])


def test_a_code_that_nothing_falls_to_restarts_at_a_vector_of_the_batch():
    quantizer = VectorQuantizer(n_codes=2, dim=1, decay=0.5, revive_below=0.5)
    quantizer.codebook.copy_(torch.tensor([[0.0], [1000.0]]))
    quantizer.sums.copy_(quantizer.codebook)
    for _ in range(3):
        quantizer.train()(torch.full((8, 1), 2.0))
    assert quantizer.codebook[1].item() == pytest.approx(2.0)


def test_two_quantizers_that_see_the_same_batches_revive_the_same_codes():
    torch.manual_seed(0)
    batches = [torch.randn(30, 2) for _ in range(5)]
    books = []
    for noise in (1, 2):
        quantizer = VectorQuantizer(n_codes=20, dim=2, decay=0.5)
        quantizer.codebook.copy_(torch.linspace(5, 9, 40).view(20, 2))
        quantizer.sums.copy_(quantizer.codebook)
        torch.manual_seed(noise)
        for batch in batches:
            quantizer.train()(batch)
        books.append(quantizer.codebook)
    assert torch.equal(*books)


def test_kmeans_is_as_good_as_scikit_learn_on_separate_clusters():
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(6, 4)) * 10
    samples = (centres[rng.integers(6, size=600)] + rng.normal(size=(600, 4))).astype(np.float32)
    theirs = KMeans(6, n_init=5, random_state=0).fit(samples)
    start = torch.as_tensor(samples)
    starts = [kmeans(start, 6, torch.Generator().manual_seed(seed), 50) for seed in range(5)]
    ours = [float((start - c[nearest_code(start, c)]).square().sum()) for c in starts]
    assert min(ours) == pytest.approx(theirs.inertia_, rel=1e-3)


@pytest.mark.parametrize("seed", range(5))
def test_a_few_samples_far_from_all_others_get_a_centre_at_the_start(seed):
    many = torch.randn(5000, 3, generator=torch.Generator().manual_seed(seed))
    few = torch.randn(3, 3, generator=torch.Generator().manual_seed(seed)) + 100
    start = spread_samples(torch.cat([many, few]), 8, torch.Generator().manual_seed(seed))
    assert (start > 50).all(dim=1).any()


def test_the_start_of_kmeans_has_as_many_centres_as_asked_for_when_samples_are_copies():
    copies = torch.ones(10, 2)
    start = spread_samples(copies, 4, torch.Generator().manual_seed(0))
    assert torch.equal(start, torch.ones(4, 2))


def test_the_start_is_a_function_of_the_generator_and_leaves_no_code_unused():
    samples = torch.randn(500, 3, generator=torch.Generator().manual_seed(1))
    books = []
    for _ in range(2):
        quantizer = VectorQuantizer(16, 3)
        quantizer.initialise(samples, torch.Generator().manual_seed(5))
        books.append(quantizer.codebook)
    assert torch.equal(*books)
    assert nearest_code(samples, books[0]).unique().numel() == 16


def test_more_codes_than_training_vectors_are_refused():
    with pytest.raises(InputError, match="n_codes: 16, but there are 10"):
        VectorQuantizer(16, 3).initialise(torch.randn(10, 3), torch.Generator())
