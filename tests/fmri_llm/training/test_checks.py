"""What does not fit together is refused in one clear line."""

import contextlib
from pathlib import Path

import pytest
import torch
from transformers import GPT2Config

from fmri_llm.model import checks as model_checks
from fmri_llm.model.fmri_lm import FMRILM
from fmri_llm.settings import FitLLMSettings, LoraSettings, LossWeights
from fmri_llm.training import checks
from fmri_vqtok.errors import InputError

from ..tiny import tiny_tokenizer

CONFIG = tiny_tokenizer("llama").config
REFUSALS = {
    "another language model's text space": (
        lambda: model_checks.check_text_space(CONFIG, "gpt2", 32),
        "its text space is that of 'llama' .width 32., but the language model is 'gpt2'",
    ),
    "a text space of another width": (
        lambda: model_checks.check_text_space(CONFIG, "llama", 64),
        "fit the tokenizer with --language-model llama",
    ),
    "a tokenizer without text space": (
        lambda: model_checks.check_text_space(tiny_tokenizer(None, None).config, "llama", 32),
        "it has no text space",
    ),
    "another region order": (
        lambda: checks.check_order("a1", "b2"),
        "region order 'a1', but the tokenizer was fitted on 'b2'",
    ),
    "another number of codes": (
        lambda: checks.check_sizes({"n_codes": 512, "n_regions": 5}, CONFIG),
        "n_codes is 512, but the tokenizer has 11",
    ),
    "a single time step": (
        lambda: checks.check_steps(1),
        "1 time step per window has no next step to predict",
    ),
    "codes that have seen the future": (
        lambda: checks.check_causal(tiny_tokenizer("llama", temporal_attention="full").config),
        "temporal_attention is 'full', so its codes depend on the next step",
    ),
    "codes of another number of regions": (
        lambda: model_checks.check_codes(torch.zeros(1, 3, 4, dtype=torch.long), CONFIG),
        r"shape \(1, 3, 4\); give \(windows, steps, 5 regions\)",
    ),
    "codes beyond the codebook": (
        lambda: model_checks.check_codes(torch.full((1, 3, 5), 11), CONFIG),
        "values from 11 to 11, but the tokenizer has 11 codes",
    ),
    "more positions than the base has": (
        lambda: model_checks.check_length(1025, GPT2Config()),
        "needs 1025 positions, but the language model has 1024; lower text_tokens",
    ),
    "too little plain text": (
        lambda: checks.check_corpus(10, 20, Path("books")),
        "text books: 10 tokens, but at least 20 are needed",
    ),
    "token ids of another tokenizer": (
        lambda: checks.check_vocabulary(50_000, 49_152),
        "token id 50000, but the language model has 49152 tokens",
    ),
    "an unknown attention": (
        lambda: FitLLMSettings(attention="flash"),
        "attention: 'flash'; give 'sdpa' or 'eager'",
    ),
    "a rank of zero": (lambda: LoraSettings(rank=0), "rank: 0; give at least 1"),
    "a negative weight": (lambda: LossWeights(f2f=-1), "f2f: -1; give at least 0"),
    "a weight that is not a number": (
        lambda: LossWeights(f2t=float("nan")),
        "f2t: nan; give a finite number",
    ),
    "an infinite weight": (
        lambda: LossWeights(t2t=float("inf")),
        "t2t: inf; give a finite number",
    ),
    "nothing to learn": (
        lambda: LossWeights(f2t=0, f2f=0, t2t=0, questions=0),
        "weights: all are 0; give at least one above 0",
    ),
    "adapters that are scaled to nothing": (
        lambda: LoraSettings(alpha=0.0),
        "alpha: 0.0; give more than 0",
    ),
    "a dropout that is not a number": (
        lambda: LoraSettings(dropout=float("nan")),
        "dropout: nan; give less than 1",
    ),
    "a piece of text without a next token": (
        lambda: FitLLMSettings(corpus_tokens=1),
        "corpus_tokens: 1; give at least 2",
    ),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_refused_in_one_line(case):
    refused, message = REFUSALS[case]
    with pytest.raises(InputError, match=message) as caught:
        refused()
    assert "\n" not in str(caught.value)


def let_through(check, cases):
    """The cases that a check does not refuse."""
    fitting = []
    for case in cases:
        with contextlib.suppress(InputError):
            check(case)
            fitting.append(case)
    return fitting


def attention(kind):
    return tiny_tokenizer("llama", temporal_attention=kind).config


def window_of(code):
    return torch.full((1, 3, 5), code)


BORDERS = {
    "name and width of the text space": (
        lambda case: model_checks.check_text_space(CONFIG, *case),
        [("llama", 31), ("llama", 32), ("gpt2", 32)],
        [("llama", 32)],
    ),
    "region order": (
        lambda case: checks.check_order(*case),
        [("a1", "a1"), ("a1", "b2"), (None, "a1"), (None, None)],
        [("a1", "a1"), (None, None)],
    ),
    "numbers of codes and regions": (
        lambda case: checks.check_sizes({"n_codes": case[0], "n_regions": case[1]}, CONFIG),
        [(10, 5), (11, 5), (11, 4)],
        [(11, 5)],
    ),
    "time steps": (checks.check_steps, range(5), [2, 3, 4]),
    "attention over time": (
        lambda kind: checks.check_causal(attention(kind)),
        ["causal", "full"],
        ["causal"],
    ),
    "codes": (
        lambda code: model_checks.check_codes(window_of(code), CONFIG),
        range(-1, 13),
        list(range(11)),
    ),
    "positions": (
        lambda n: model_checks.check_length(n, GPT2Config()),
        [1, 1023, 1024, 1025],
        [1, 1023, 1024],
    ),
    "plain text": (lambda n: checks.check_corpus(n, 20, Path("books")), [19, 20, 21], [20, 21]),
    "vocabulary": (lambda n: checks.check_vocabulary(n, 259), [0, 258, 259], [0, 258]),
}


@pytest.mark.parametrize("case", BORDERS)
def test_what_fits_and_no_more_is_let_through(case):
    check, tried, fitting = BORDERS[case]
    assert let_through(check, tried) == fitting


def test_a_model_refuses_a_tokenizer_of_another_text_space(tiny_folder):
    with pytest.raises(InputError, match="its text space is that of 'gpt2'"):
        FMRILM.from_base(tiny_folder("llama"), tiny_tokenizer("gpt2"), name="llama")


def test_adapters_that_fit_no_layer_are_refused(tiny_folder):
    with pytest.raises(InputError, match=r"'nothing',. fit no layer of this llama"):
        FMRILM.from_base(
            tiny_folder("llama"),
            tiny_tokenizer("llama"),
            name="llama",
            lora=LoraSettings(targets=("nothing",)),
        )


def test_a_text_space_may_be_named_by_another_way_to_the_same_folder(tmp_path):
    (tmp_path / "base").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "base")
    config = tiny_tokenizer(str(tmp_path / "link")).config
    model_checks.check_text_space(config, str(tmp_path / "base"), 32)
    with pytest.raises(InputError, match="its text space is that of"):
        model_checks.check_text_space(config, str(tmp_path), 32)
