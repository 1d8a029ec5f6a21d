import math

import pytest
import torch
from torch.nn import functional

from fmri_vqtok.alignment import (
    DomainClassifier,
    TextAlignment,
    contrastive_loss,
    domain_loss,
    reversal_strength,
    reverse_gradient,
)


@pytest.fixture
def classifier():
    torch.manual_seed(0)
    return DomainClassifier(6)


@pytest.fixture
def alignment():
    torch.manual_seed(0)
    captions = torch.randn(3, 6)
    module = TextAlignment(torch.randn(20, 6), captions, captions.mean(dim=0))
    module.set_progress(1.0)
    return module


def test_reversal_leaves_values_and_turns_the_gradient_round():
    x = torch.randn(3, requires_grad=True)
    y = reverse_gradient(x, 0.25)
    y.backward(torch.tensor([1.0, 2.0, -4.0]))
    assert torch.equal(y, x)
    assert x.grad.tolist() == [-0.25, -0.5, 1.0]


def test_the_reversal_starts_at_nothing_and_ends_near_one():
    assert reversal_strength(0) == 0
    assert reversal_strength(1) == pytest.approx(1, abs=1e-3)


def test_the_encoder_gets_the_opposite_of_the_gradient_that_would_help_the_classifier(classifier):
    brain = torch.randn(5, 6, requires_grad=True)
    text = torch.randn(4, 6)
    (reversed_,) = torch.autograd.grad(domain_loss(classifier, brain, text, 1.0), brain)
    logits = torch.cat([classifier(brain), classifier(text)])
    targets = torch.tensor([1.0] * 5 + [0.0] * 4)
    plain = functional.binary_cross_entropy_with_logits(logits, targets)
    (helping,) = torch.autograd.grad(plain, brain)
    assert helping.abs().max() > 0
    assert torch.allclose(reversed_, -helping)


def test_the_classifier_learns_from_both_sides_and_text_from_none(classifier):
    brain = torch.randn(5, 6, requires_grad=True)
    text = torch.randn(4, 6, requires_grad=True)
    losses = []
    for b, t in ((brain, text), (brain, text * torch.randn(6)), (brain * torch.randn(6), text)):
        classifier.zero_grad()
        domain_loss(classifier, b, t, 1.0).backward()
        losses.append(classifier.layers[1].weight.grad.clone())
    assert text.grad is None
    assert not torch.allclose(losses[0], losses[1])
    assert not torch.allclose(losses[0], losses[2])


def test_the_contrast_equals_the_hand_computed_softmax():
    # Cosines: brain 0 with text 0, 1 is 1, 0; brain 1 with them 0.6, 0.8. Scale 2.
    brain = torch.tensor([[1.0, 0.0], [3.0, 4.0]])
    text = torch.tensor([[2.0, 0.0], [0.0, 5.0]])
    expected = -0.5 * (
        math.log(math.exp(2) / (math.exp(2) + math.exp(0)))
        + math.log(math.exp(1.6) / (math.exp(1.2) + math.exp(1.6)))
    )
    loss = contrastive_loss(brain, text, torch.tensor([0, 1]), torch.tensor(2.0))
    assert loss.item() == pytest.approx(expected, rel=1e-5)


def test_two_windows_of_one_scan_are_no_negatives_of_each_other():
    brain, text = torch.randn(3, 4), torch.randn(2, 4)
    once = contrastive_loss(brain[:2], text, torch.tensor([0, 1]), torch.tensor(3.0))
    scans = torch.tensor([0, 1, 0])
    thrice = contrastive_loss(brain, text[scans], scans, torch.tensor(3.0))
    third = contrastive_loss(brain[[2, 1]], text, torch.tensor([0, 1]), torch.tensor(3.0))
    # Row 1 now meets text 0 twice; rows 0 and 2 meet their own text and text 1, as before.
    cosines = functional.normalize(brain, dim=1) @ functional.normalize(text, dim=1).T
    rows = functional.log_softmax(3 * cosines, dim=1)
    middle = functional.log_softmax(3 * cosines[1, [0, 0, 1]], dim=0)[2]
    assert thrice.item() == pytest.approx(-(rows[0, 0] + middle + rows[2, 0]).item() / 3, rel=1e-4)
    assert once != third


def test_the_scale_is_the_exponential_of_its_parameter(alignment):
    # A temperature of 0.07 is a scale of 14.3, not its logarithm.
    assert alignment.scale.item() == pytest.approx(14.2857, rel=1e-4)


def test_captions_are_contrasted_after_their_training_mean_is_taken_away(alignment):
    assert alignment.captions.sum(dim=0).abs().max() < 1e-5


def test_masked_regions_take_no_part(alignment):
    brain = torch.randn(2, 3, 4, 6)
    mask = torch.tensor([[True, True, False, True]] * 2)
    arguments = mask, torch.tensor([0, 1]), torch.randint(20, (2, 5))
    before = alignment(brain, *arguments)
    brain[:, :, 2] = 1e3
    after = alignment(brain, *arguments)
    assert all(torch.equal(before[name], after[name]) for name in ("domain", "contrastive"))
