import numpy as np
import pytest
import torch
from sklearn.cluster import KMeans

from fmri_vqtok.kernels import nearest_code
from fmri_vqtok.quantizers import VectorQuantizer
from fmri_vqtok.quantizers.kmeans import kmeans, kmeans_plus_plus


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
    start = kmeans_plus_plus(torch.cat([many, few]), 8, torch.Generator().manual_seed(seed))
    assert (start > 50).all(dim=1).any()


def test_the_start_of_kmeans_has_as_many_centres_as_asked_for_when_samples_are_copies():
    copies = torch.ones(10, 2)
    start = kmeans_plus_plus(copies, 4, torch.Generator().manual_seed(0))
    assert torch.equal(start, torch.ones(4, 2))


def test_no_code_is_unused_at_the_start():
    samples = torch.randn(500, 3, generator=torch.Generator().manual_seed(1))
    quantizer = VectorQuantizer(16, 3)
    quantizer.initialise(samples, torch.Generator().manual_seed(5))
    assert nearest_code(samples, quantizer.codebook).unique().numel() == 16
