"""What a base model must be able to do, by architecture, text tokenizer and chat template."""

import contextlib

import pytest
import torch
from transformers import CONFIG_MAPPING, MODEL_FOR_CAUSAL_LM_MAPPING, AutoModelForCausalLM

from fmri_llm.base_model import attention_probe, chat, checks
from fmri_llm.base_model.language_model import new_adapter
from fmri_llm.settings import LoraSettings
from fmri_vqtok.errors import InputError

from ..tiny import WIDTH, tiny_config, word_tokenizer

SPECIAL = {"vocab_size": 259, "bos_token_id": 256, "eos_token_id": 257, "pad_token_id": 258}
PLAIN = {"hidden_size": WIDTH, "num_hidden_layers": 2, "num_attention_heads": 4}
ROTARY = {**PLAIN, "intermediate_size": 48, "num_key_value_heads": 2, "max_position_embeddings": 64}
SIZES = {
    "gpt2": {"n_embd": WIDTH, "n_layer": 2, "n_head": 4, "n_positions": 64},
    "gptj": {"n_embd": WIDTH, "n_layer": 2, "n_head": 4, "n_positions": 64, "rotary_dim": 4},
    "gpt_neox": {**PLAIN, "intermediate_size": 48, "max_position_embeddings": 64},
    "opt": {**PLAIN, "ffn_dim": 48, "word_embed_proj_dim": WIDTH, "max_position_embeddings": 64},
    "falcon": {**PLAIN, "multi_query": False, "alibi": False},
    "mixtral": {**ROTARY, "num_local_experts": 2},
}
FAMILIES = (
    "llama", "mistral", "mixtral", "qwen2", "qwen3", "gemma", "gemma2", "gemma3_text", "smollm3",
    "olmo2", "phi", "phi3", "gpt2", "gpt_neox", "gptj", "opt", "falcon", "granite",
)  # fmt: skip
UNSUITABLE = {
    "bloom": ({"hidden_size": WIDTH, "n_layer": 2, "n_head": 4}, "ALiBi"),
    "mpt": ({"d_model": WIDTH, "n_layers": 2, "n_heads": 4}, "ALiBi"),
    "falcon": ({**PLAIN, "multi_query": False, "alibi": True}, "ALiBi"),
    "mamba": ({"hidden_size": WIDTH, "num_hidden_layers": 2}, "carries a state"),
    "mamba2": ({}, "carries a state"),
    "rwkv": ({"hidden_size": WIDTH, "num_hidden_layers": 2}, "carries a state"),
    "recurrent_gemma": ({"hidden_size": WIDTH}, "carries a state"),
    "jamba": ({"hidden_size": WIDTH}, "carries a state"),
    "lfm2": ({**ROTARY, "layer_types": ["conv", "full_attention"]}, "carries a state"),
    "t5": ({}, "no causal language model"),
}


def config_of(family, sizes):
    return CONFIG_MAPPING[family](**sizes, **(SPECIAL if "vocab_size" not in sizes else {}))


def model_of(family):
    config = config_of(family, SIZES.get(family, ROTARY))
    # Random weights of the usual size leave attention almost uniform and effects tiny.
    config.initializer_range = 0.3
    has_sdpa = MODEL_FOR_CAUSAL_LM_MAPPING[type(config)]._supports_sdpa
    attention = "sdpa" if has_sdpa else "eager"
    checks.check_architecture(config, family, attention)
    torch.manual_seed(0)
    return AutoModelForCausalLM.from_config(config, attn_implementation=attention).eval()


@pytest.mark.parametrize("family", FAMILIES)
def test_a_family_that_reads_packed_sequences_passes_the_probe(family):
    model = model_of(family)
    checks.probe(model, word_tokenizer(), family)
    adapted = new_adapter(model, LoraSettings(rank=2), seed=0)
    assert any("lora_" in name for name, _ in adapted.named_parameters())


@pytest.mark.parametrize("family", UNSUITABLE)
def test_a_family_that_cannot_is_refused_by_name(family):
    sizes, why = UNSUITABLE[family]
    with pytest.raises(InputError, match=rf"language model base \({family}\): .*{why}") as caught:
        checks.check_architecture(config_of(family, sizes), "base", "eager")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("family", ["gemma2", "gptj"])
def test_a_family_without_sdpa_is_refused_with_eager_as_the_fix(family):
    config = config_of(family, SIZES.get(family, ROTARY))
    with pytest.raises(InputError, match=r"no 'sdpa' attention.*; set attention: eager"):
        checks.check_architecture(config, family, "sdpa")
    checks.check_architecture(config, family, "eager")


@pytest.fixture(scope="module")
def llama():
    config = tiny_config("llama", 259)
    config.initializer_range = 0.3
    torch.manual_seed(0)
    return AutoModelForCausalLM.from_config(config).eval()


def without_positions(kwargs):
    n = kwargs["inputs_embeds"].shape[1] if "inputs_embeds" in kwargs else 0
    return kwargs | ({"position_ids": torch.arange(n)[None]} if "position_ids" in kwargs else {})


def with_own_causal_mask(kwargs):
    mask = kwargs.get("attention_mask")
    if mask is None:
        return kwargs
    n = mask.shape[2]
    lowest = torch.finfo(mask.dtype).min
    future = torch.full((n, n), lowest).triu(1 + mask.shape[3] - n)
    return kwargs | {"attention_mask": torch.minimum(mask, future)}


def without_mask(kwargs):
    return {name: value for name, value in kwargs.items() if name != "attention_mask"}


def without_embeddings(kwargs):
    words = kwargs.get("inputs_embeds")
    return kwargs if words is None else kwargs | {"inputs_embeds": 0.5 * words}


def without_cache(kwargs):
    cache = kwargs.get("past_key_values")
    if cache is None or cache.get_seq_length() == 0:
        return kwargs
    mask = kwargs["attention_mask"]
    return kwargs | {"past_key_values": None, "attention_mask": mask[..., -mask.shape[2] :]}


FAULTS = {
    "positions": (without_positions, "position_ids"),
    "mask": (without_mask, "4-D mask"),
    "own mask": (with_own_causal_mask, "regions of a step do not see each other"),
    "embeddings": (without_embeddings, "inputs_embeds"),
    "cache": (without_cache, "after a cache"),
}


@pytest.mark.parametrize("kind", FAULTS)
def test_the_probe_names_what_a_model_does_not_honour(llama, monkeypatch, kind):
    change, told = FAULTS[kind]
    forward = llama.forward
    monkeypatch.setattr(llama, "forward", lambda **kwargs: forward(**change(kwargs)))
    assert told in attention_probe.first_fault(llama)


def test_a_model_that_ends_in_an_error_is_refused_in_one_line(llama, monkeypatch):
    def fail(**_):
        raise ValueError("first line\nsecond line")

    monkeypatch.setattr(llama, "forward", fail)
    with pytest.raises(InputError, match=r"\(ValueError: first line\); give a base") as caught:
        checks.probe(llama, word_tokenizer(), "base")
    assert "\n" not in str(caught.value)


def test_a_tokenizer_of_a_larger_vocabulary_is_refused(llama):
    tokenizer = word_tokenizer()
    tokenizer.add_special_tokens({"eos_token": "<|later|>"})
    with pytest.raises(InputError, match="gives token 259, but it has embeddings of 259"):
        checks.probe(llama, tokenizer, "base")


def with_template(template, **special):
    tokenizer = word_tokenizer()
    tokenizer.chat_template = template
    for name, token in special.items():
        setattr(tokenizer, name, token)
    return tokenizer


TURNS = "{% for m in messages %}<{{ m.role }}>{{ m.content }}"
TEMPLATES = {
    "twice": (TURNS + "{{ m.content }}</s>{% endfor %}", "comes out of it 2 times"),
    "not at all": ("{{ messages[-1].content }}</s>", "comes out of it 0 times"),
    "no answer": ("{{ messages[0].content }}</s>", "answer does not come out of it"),
    "at random": ("{{ range(99999)|random }}" + TURNS + "</s>{% endfor %}", "another text each"),
    "an error": ("{{ raise_exception('roles must alternate') }}", "roles must alternate"),
    "no template language": ("{% for %}", "chat template: it cannot be run"),
}


@pytest.mark.parametrize("kind", TEMPLATES)
def test_a_template_that_spoils_questions_is_refused_in_one_line(kind):
    template, told = TEMPLATES[kind]
    with pytest.raises(InputError, match=told) as caught:
        checks.check_text(with_template(template), "base")
    assert str(caught.value).startswith("language model base: chat template")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("template", [None, TURNS + "\n{% endfor %}"])
def test_a_tokenizer_without_an_end_token_is_refused(template):
    with pytest.raises(InputError, match="no end token, so no answer could end; set eos_token"):
        checks.check_text(with_template(template, eos_token=None), "base")


def test_an_answer_ends_with_the_end_of_text_where_the_template_writes_no_end():
    tokenizer = with_template(TURNS + "\n{% endfor %}")
    checks.check_text(tokenizer, "base")
    _, (answer,) = chat.encode_answers(tokenizer, chat.question("Which?"), ["red"])
    assert tokenizer.decode(answer) == "red</s>"


@pytest.mark.parametrize(
    ("code", "written"), [("%d %b %Y", "26 Jul 2024"), ("%Y-%m-%d %H:%M", "2024-07-26 12:00")]
)
def test_a_template_that_writes_the_day_writes_the_same_one_every_day(code, written):
    day = "{% if strftime_now is defined %}{{ strftime_now('" + code + "') }}{% endif %}|"
    tokenizer = with_template(day + TURNS + "</s>{% endfor %}")
    checks.check_text(tokenizer, "base")
    prompt, _ = chat.encode_answers(tokenizer, chat.question("Which?"), ["red"])
    assert tokenizer.decode(prompt).startswith(f"{written}|")


def test_the_default_system_prompt_is_what_the_template_adds():
    template = (
        "{% if messages[0].role != 'system' %}<system>Be kind.</s>{% endif %}"
        + TURNS
        + "</s>{% endfor %}"
    )
    assert chat.default_system_prompt(with_template(template)) == "Be kind."
    assert chat.default_system_prompt(with_template(TURNS + "{% endfor %}")) == ""
    assert chat.default_system_prompt(word_tokenizer()) == ""


def test_a_base_is_checked_by_name_as_far_as_it_is_here(tiny_folder):
    found = checks.check_base_model(str(tiny_folder("gpt2")))
    assert (found.model_type, found.attention, found.probed) == ("gpt2", "sdpa", True)
    assert checks.check_base_model("nobody/nothing").folder is None


def test_a_base_is_probed_when_it_is_loaded(tiny_folder, monkeypatch):
    monkeypatch.setattr(checks, "first_fault", lambda _model: "it squints")
    with contextlib.ExitStack() as stack:
        caught = stack.enter_context(pytest.raises(InputError, match=r"\(llama\): it squints; "))
        checks.load_checked(tiny_folder("llama"), "sdpa")
    assert "\n" not in str(caught.value)
