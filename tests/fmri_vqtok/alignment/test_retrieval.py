import pytest
import torch
from torch.nn import functional

from fmri_vqtok.alignment.alignment import TextAlignment
from fmri_vqtok.alignment.pooling import MeanPooling, Pooled, pool_scans
from fmri_vqtok.alignment.retrieval import retrieval_metrics, retrieval_tally


def tally_of(vectors):
    """Tally of scans with one window each."""
    pooled = Pooled(vectors, torch.zeros(len(vectors)))
    return retrieval_tally(pooled, torch.arange(len(vectors)), len(vectors))


def test_the_share_is_that_of_captions_whose_nearest_scan_by_cosine_is_their_own():
    generator = torch.Generator().manual_seed(0)
    captions = torch.randn(12, 4, generator=generator)
    vectors = captions + 1.5 * torch.randn(12, 4, generator=generator)
    hits = 0
    for k, caption in enumerate(captions):
        cosines = [functional.cosine_similarity(caption, vector, dim=0) for vector in vectors]
        hits += cosines.index(max(cosines)) == k
    assert 0 < hits < 12
    found = retrieval_metrics(tally_of(vectors), captions)
    assert found == {"retrieval_top1": pytest.approx(hits / 12), "retrieval_chance": 1 / 12}


def test_scans_that_are_all_alike_are_found_as_often_as_by_chance():
    captions = torch.randn(5, 4, generator=torch.Generator().manual_seed(0))
    found = retrieval_metrics(tally_of(torch.ones(5, 4)), captions)
    assert found["retrieval_top1"] == pytest.approx(found["retrieval_chance"])


def test_the_windows_of_a_scan_are_pooled_over_batches_as_they_are_for_the_contrast():
    generator = torch.Generator().manual_seed(0)
    tokens = torch.randn(5, 2, 3, 4, generator=generator)
    mask = torch.rand(5, 3, generator=generator) < 0.8
    mask[:, 0] = True
    scans = torch.tensor([0, 1, 0, 2, 2])
    expected, _ = pool_scans(MeanPooling()(tokens, mask), scans)
    tally = sum(
        retrieval_tally(MeanPooling()(tokens[part], mask[part]), scans[part], 4)
        for part in (slice(0, 2), slice(2, 5))
    )
    assert torch.allclose((tally[:3, :-1] / tally[:3, -1:]).float(), expected, atol=1e-6)
    # The fourth scan has no window: there are three to choose from.
    captions = torch.randn(4, 4, generator=generator)
    assert retrieval_metrics(tally, captions)["retrieval_chance"] == pytest.approx(1 / 3)


def test_captions_are_those_of_the_held_out_rows_minus_the_mean_of_training():
    torch.manual_seed(0)
    captions, center, held_out = (
        torch.randn(6, 4) + 5,
        torch.full((4,), 5.0),
        torch.tensor([2, 4, 5]),
    )
    alignment = TextAlignment(torch.randn(9, 4), captions, center, held_out=held_out)
    own = Pooled((captions - center)[held_out], torch.zeros(3))
    found = alignment.retrieval(alignment.retrieval_tally(own, held_out))
    assert found == {"retrieval_top1": 1.0, "retrieval_chance": pytest.approx(1 / 3)}
    others = Pooled((captions - center)[held_out.roll(1)], torch.zeros(3))
    found = alignment.retrieval(alignment.retrieval_tally(others, held_out))
    assert found["retrieval_top1"] == 0
