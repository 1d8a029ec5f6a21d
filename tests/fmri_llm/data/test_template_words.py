"""Words that depend on no scan: which they are, and what they weigh."""

import numpy as np
import pytest

from fmri_llm.base_model import chat
from fmri_llm.data import examples
from fmri_llm.data.template_words import LEAST, TemplateWords
from fmri_llm.packing.sequences import pack
from fmri_vqtok.errors import InputError
from fmri_vqtok.formats.captions import Caption

from ..tiny import word_tokenizer
from .test_examples import CORPUS, token_table

DIRECTIONS = ["below", "within", "above"]


def caption(k):
    """Caption of scan k: a number, a direction and a network, in a fixed template."""
    network = ["Visual", "Limbic"][k % 2]
    return Caption(
        f"The modularity of the graph is {k / 10} (z 1.{k}), which is {DIRECTIONS[k % 3]} the "
        f"typical range. Most of all differs the {network} network."
    )


@pytest.fixture
def template():
    return TemplateWords([{"graph": caption(k)} for k in range(12)], weight=0.25)


def kept(template, text, domain="graph"):
    """Words that are not of the template."""
    flags = template.is_template(domain, text)
    return [word for word, of_template in zip(text.split(), flags, strict=True) if not of_template]


def test_numbers_directions_and_what_differs_are_not_of_the_template(template):
    # A sentence may begin with either of two words.
    first, second = (sentence.text for sentence in caption(3).sentences)
    assert kept(template, first) == ["The", "0.3", "1.3),", "below"]
    assert kept(template, second) == ["Most", "Limbic"]


def test_a_direction_is_no_template_even_if_all_training_scans_have_it():
    template = TemplateWords([{"FC": Caption("It lies well above all.")}] * LEAST, weight=0.25)
    assert kept(template, "It lies well above all.", "FC") == ["well", "above"]


def test_a_domain_is_known_by_its_own_captions_alone(template):
    text = caption(3).sentences[0].text
    assert kept(template, text, "FC") == text.split()


@pytest.mark.parametrize(("n_captions", "expected"), [(LEAST, []), (LEAST - 1, ["One", "word."])])
def test_a_few_captions_show_no_template(n_captions, expected):
    template = TemplateWords([{"FC": Caption("One word.")}] * n_captions, weight=0.0)
    assert kept(template, "One word.", "FC") == expected


def test_a_word_that_once_was_another_is_not_of_the_template():
    captions = [Caption("It is so.")] * 20 + [Caption("It is not so.")]
    template = TemplateWords([{"FC": each} for each in captions], weight=0.25)
    assert kept(template, "It is so.", "FC") == ["so."]


def weighted_text(segment, tokenizer, weight):
    """Answer characters of this weight, in their order (a token of this tokenizer is a byte)."""
    pairs = zip(segment.ids[segment.n_given :], segment.weights[segment.n_given :], strict=True)
    return tokenizer.decode([token for token, of_token in pairs if of_token == weight])


def test_targets_of_the_template_have_its_weight_and_all_others_one(template):
    tokenizer = word_tokenizer()
    windows = examples.TokenWindows(token_table(["s4"]))
    dataset = examples.PretrainingDataset(
        windows, {"s4": {"graph": caption(4)}}, CORPUS, tokenizer,
        text_tokens=500, corpus_tokens=16, n_examples=1, seed=0, template=template,
    )  # fmt: skip
    segment = dataset[0].segments[0]
    assert weighted_text(segment, tokenizer, 1.0) == " The 0.4 1.4), within Most Visual</s>"
    assert weighted_text(segment, tokenizer, 0.25).startswith(" modularity of the graph is (z")
    of_targets = pack([[segment]]).weight[0].numpy()
    n_answer = len(segment.ids) - segment.n_given
    assert np.count_nonzero(of_targets) == n_answer
    assert set(of_targets) == {0.0, 0.25, 1.0}


def test_spans_are_those_of_the_tokens_of_the_answer(smollm2):
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(smollm2)
    answer = caption(5)
    messages = [*chat.question("What?"), {"role": "assistant", "content": answer}]
    _, ids = chat.encode(tokenizer, messages)
    spans = chat.answer_spans(tokenizer, messages)
    pieces = [answer[start:end] for start, end in spans]
    assert len(spans) == len(ids)
    assert "".join(pieces) == answer
    written = [tokenizer.decode([token]).strip() for token in ids[:-1]]
    assert [piece.strip() for piece in pieces[:-1]] == written


def test_a_tokenizer_that_does_not_say_where_its_tokens_are_is_refused(template):
    from transformers import ByT5Tokenizer

    windows = examples.TokenWindows(token_table(["s4"]))
    with pytest.raises(InputError, match=r"template_weight: needs a text tokenizer .* give 1"):
        examples.PretrainingDataset(
            windows, {"s4": {"graph": caption(4)}}, CORPUS, ByT5Tokenizer(),
            text_tokens=500, corpus_tokens=16, n_examples=1, seed=0, template=template,
        )  # fmt: skip
