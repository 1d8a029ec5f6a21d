"""What a packed sequence lets see what, and where its positions and labels are."""

import pytest
import torch

from fmri_llm.model.losses import NO_TARGET
from fmri_llm.packing import token_grid
from fmri_llm.packing.sequences import TextSegment, additive_mask, allowed, pack, positions

W, N = 3, 4
M = W * N
ALL_PRESENT = torch.ones(1, N, dtype=torch.bool)

BRAIN_TEXT = TextSegment(ids=[5, 6, 7], n_given=2)
PLAIN_TEXT = TextSegment(ids=[8, 9], sees_brain=False)


def pairs_of(*segments, present=ALL_PRESENT):
    return allowed(pack([segments]), present, W)[0]


def test_the_brain_block_is_masked_as_the_token_grid_says():
    assert torch.equal(pairs_of(BRAIN_TEXT)[:M, :M], token_grid.block_causal_mask(W, N))


def test_the_brain_block_sees_no_text():
    assert not pairs_of(BRAIN_TEXT, PLAIN_TEXT)[:M, M:].any()


def test_text_about_the_scan_sees_the_whole_scan_and_itself_causally():
    pairs = pairs_of(BRAIN_TEXT, PLAIN_TEXT)[M : M + 3]
    assert pairs[:, :M].all()
    assert torch.equal(pairs[:, M : M + 3], torch.ones(3, 3).tril().bool())


def test_plain_text_sees_itself_only():
    pairs = pairs_of(BRAIN_TEXT, PLAIN_TEXT)[M + 3 :]
    assert not pairs[:, : M + 3].any()
    assert torch.equal(pairs[:, M + 3 :], torch.ones(2, 2).tril().bool())


def test_answers_see_their_prompt_but_not_each_other():
    prompt = TextSegment(ids=[1, 2])
    first, second = TextSegment(ids=[3, 4], continues=0), TextSegment(ids=[5], continues=0)
    pairs = pairs_of(prompt, first, second)[M:, M:]
    assert pairs[4].tolist() == [True, True, False, False, True]
    assert pairs[3].tolist() == [True, True, True, True, False]


def test_a_region_without_signal_is_seen_by_its_own_token_only():
    present = torch.tensor([[True, False, True, True]])
    pairs = pairs_of(BRAIN_TEXT, present=present)
    absent = torch.arange(N).repeat(W) == 1
    seen_by = pairs[:, :M][:, absent].sum(0)
    assert seen_by.tolist() == [1] * W


def test_nothing_sees_padding_but_padding_itself():
    pairs = allowed(pack([[BRAIN_TEXT], [BRAIN_TEXT, PLAIN_TEXT]]), ALL_PRESENT.expand(2, -1), W)
    padding = pairs[0, :, M + 3 :]
    assert padding.sum(0).tolist() == [1, 1]
    assert pairs[0, M + 3 :].sum(1).tolist() == [1, 1]


def test_text_continues_at_w_and_plain_text_starts_at_zero():
    text = pack([[BRAIN_TEXT, PLAIN_TEXT]])
    assert positions(text, W).tolist() == [[W, W + 1, W + 2, 0, 1]]


def test_every_answer_goes_on_where_its_prompt_ends():
    answers = [TextSegment(ids=[3, 4], continues=0), TextSegment(ids=[5], continues=0)]
    text = pack([[TextSegment(ids=[1, 2]), *answers]])
    assert positions(text, W).tolist() == [[W, W + 1, W + 2, W + 3, W + 2]]


def test_a_column_is_labelled_with_the_next_token_unless_that_is_given():
    text = pack([[BRAIN_TEXT, PLAIN_TEXT]])
    assert text.labels.tolist() == [[NO_TARGET, 7, NO_TARGET, 9, NO_TARGET]]


@pytest.mark.parametrize("n_given", [0, 1])
def test_the_first_token_of_a_text_is_never_a_target(n_given):
    text = pack([[TextSegment(ids=[8, 9], n_given=n_given)]])
    assert text.labels.tolist() == [[9, NO_TARGET]]


def test_a_wholly_given_text_has_no_targets():
    assert (pack([[TextSegment(ids=[1, 2], n_given=2)]]).labels == NO_TARGET).all()


def test_sequences_without_text_pack_to_no_columns():
    assert pack([[], []]).ids.shape == (2, 0)


def test_the_additive_mask_hides_with_the_lowest_number():
    mask = additive_mask(torch.tensor([[[True, False]]]), torch.float32)
    assert mask.tolist() == [[[[0.0, torch.finfo(torch.float32).min]]]]
