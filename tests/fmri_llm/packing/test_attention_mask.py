"""Which columns of a packed sequence attend to which."""

import torch

from fmri_llm.packing.attention_mask import additive_mask, attention_mask, block_causal_mask
from fmri_llm.packing.sequences import TextSegment, pack

W, N = 3, 4
M = W * N
ALL_REGIONS = torch.ones(1, N, dtype=torch.bool)

BRAIN_TEXT = TextSegment(ids=[5, 6, 7], n_given=2)
PLAIN_TEXT = TextSegment(ids=[8, 9], sees_brain=False)


def mask_of(*segments, region_mask=ALL_REGIONS):
    return attention_mask(pack([segments]), region_mask, W)[0]


def test_the_brain_block_is_masked_causally_by_step():
    assert torch.equal(mask_of(BRAIN_TEXT)[:M, :M], block_causal_mask(W, N))


def test_brain_tokens_attend_to_no_text():
    assert not mask_of(BRAIN_TEXT, PLAIN_TEXT)[:M, M:].any()


def test_text_about_the_scan_attends_to_the_whole_scan_and_causally_to_itself():
    mask = mask_of(BRAIN_TEXT, PLAIN_TEXT)[M : M + 3]
    assert mask[:, :M].all()
    assert torch.equal(mask[:, M : M + 3], torch.ones(3, 3).tril().bool())


def test_plain_text_attends_to_itself_only():
    mask = mask_of(BRAIN_TEXT, PLAIN_TEXT)[M + 3 :]
    assert not mask[:, : M + 3].any()
    assert torch.equal(mask[:, M + 3 :], torch.ones(2, 2).tril().bool())


def test_answers_attend_to_their_prompt_but_not_to_each_other():
    prompt = TextSegment(ids=[1, 2])
    first, second = TextSegment(ids=[3, 4], continues=0), TextSegment(ids=[5], continues=0)
    mask = mask_of(prompt, first, second)[M:, M:]
    assert mask[4].tolist() == [True, True, False, False, True]
    assert mask[3].tolist() == [True, True, True, True, False]


def test_only_its_own_token_attends_to_a_region_without_signal():
    region_mask = torch.tensor([[True, False, True, True]])
    mask = mask_of(BRAIN_TEXT, region_mask=region_mask)
    absent = torch.arange(N).repeat(W) == 1
    seen_by = mask[:, :M][:, absent].sum(0)
    assert seen_by.tolist() == [1] * W


def test_only_padding_attends_to_padding():
    mask = attention_mask(
        pack([[BRAIN_TEXT], [BRAIN_TEXT, PLAIN_TEXT]]), ALL_REGIONS.expand(2, -1), W
    )
    padding = mask[0, :, M + 3 :]
    assert padding.sum(0).tolist() == [1, 1]
    assert mask[0, M + 3 :].sum(1).tolist() == [1, 1]


def test_the_additive_mask_hides_with_the_lowest_number():
    mask = additive_mask(torch.tensor([[[True, False]]]), torch.float32)
    assert mask.tolist() == [[[[0.0, torch.finfo(torch.float32).min]]]]
