"""Greedy text: tokens after a cached prefix equal those of full passes."""

import torch

from fmri_llm.base_model import chat
from fmri_llm.packing import sequences
from fmri_llm.packing.sequences import TextSegment

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
