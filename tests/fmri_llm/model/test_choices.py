"""The loss on choices is that of the answers that `score_answers` compares."""

import pytest
import torch

from fmri_llm.base_model import chat
from fmri_llm.data.examples import choice_segments, conversation_segment
from fmri_llm.packing import sequences
from fmri_llm.settings import LossWeights

from ..tiny import ARCHITECTURES

ASKED = {"Old?": {"yes": 0.8, "no, never": 0.2}, "Why so?": {"a": 0.0, "b": 1.0, "cc": 0.0}}


def packed(tokenizer):
    """Two rows: both questions, and one of them after some other text."""
    rows = [[], [conversation_segment(tokenizer, said("Well?", "well"))]]
    for question, chances in ASKED.items():
        rows[0] += choice_segments(tokenizer, chat.question(question), chances, len(rows[0]))
    rows[1] += choice_segments(tokenizer, chat.question("Old?"), ASKED["Old?"], 1)
    return sequences.pack(rows)._asdict()


def said(question, answer):
    return [*chat.question(question), {"role": "assistant", "content": answer}]


@torch.no_grad()
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_loss_is_the_cross_entropy_of_scored_answers(make_model, architecture, codes):
    model = make_model(architecture)
    model.loss_weights = LossWeights(f2t=0, f2f=0, t2t=0, questions=0, choices=1)
    found = model(codes=codes, **packed(model.text_tokenizer))["losses"]["choices"]
    expected = []
    for row, question in ((0, "Old?"), (0, "Why so?"), (1, "Old?")):
        chances = torch.tensor(list(ASKED[question].values()))
        scores = model.score_answers(codes[row : row + 1], question, list(ASKED[question]))
        expected.append(-(chances * scores[0].log_softmax(0)).sum())
    assert found.item() == pytest.approx(torch.stack(expected).mean().item(), rel=1e-4)


@torch.no_grad()
def test_answers_to_choices_count_as_answers_to_questions_by_their_probability(make_model, codes):
    model = make_model()
    model.loss_weights = LossWeights(f2t=0, f2f=0, t2t=0, questions=1, choices=1)
    found = model(codes=codes, **packed(model.text_tokenizer))["losses"]["questions"]
    expected = []
    for row, question in ((0, "Old?"), (0, "Why so?"), (1, "Old?")):
        scores = model.score_answers(codes[row : row + 1], question, list(ASKED[question]))[0]
        # Each answer has its end of turn, and a space before it.
        n_tokens = torch.tensor([len(text) + 2 for text in ASKED[question]])
        chances = torch.tensor(list(ASKED[question].values()))
        expected.append(-(chances * scores / n_tokens).sum())
    assert found.item() == pytest.approx(torch.stack(expected).mean().item(), rel=1e-4)


def test_each_question_counts_once(make_model, codes):
    model = make_model()
    model.loss_weights = LossWeights(f2t=1, f2f=0, t2t=0, questions=0, choices=1)
    counts = model.loss_counts(codes=codes, **packed(model.text_tokenizer))
    assert counts["choices"].item() == pytest.approx(3)
    assert counts["f2t"].item() == len(" well") + 1
