"""Text after a cached prefix: greedy text equals that of full passes; draws follow their seeds."""

from collections import Counter

import pytest
import torch

from fmri_llm.base_model import chat
from fmri_llm.inference.continuation import Continuation
from fmri_llm.inference.decoding import Decoding
from fmri_llm.inference.generation import generate
from fmri_llm.packing import sequences
from fmri_llm.packing.sequences import TextSegment
from fmri_vqtok.errors import InputError

from ..tiny import random_codes

QUESTIONS = ["Is it?", "Where is it to be found?"]


def greedy_by_full_passes(model, codes, question, n_tokens):
    ids, _ = chat.encode_answers(model.text_tokenizer, chat.question(question), ())
    new, ends = [], chat.end_ids(model.text_tokenizer)
    block = model.block_for_text(model.checked(codes, None))
    for _ in range(n_tokens):
        text = sequences.pack([[TextSegment(ids=ids + new)]])
        last = torch.tensor([len(ids + new) - 1])
        with torch.no_grad():
            token = int(model.forward_packed(block, text, last).logits.argmax())
        if token in ends:
            break
        new.append(token)
    return model.text_tokenizer.decode(new, skip_special_tokens=True).strip()


def test_greedy_text_from_a_cache_equals_full_passes(any_model):
    codes = random_codes(2)
    texts = any_model.generate_text(codes, QUESTIONS, max_new_tokens=6)
    expected = [
        greedy_by_full_passes(any_model, codes[b : b + 1], QUESTIONS[b], 6) for b in range(2)
    ]
    assert texts == expected


def test_text_ends_with_the_turn(tiny_model, monkeypatch):
    end = tiny_model.text_tokenizer.eos_token_id
    tokens = iter([65, 66, end, 67])

    def scripted(cache, ids, mask, position_ids, keep):
        logits = torch.zeros(len(ids), len(keep), 300)
        logits[:, :, next(tokens)] = 1
        return logits

    monkeypatch.setattr(tiny_model, "forward_with_cache", scripted)
    text = tiny_model.generate_text(random_codes(1), "Hi", max_new_tokens=50)
    assert text == [tiny_model.text_tokenizer.decode([65, 66])]


def test_a_drawn_text_is_that_of_its_own_seed_whatever_else_is_asked(tiny_model):
    codes = random_codes(2)
    draws = {"max_new_tokens": 6, "temperature": 1.5}
    together = tiny_model.generate_text(codes, QUESTIONS, **draws, seed=[5, 6])
    alone = tiny_model.generate_text(codes[1:], QUESTIONS[1], **draws, seed=[6])
    assert together[1:] == alone
    other = tiny_model.generate_text(codes[1:], QUESTIONS[1], **draws, seed=[7])
    assert other != alone


def test_equal_prompts_with_one_seed_get_different_draws(tiny_model):
    prefix = tiny_model.prefill(random_codes(1))
    texts = tiny_model.generate_text(prefix, ["Hi"] * 8, max_new_tokens=6, temperature=1.5, seed=1)
    assert len(set(texts)) > 1
    again = tiny_model.generate_text(prefix, ["Hi"] * 8, max_new_tokens=6, temperature=1.5, seed=1)
    assert again == texts


def test_a_drawn_token_is_one_of_the_nucleus_as_often_as_its_share_of_it(tiny_model):
    prefix, n_draws = tiny_model.prefill(random_codes(1)), 2000
    ids, _ = chat.encode_answers(tiny_model.text_tokenizer, chat.question("Hi"), ())
    probabilities = (Continuation(tiny_model, prefix, [ids]).logits[0] / 0.7).softmax(-1)
    ordered, tokens = probabilities.sort(descending=True)
    n_kept = int((ordered.cumsum(0) < 0.6).sum()) + 1
    kept = ordered[:n_kept] / ordered[:n_kept].sum()
    shares = dict(zip(tokens[:n_kept].tolist(), kept.tolist(), strict=True))
    decoding = Decoding(max_new_tokens=1, temperature=0.7, top_p=0.6)
    rows = generate(tiny_model, prefix, [ids] * n_draws, decoding, {257}, range(n_draws))
    drawn = Counter(row[0] for row in rows)
    assert set(drawn) <= set(shares)
    for token, share in shares.items():
        # Four standard deviations of a frequency.
        assert abs(drawn[token] / n_draws - share) < 4 * (share * (1 - share) / n_draws) ** 0.5


def test_searches_that_contradict_each_other_are_refused(tiny_model):
    codes = random_codes(1)
    with pytest.raises(InputError, match=r"num_beams: 4 with temperature 0\.7; give a temp"):
        tiny_model.generate_text(codes, "Hi", num_beams=4, temperature=0.7)
    with pytest.raises(InputError, match=r"top_p: 0\.9, but at temperature 0 nothing is drawn"):
        tiny_model.generate_text(codes, "Hi", top_p=0.9)
    with pytest.raises(InputError, match=r"top_p: 0\.0; give more than 0"):
        tiny_model.generate_text(codes, "Hi", top_p=0.0, temperature=1)
