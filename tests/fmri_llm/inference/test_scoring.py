"""Likelihoods of answers: scores after a cached prefix equal those of full passes."""

import pytest
import torch

from fmri_llm.base_model import chat
from fmri_llm.packing import sequences
from fmri_llm.packing.sequences import TextSegment
from fmri_vqtok.errors import InputError

from ..tiny import N_REGIONS, random_codes

ANSWERS = ["yes", "no", "maybe so"]
QUESTIONS = ["Is it?", "Where is it to be found?", "Who?"]
CLOSE = {"rtol": 1e-4, "atol": 1e-4}


def full_pass(model, codes, question, answer, region_mask=None):
    """Log-likelihood of an answer from one pass over everything, without any cache."""
    turns = [*chat.question(question), {"role": "assistant", "content": answer}]
    prompt, ids = chat.encode(model.text_tokenizer, turns)
    text = sequences.pack([[TextSegment(ids=prompt + ids)]])
    columns = torch.arange(len(prompt) - 1, len(prompt) + len(ids) - 1)
    with torch.no_grad():
        block = model.block_for_text(model.checked(codes, region_mask))
        logits = model.forward_packed(block, text, columns).logits[0]
    return logits.log_softmax(-1)[torch.arange(len(ids)), ids].sum()


def test_scores_from_a_cached_prefix_equal_full_passes(any_model):
    codes = random_codes(2)
    scores = any_model.score_answers(codes, QUESTIONS[:2], ANSWERS)
    expected = [
        [full_pass(any_model, codes[b : b + 1], QUESTIONS[b], answer) for answer in ANSWERS]
        for b in range(2)
    ]
    torch.testing.assert_close(scores, torch.tensor(expected), **CLOSE)


def test_one_scan_serves_several_questions(any_model):
    codes = random_codes(1)
    prefix = any_model.prefill(codes)
    scores = any_model.score_answers(prefix, QUESTIONS, ANSWERS)
    expected = [[full_pass(any_model, codes, q, a) for a in ANSWERS] for q in QUESTIONS]
    torch.testing.assert_close(scores, torch.tensor(expected), **CLOSE)


def test_asking_leaves_a_prefix_as_it_was(tiny_model):
    prefix = tiny_model.prefill(random_codes(1))
    first = tiny_model.score_answers(prefix, QUESTIONS[0], ANSWERS)
    tiny_model.generate_text(prefix, QUESTIONS, max_new_tokens=3)
    assert torch.equal(tiny_model.score_answers(prefix, QUESTIONS[0], ANSWERS), first)


def test_an_answer_scores_the_same_whatever_else_is_offered(tiny_model):
    codes = random_codes(1)
    alone = tiny_model.score_answers(codes, QUESTIONS[0], ["no"])
    among = tiny_model.score_answers(codes, QUESTIONS[0], ANSWERS)
    torch.testing.assert_close(among[:, 1:2], alone, **CLOSE)


def test_each_prompt_can_have_its_own_answers(tiny_model):
    prefix = tiny_model.prefill(random_codes(1))
    scores = tiny_model.score_answers(prefix, QUESTIONS[:2], [["a", "b"], ["c", "d"]])
    second = tiny_model.score_answers(prefix, QUESTIONS[1], ["c", "d"])
    torch.testing.assert_close(scores[1:], second, **CLOSE)


def test_regions_without_signal_stay_out_of_a_cached_prefix(tiny_model):
    codes, region_mask = random_codes(1), torch.ones(1, N_REGIONS, dtype=torch.bool)
    region_mask[0, 1] = False
    score = tiny_model.score_answers(codes, QUESTIONS[0], ["no"], region_mask)
    expected = full_pass(tiny_model, codes, QUESTIONS[0], "no", region_mask)
    torch.testing.assert_close(score[0, 0], expected, **CLOSE)


def test_earlier_turns_are_part_of_the_prompt(tiny_model):
    turns = [
        *chat.question("Old?"),
        {"role": "assistant", "content": "yes"},
        {"role": "user", "content": "Tall?"},
    ]
    codes = random_codes(1)
    with_history = tiny_model.score_answers(codes, turns, ["no"])
    without = tiny_model.score_answers(codes, "Tall?", ["no"])
    assert not torch.allclose(with_history, without)


def test_two_scans_for_three_prompts_are_refused(tiny_model):
    with pytest.raises(InputError, match="2 scans for 3 prompts; give one, or one each"):
        tiny_model.score_answers(random_codes(2), QUESTIONS, ANSWERS)


def test_a_text_longer_than_the_bases_positions_is_refused_before_it_is_read(tiny_model):
    fits, too_long = "x" * 200, "x" * 300
    tiny_model.score_answers(random_codes(1), fits, ["no"])
    with pytest.raises(InputError, match=r"positions, but the language model has 256; ask with"):
        tiny_model.score_answers(random_codes(1), too_long, ["no"])
    with pytest.raises(InputError, match="the language model has 256"):
        tiny_model.generate_text(random_codes(1), fits, max_new_tokens=60)
