"""Positions and labels of packed text."""

import pytest
import torch

from fmri_llm.packing.sequences import NO_TARGET, TEXT_LOSSES, TextSegment, pack, positions

START = torch.tensor([3])

BRAIN_TEXT = TextSegment(ids=[5, 6, 7], n_given=2)
PLAIN_TEXT = TextSegment(ids=[8, 9], sees_brain=False, loss="t2t")


def test_text_starts_after_the_brain_block_and_plain_text_at_zero():
    text = pack([[BRAIN_TEXT, PLAIN_TEXT]])
    assert positions(text, START).tolist() == [[3, 4, 5, 0, 1]]


def test_positions_of_every_answer_continue_those_of_its_prompt():
    answers = [TextSegment(ids=[3, 4], continues=0), TextSegment(ids=[5], continues=0)]
    text = pack([[TextSegment(ids=[1, 2]), *answers]])
    assert positions(text, START).tolist() == [[3, 4, 5, 6, 5]]


def test_a_column_is_labelled_with_the_next_token_unless_that_is_given():
    text = pack([[BRAIN_TEXT, PLAIN_TEXT]])
    assert text.labels.tolist() == [[NO_TARGET, 7, NO_TARGET, 9, NO_TARGET]]


@pytest.mark.parametrize("n_given", [0, 1])
def test_the_first_token_of_a_text_is_never_a_target(n_given):
    text = pack([[TextSegment(ids=[8, 9], n_given=n_given)]])
    assert text.labels.tolist() == [[9, NO_TARGET]]


def test_a_wholly_given_text_has_no_targets():
    assert (pack([[TextSegment(ids=[1, 2], n_given=2)]]).labels == NO_TARGET).all()


def test_a_target_counts_for_the_loss_of_its_segment_with_its_own_weight():
    weighted = TextSegment(ids=[5, 6, 7], n_given=1, loss="questions", weights=[9.0, 0.5, 2.0])
    text = pack([[weighted, PLAIN_TEXT]])
    names = [TEXT_LOSSES[place] for place in text.loss[0].tolist()]
    assert names == ["questions"] * 3 + ["t2t"] * 2
    assert text.weight.tolist() == [[0.5, 2.0, 0.0, 1.0, 0.0]]


def test_what_is_no_target_has_no_weight():
    text = pack([[BRAIN_TEXT], [PLAIN_TEXT]])
    assert torch.equal(text.weight > 0, text.labels != NO_TARGET)


def test_sequences_without_text_pack_to_no_columns():
    assert pack([[], []]).ids.shape == (2, 0)
