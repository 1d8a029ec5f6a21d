"""A merged export is an ordinary language model for text, and ours for scans."""

import pytest
import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer

from fmri_llm.base_model.language_model import without_peft_notice
from fmri_llm.model.fmri_lm import FMRILM
from fmri_vqtok.errors import InputError

from .tiny import random_codes

IDS = torch.tensor([[72, 105, 33, 50, 51, 7]])
CLOSE = {"rtol": 1e-4, "atol": 1e-4}


@torch.no_grad()
def text_logits(language_model):
    return language_model(input_ids=IDS).logits


@pytest.fixture(scope="module")
def before(any_model):
    """Logits of plain text with the adapters, and without them."""
    with any_model.language_model.disable_adapter():
        base = text_logits(any_model.language_model)
    return text_logits(any_model.language_model), base


@pytest.fixture(scope="module")
def merged(any_model, tmp_path_factory):
    directory = tmp_path_factory.mktemp("merged")
    any_model.export_merged(directory)
    return directory


def test_plain_transformers_reads_text_as_the_adapted_model_does(any_model, before, merged):
    plain = AutoModelForCausalLM.from_pretrained(merged)
    adapted, base = before
    torch.testing.assert_close(text_logits(plain), adapted, **CLOSE)
    assert not torch.allclose(adapted, base, rtol=1e-2, atol=1e-2)
    words = AutoTokenizer.from_pretrained(merged)("Is it?")["input_ids"]
    assert words == any_model.text_tokenizer("Is it?")["input_ids"]


def test_a_merged_model_reads_scans_as_the_model_that_it_was_made_of(any_model, merged):
    again = FMRILM.from_pretrained(merged)
    codes = random_codes(2)
    answers = (codes, "Is it?", ["yes", "no"])
    expected = any_model.score_answers(*answers)
    torch.testing.assert_close(again.score_answers(*answers), expected, **CLOSE)
    torch.testing.assert_close(again.forecast(codes), any_model.forecast(codes), **CLOSE)


def test_an_export_leaves_the_model_as_it_is(any_model, before, merged):
    assert torch.equal(text_logits(any_model.language_model), before[0])


def test_equal_models_are_exported_to_equal_bytes(tiny_model, tmp_path):
    for name in ("one", "two"):
        tiny_model.export_merged(tmp_path / name)
    files = [
        {
            path.relative_to(tmp_path / name): path.read_bytes()
            for path in (tmp_path / name).rglob("*")
            if path.is_file()
        }
        for name in ("one", "two")
    ]
    assert files[0] == files[1]


def test_an_export_does_not_overwrite_a_model_that_is_not_merged(tiny_model, tmp_path):
    tiny_model.save_pretrained(tmp_path)
    with pytest.raises(InputError, match="a model that is not merged; give another folder"):
        tiny_model.export_merged(tmp_path)


def test_peft_reads_the_adapters_of_a_saved_model(any_model, before, tiny_folder, tmp_path):
    any_model.save_pretrained(tmp_path)
    base = AutoModelForCausalLM.from_pretrained(tiny_folder(any_model.base_name))
    with without_peft_notice():
        adapted = PeftModel.from_pretrained(base, tmp_path / "adapter")
    torch.testing.assert_close(text_logits(adapted), before[0], **CLOSE)
