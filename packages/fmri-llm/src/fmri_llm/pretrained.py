"""The folder of a trained model: adapters and brain weights beside a base that is only named.

::

    config.json           schema, base model and digest of its weights, what the brain tokens are
    adapter/              as peft writes it
    brain.safetensors     brain embedding and code head
    tokenizer/            the brain tokenizer
"""

from __future__ import annotations

import contextlib
import json
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import nn

from fmri_llm.base_model import locate
from fmri_vqtok.errors import InputError
from fmri_vqtok.formats.json_files import read_description, write_json
from fmri_vqtok.formats.reading import read_weights, reading

if TYPE_CHECKING:
    from peft import PeftModel
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from fmri_llm.model.fmri_lm import FMRILM
    from fmri_llm.settings import LoraSettings
    from fmri_vqtok.tokenizer import FMRITokenizer

__all__ = [
    "SCHEMA",
    "TOKENIZER",
    "brain_tokenizer",
    "check_base",
    "load_adapter",
    "load_base",
    "load_brain",
    "new_adapter",
    "read_config",
    "remove_leftovers",
    "save",
    "word_embedding",
]

SCHEMA = 2
ADAPTER = "adapter"
BRAIN = "brain.safetensors"
CONFIG = "config.json"
FIX = "give the folder that fit-llm or tune wrote"
TOKENIZER = "tokenizer"

_PROJECTIONS = (
    ("q_proj", "v_proj"),
    ("query_key_value",),
    ("qkv_proj",),
    ("c_attn",),
    ("Wqkv",),
)
"""Names that attention projections go by, most usual first."""


def brain_tokenizer(tokenizer: FMRITokenizer | str | Path) -> FMRITokenizer:
    """Brain tokenizer from itself or from its folder."""
    if not isinstance(tokenizer, (str, Path)):
        return tokenizer
    from fmri_vqtok.tokenizer import FMRITokenizer

    return FMRITokenizer.from_pretrained(tokenizer)


def load_base(folder: Path, attention: str) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """Load a base language model in float32, and its tokenizer; both are checked.

    Half precision is no help on a CPU, where it is many times slower.

    Raises
    ------
    InputError
        If the folder holds no causal language model with its tokenizer, a broken one, or one that
        cannot be used as a base (see `fmri_llm.base_model.checks`).
    """
    from fmri_llm.base_model.checks import load_checked

    return load_checked(folder, attention)


def word_embedding(base: PreTrainedModel | PeftModel) -> nn.Embedding:
    """Input embedding of a language model's text tokens."""
    return cast("nn.Embedding", base.get_input_embeddings())


def new_adapter(base: PreTrainedModel, settings: LoraSettings, seed: int) -> PeftModel:
    """Put fresh low-rank adapters into a base, which change nothing before they are trained.

    Raises
    ------
    InputError
        If no layer has one of the target names.
    """
    with torch.random.fork_rng(), _without_peft_notice():
        torch.manual_seed(seed)
        # Without names peft has a choice of its own for most architectures.
        for names in (settings.targets,) if settings.targets else (None, _projections(base)):
            with contextlib.suppress(ValueError):
                return _adapted(base, settings, names)
    msg = (
        f"lora.targets: {settings.targets} fit no layer of this {base.config.model_type} "
        "model; name its attention projections"
    )
    raise InputError(msg)


def _adapted(
    base: PreTrainedModel, settings: LoraSettings, names: Sequence[str] | None
) -> PeftModel:
    from peft import LoraConfig, get_peft_model
    from transformers.pytorch_utils import Conv1D

    config = LoraConfig(
        r=settings.rank,
        lora_alpha=cast("int", settings.alpha),
        lora_dropout=settings.dropout,
        target_modules=list(names) if names else None,
        # GPT-2 stores its weights transposed; peft has to be told.
        fan_in_fan_out=any(isinstance(module, Conv1D) for module in base.modules()),
        task_type="CAUSAL_LM",
    )
    return cast("PeftModel", get_peft_model(base, config))


def _projections(base: PreTrainedModel) -> Sequence[str] | None:
    """Names of the attention projections of a base; None if they are called otherwise."""
    layers = {name.rpartition(".")[2] for name, _ in base.named_modules()}
    return next((names for names in _PROJECTIONS if layers.issuperset(names)), None)


def load_adapter(base: PreTrainedModel, directory: Path) -> PeftModel:
    """Put the saved adapters of a model's folder into its base, ready to be trained on.

    Raises
    ------
    InputError
        If there are none, or they are broken or of another base.
    """
    from peft import PeftModel

    folder = directory / ADAPTER
    for name in ("adapter_config.json", "adapter_model.safetensors"):
        if not (folder / name).is_file():
            raise InputError(f"{folder}: no {name}; {FIX}")
    with _without_peft_notice(), reading(folder, FIX):
        # peft only warns, and the adapters would go on as if they had not been trained.
        warnings.filterwarnings("error", "Found missing adapter keys", UserWarning)
        return PeftModel.from_pretrained(base, folder, is_trainable=True)


def load_brain(model: FMRILM, directory: Path) -> None:
    """Fill brain embedding and code head from a model's folder.

    Raises
    ------
    InputError
        If their weights are missing, broken or of another model.
    """
    weights = read_weights(directory / BRAIN, FIX)
    for name, module in _brain_modules(model).items():
        own = {
            key.removeprefix(f"{name}."): w for key, w in weights.items() if key.startswith(name)
        }
        with reading(directory / BRAIN, FIX):
            module.load_state_dict(own)


def read_config(directory: Path) -> dict[str, Any]:
    """Read ``config.json`` of a model's folder.

    Raises
    ------
    InputError
        If there is none or a broken one, or its schema is newer than this package knows.
    """
    keys = ("base_model", "attention")
    config = read_description(directory / CONFIG, SCHEMA, FIX, keys=keys, package="fmri-llm")
    # Models of schema 1 were trained on single windows.
    earlier = {"max_windows": 1, "base_digest": None}
    return earlier | config if config["schema"] == 1 else config


def check_base(digest: str | None, folder: Path, name: str) -> str:
    """Digest of a base's weights, refused where the model was trained on other ones.

    Parameters
    ----------
    digest : str or None
        Of the weights that the model was trained on; None if it was not kept.
    folder : Path
        Of the base.
    name : str
        By which the model knows the base.

    Raises
    ------
    InputError
    """
    found = locate.weights_digest(folder)
    if digest not in (None, found):
        raise InputError(
            f"language model {name}: its weights are not those that this model was trained on; "
            "put the old ones back, or train again with fit-llm and tune"
        )
    return found


def remove_leftovers(directory: Path) -> None:
    """Remove what a killed run left of a weight file that it was writing.

    safetensors writes beside the final name, as ``.tmp...``, and renames.
    """
    for folder in (directory, directory / ADAPTER, directory / TOKENIZER):
        for leftover in folder.glob(".tmp*"):
            if leftover.is_file():
                leftover.unlink()


def save(model: FMRILM, directory: Path) -> None:
    """Write a model's folder; the same weights give the same bytes."""
    from safetensors.torch import save_file

    directory.mkdir(parents=True, exist_ok=True)
    remove_leftovers(directory)
    _save_adapter(model, directory / ADAPTER)
    weights = {
        f"{name}.{key}": weight.detach().cpu().contiguous()
        for name, module in _brain_modules(model).items()
        for key, weight in module.state_dict().items()
    }
    save_file(weights, directory / BRAIN, metadata={"format": "pt"})
    (directory / TOKENIZER).mkdir(exist_ok=True)
    model.brain_tokenizer.save_pretrained(directory / TOKENIZER)
    write_json(_config(model), directory / CONFIG)


@contextlib.contextmanager
def _without_peft_notice() -> Iterator[None]:
    """Hold back a notice to peft's authors: it asks transformers for an attribute's old name."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "`is_gradient_checkpointing`", FutureWarning)
        yield


def _brain_modules(model: FMRILM) -> dict[str, nn.Module]:
    return {"embedding": model.brain, "head": model.head}


def _config(model: FMRILM) -> dict[str, Any]:
    tokenizer = model.brain_tokenizer
    return {
        "schema": SCHEMA,
        "base_model": model.base_name,
        "base_digest": model.base_digest,
        "attention": model.attention,
        "max_windows": model.max_windows,
        "brain": {
            "n_regions": tokenizer.config.n_regions,
            "n_codes": tokenizer.config.n_codes,
        },
        "parcellation": tokenizer.parcellation,
        "order_hash": tokenizer.order_hash,
    }


def _save_adapter(model: FMRILM, directory: Path) -> None:
    """Write the adapter through peft, then what would differ from one machine to the next."""
    model.language_model.save_pretrained(str(directory), save_embedding_layers=False)
    (directory / "README.md").unlink(missing_ok=True)
    path = directory / "adapter_config.json"
    config = json.loads(path.read_text(encoding="utf-8"))
    config["base_model_name_or_path"] = model.base_name
    # peft keeps the targets as a set, whose order changes from process to process.
    config["target_modules"] = sorted(config["target_modules"])
    write_json(config, path)
