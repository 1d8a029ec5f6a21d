"""Which columns of a packed sequence attend to which."""

import torch

from fmri_llm.packing.attention_mask import additive_mask, attention_mask
from fmri_llm.packing.sequences import TextSegment, pack

from .test_brain_columns import END, columns

P = END + 1
BRAIN_TEXT = TextSegment(ids=[5, 6, 7], n_given=2)
PLAIN_TEXT = TextSegment(ids=[8, 9], sees_brain=False, loss="t2t")


def mask_of(*segments, **layout):
    return attention_mask(pack([segments]), columns(**layout))[0]


def test_the_brain_block_is_masked_as_it_is_without_text():
    assert torch.equal(mask_of(BRAIN_TEXT)[:P, :P], columns().mask()[0])


def test_brain_tokens_attend_to_no_text():
    assert not mask_of(BRAIN_TEXT, PLAIN_TEXT)[:P, P:].any()


def test_text_about_the_scan_attends_to_the_whole_block_and_causally_to_itself():
    mask = mask_of(BRAIN_TEXT, PLAIN_TEXT)[P : P + 3]
    assert mask[:, :P].all()
    assert torch.equal(mask[:, P : P + 3], torch.ones(3, 3).tril().bool())


def test_plain_text_attends_to_itself_only():
    mask = mask_of(BRAIN_TEXT, PLAIN_TEXT)[P + 3 :]
    assert not mask[:, : P + 3].any()
    assert torch.equal(mask[:, P + 3 :], torch.ones(2, 2).tril().bool())


def test_answers_attend_to_their_prompt_but_not_to_each_other():
    prompt = TextSegment(ids=[1, 2])
    first, second = TextSegment(ids=[3, 4], continues=0), TextSegment(ids=[5], continues=0)
    mask = mask_of(prompt, first, second)[P:, P:]
    assert mask[4].tolist() == [True, True, False, False, True]
    assert mask[3].tolist() == [True, True, True, True, False]


def test_text_attends_to_no_region_without_signal():
    mask = mask_of(BRAIN_TEXT, region_mask=(True, False, True, True))[P:, :P]
    assert mask.sum(1).tolist() == [P - 3] * 3


def test_only_padding_attends_to_padding():
    text = pack([[BRAIN_TEXT], [BRAIN_TEXT, PLAIN_TEXT]])
    mask = attention_mask(text, columns(steps=(3, 3)))
    assert mask[0, :, P + 3 :].sum(0).tolist() == [1, 1]
    assert mask[0, P + 3 :].sum(1).tolist() == [1, 1]


def test_the_additive_mask_hides_with_the_lowest_number():
    mask = additive_mask(torch.tensor([[[True, False]]]), torch.float32)
    assert mask.tolist() == [[[[0.0, torch.finfo(torch.float32).min]]]]
