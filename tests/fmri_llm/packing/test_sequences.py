"""Positions and labels of packed text."""

import pytest

from fmri_llm.packing.sequences import NO_TARGET, TextSegment, pack, positions

W = 3

BRAIN_TEXT = TextSegment(ids=[5, 6, 7], n_given=2)
PLAIN_TEXT = TextSegment(ids=[8, 9], sees_brain=False)


def test_text_starts_at_position_w_and_plain_text_at_zero():
    text = pack([[BRAIN_TEXT, PLAIN_TEXT]])
    assert positions(text, W).tolist() == [[W, W + 1, W + 2, 0, 1]]


def test_positions_of_every_answer_continue_those_of_its_prompt():
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
