"""Requirements of a base language model, checked before anything is trained on it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from fmri_llm.base_model import chat, locate, quantise
from fmri_llm.base_model.attention_probe import first_fault
from fmri_vqtok.errors import InputError

if TYPE_CHECKING:
    from transformers import PreTrainedConfig, PreTrainedModel, PreTrainedTokenizerBase

__all__ = [
    "check_architecture",
    "check_base_model",
    "check_text",
    "load_checked",
    "probe",
]

OTHERS = "give a base with attention and position ids, such as Llama, Qwen, Gemma, SmolLM or GPT-2"

LARGEST_PROBED = 2 * 10**9
"""Bytes of weights up to which a dry run loads a model to probe it numerically."""

_ALIBI = "its positions come from the order of the columns (ALiBi), but regions of a step share one"
_STATE = "it carries a state from token to token, so no token can be hidden from the next"
_STATE_LAYERS = {"linear_attention", "mamba", "recurrent", "conv", "ssm", "lightning_attention"}
_STATE_NAMES = ("mamba", "rwkv", "xlstm", "recurrent")


def load_checked(
    folder: Path, attention: str, quantised: str = "none"
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """Load a base language model in float32 with its tokenizer, after all checks of this module.

    Parameters
    ----------
    folder : Path
    attention : str
        "sdpa" or "eager".
    quantised : {"none", "int8", "nf4"}, default="none"
        With fewer bits it is on the GPU, where there is one, and is not probed numerically: its
        rounding depends on what else is in the batch.

    Raises
    ------
    InputError
        If the folder holds no causal language model with its tokenizer, a broken one, or one that
        cannot be used as a base; in one line with what to do.
    """
    from transformers import AutoModelForCausalLM

    from fmri_vqtok.text.models import load_model, load_text_tokenizer, read_config

    check_architecture(read_config(folder), str(folder), attention)
    tokenizer = load_text_tokenizer(folder)
    check_text(tokenizer, str(folder))
    options = quantise.loading_options(quantised)
    model = load_model(AutoModelForCausalLM, folder, attn_implementation=attention, **options)
    if quantised == "none":
        probe(model, tokenizer, str(folder))
    return model, tokenizer


class CheckedModel(NamedTuple):
    """Result of `check_base_model`.

    Attributes
    ----------
    folder : Path or None
        None if the model is not on this machine yet and could not be checked.
    model_type : str
    attention : str
        Implementation that it was checked with.
    probed : bool
        Whether it was loaded and probed numerically.
    """

    folder: Path | None
    model_type: str = ""
    attention: str = ""
    probed: bool = False


def check_base_model(name: str, attention: str | None = None) -> CheckedModel:
    """Check a base language model by name, as far as it is on this machine.

    Nothing is fetched or converted; weights of more than 2 GB are not read.

    Parameters
    ----------
    name : str
        As for `fmri_llm.base_model.locate.resolve`.
    attention : str, optional
        "sdpa" or "eager"; by default the first of them that the architecture has.

    Raises
    ------
    InputError
        If it cannot be used; in one line with what to do.
    """
    from fmri_vqtok.text.models import load_text_tokenizer, read_config

    folder = locate.resolve_here(name)
    if folder is None:
        return CheckedModel(None)
    config = read_config(folder)
    attention = attention or ("sdpa" if _has_sdpa(config) else "eager")
    size = sum(file.stat().st_size for file in folder.glob("*.safetensors"))
    if size <= LARGEST_PROBED:
        load_checked(folder, attention)
    else:
        check_architecture(config, name, attention)
        check_text(load_text_tokenizer(folder), name)
    return CheckedModel(folder, config.model_type, attention, size <= LARGEST_PROBED)


def check_architecture(config: PreTrainedConfig, name: str, attention: str) -> None:
    """Refuse architectures that cannot read packed sequences, by their configuration.

    Parameters
    ----------
    config : PreTrainedConfig
    name : str
        For the message.
    attention : str
        "sdpa" or "eager".

    Raises
    ------
    InputError
    """
    thing, text = f"language model {name} ({config.model_type})", config.get_text_config()
    if _causal_class(config) is None or config.is_encoder_decoder:
        raise InputError(f"{thing}: transformers has no causal language model of it; {OTHERS}")
    if _has_alibi(text):
        raise InputError(f"{thing}: {_ALIBI}; {OTHERS}")
    if _has_state(config, text):
        raise InputError(f"{thing}: {_STATE}; {OTHERS}")
    if attention == "sdpa" and not _has_sdpa(config):
        raise InputError(
            f"{thing}: transformers has no 'sdpa' attention for it; set attention: eager in the "
            "section fit-llm (--set fit-llm.attention=eager)"
        )


def check_text(tokenizer: PreTrainedTokenizerBase, name: str) -> None:
    """Refuse a text tokenizer or chat template that would change questions or answers.

    Parameters
    ----------
    tokenizer : PreTrainedTokenizerBase
    name : str
        Of the language model, for the message.

    Raises
    ------
    InputError
        If an answer has no end, or the rendered template does not contain the question exactly
        once and the same each time.
    """
    asked = "Which of the two is it, number 7391?"
    try:
        prompt, answers = chat.encode_answers(tokenizer, chat.question(asked), ["red", "blue"])
        ends = chat.end_ids(tokenizer)
        if tokenizer.chat_template is not None:
            _check_template(tokenizer, asked)
    except InputError as error:
        raise InputError(f"language model {name}: {error}") from error
    red, blue = answers
    if not prompt or red[:-1] == blue[:-1] or red[-1] != blue[-1] or ends & {*red[:-1], *blue[:-1]}:
        raise InputError(
            f"language model {name}: its text tokenizer does not write two answers apart, each "
            "with the same token at its end; give a base model with a whole tokenizer"
        )


def probe(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, name: str) -> None:
    """Refuse a language model whose output for packed sequences differs from that for texts alone.

    Parameters
    ----------
    model : PreTrainedModel
        Loaded, in evaluation mode.
    tokenizer : PreTrainedTokenizerBase
    name : str
        For the message.

    Raises
    ------
    InputError
    """
    from fmri_vqtok.text.models import check_token_ids

    thing = f"language model {name} ({model.config.model_type})"
    check_token_ids(max(chat.end_ids(tokenizer)), model, Path(name))
    try:
        fault = first_fault(model)
    except Exception as error:  # noqa: BLE001 - an architecture can fail in any way
        first_line = str(error).strip().partition("\n")[0][:120]
        fault = f"it cannot read brain tokens before text ({type(error).__name__}: {first_line})"
    if fault is not None:
        raise InputError(f"{thing}: {fault}; {OTHERS}")


def _check_template(tokenizer: PreTrainedTokenizerBase, asked: str) -> None:
    turns = chat.question(asked)
    answered = [*turns, {"role": "assistant", "content": "yes"}]
    first, again = (chat.render(tokenizer, answered) for _ in range(2))
    if first != again:
        raise InputError(
            "chat template: it writes another text each time; give a base model whose template "
            "does not draw at random"
        )
    if first.count(asked) != 1:
        raise InputError(
            f"chat template: a question comes out of it {first.count(asked)} times; give a base "
            "model whose template writes each turn once, or delete its chat template"
        )


def _causal_class(config: PreTrainedConfig) -> Any:
    from transformers import MODEL_FOR_CAUSAL_LM_MAPPING

    return MODEL_FOR_CAUSAL_LM_MAPPING.get(type(config), None)


def _has_sdpa(config: PreTrainedConfig) -> bool:
    return bool(getattr(_causal_class(config), "_supports_sdpa", False))


def _has_alibi(text: PreTrainedConfig) -> bool:
    nested = getattr(text, "attn_config", None)
    return (
        text.model_type in ("bloom", "mpt")
        or bool(getattr(text, "alibi", False))
        or bool(getattr(nested, "alibi", False))
        or getattr(text, "position_embedding_type", None) == "alibi"
    )


def _has_state(config: PreTrainedConfig, text: PreTrainedConfig) -> bool:
    stateful = bool(getattr(_causal_class(config), "_is_stateful", False))
    named = any(name in text.model_type for name in _STATE_NAMES)
    layers = set(getattr(text, "layer_types", None) or ())
    return stateful or named or bool(layers & _STATE_LAYERS)
