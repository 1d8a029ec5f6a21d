"""The folder of a trained model: brain weights, and what of the base was trained.

::

    config.json           schema, base model and digest of its weights, what the brain tokens are
    adapter/              as peft writes it, where adapters were trained
    base/                 model and text tokenizer, as transformers writes them, where all was
    brain.safetensors     brain input and code head
    tokenizer/            the brain tokenizer
    README.md             model card
    scan-dependence.json  what the text owes to the scan, where that was measured
"""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast

from fmri_llm.base_model import locate
from fmri_llm.base_model.checks import load_checked
from fmri_llm.base_model.language_model import without_peft_notice
from fmri_llm.brain_input.brain_input import BrainInput
from fmri_llm.brain_input.code_head import CodeHead
from fmri_llm.model_card import model_card
from fmri_llm.settings import BrainInputSettings
from fmri_vqtok.errors import InputError
from fmri_vqtok.formats.json_files import read_description, write_json
from fmri_vqtok.formats.reading import read_weights, reading
from fmri_vqtok.pretrained import hub

if TYPE_CHECKING:
    from peft import LoraConfig, PeftModel
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from fmri_vqtok.tokenizer import FMRITokenizer

__all__ = [
    "ADAPTER",
    "CONFIG",
    "SCHEMA",
    "TOKENIZER",
    "SavedModel",
    "brain_settings",
    "brain_tokenizer",
    "check_base",
    "load_adapter",
    "load_base",
    "load_brain",
    "local_folder",
    "read_config",
    "read_dependence",
    "remove_leftovers",
    "save",
]

SCHEMA = 4
ADAPTER = "adapter"
BASE = "base"
BRAIN = "brain.safetensors"
CARD = "README.md"
CONFIG = "config.json"
DEPENDENCE = "scan-dependence.json"
FIX = "give the folder that fit-llm or tune wrote"
TOKENIZER = "tokenizer"

_FILES = [CONFIG, BRAIN, CARD, DEPENDENCE, *(f"{name}/*" for name in (ADAPTER, BASE, TOKENIZER))]
_REPO_ID = re.compile(r"[\w.-]+/[\w.-]+")


class SavedModel(Protocol):
    """What the folder holds of a model, such as `fmri_llm.FMRILM`."""

    language_model: PreTrainedModel | PeftModel
    text_tokenizer: PreTrainedTokenizerBase
    brain_tokenizer: FMRITokenizer
    brain: BrainInput
    head: CodeHead
    base_name: str
    base_digest: str | None
    base_training: str
    quantise: str
    attention: str
    max_windows: int | None
    measures: tuple[str, ...]
    scan_dependence: dict[str, Any] | None


def local_folder(directory: str | Path, revision: str | None = None) -> Path:
    """Folder of a model; a name such as "owner/name" that is none is fetched from the Hub.

    Raises
    ------
    InputError
        If it can be neither found nor fetched.
    """
    is_name = isinstance(directory, str) and _REPO_ID.fullmatch(directory)
    if is_name and not Path(directory).exists():
        return hub.fetch(str(directory), _FILES, revision, kind="language model")
    return Path(directory)


def brain_tokenizer(tokenizer: FMRITokenizer | str | Path) -> FMRITokenizer:
    """Brain tokenizer from itself or from its folder."""
    if not isinstance(tokenizer, (str, Path)):
        return tokenizer
    from fmri_vqtok.tokenizer import FMRITokenizer

    return FMRITokenizer.from_pretrained(tokenizer)


def load_base(
    config: Mapping[str, Any], directory: Path, *, base: str | None, attention: str
) -> tuple[PreTrainedModel | PeftModel, PreTrainedTokenizerBase]:
    """Load the base of a model's folder as it was trained, with its text tokenizer.

    Parameters
    ----------
    config : mapping
        From `read_config`.
    directory : Path
    base : str or None
        Where the base is, if not where its saved name says; not read where the folder holds it.
    attention : str

    Raises
    ------
    InputError
        If the base is unavailable, broken, or has other weights than it was trained on.
    """
    training = config.get("base_training", "adapters")
    if training == "full":
        model, text_tokenizer = load_checked(directory / BASE, attention)
        return model, text_tokenizer
    name = config["base_model"]
    folder = locate.resolve(base or name)
    check_base(config["base_digest"], folder, name)
    model, text_tokenizer = load_checked(folder, attention, config.get("quantise", "none"))
    if training == "frozen":
        return model.requires_grad_(False), text_tokenizer
    return load_adapter(model, directory), text_tokenizer


def load_adapter(base: PreTrainedModel, directory: Path) -> PeftModel:
    """Load the adapters of a model's folder into its base, as trainable weights.

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
    with without_peft_notice(), reading(folder, FIX):
        # peft only warns, and would continue with untrained adapters.
        warnings.filterwarnings("error", "Found missing adapter keys", UserWarning)
        return PeftModel.from_pretrained(base, folder, is_trainable=True)


def load_brain(model: SavedModel, directory: Path) -> None:
    """Load brain input and code head from a model's folder.

    Raises
    ------
    InputError
        If their weights are missing, broken or of another model.
    """
    weights = read_weights(directory / BRAIN, FIX)
    for name, module in {"input": model.brain, "head": model.head}.items():
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
    keys = ("base_model", "attention", "brain")
    config = read_description(directory / CONFIG, SCHEMA, FIX, keys=keys, package="fmri-llm")
    if config["schema"] < SCHEMA:
        raise InputError(
            f"{directory}: a model of an earlier version, with other tokens about the scan; train "
            "it again with fit-llm"
        )
    return config


def read_dependence(directory: Path) -> dict[str, Any] | None:
    """Read ``scan-dependence.json`` of a model's folder; None where it was not measured.

    Raises
    ------
    InputError
        If it is broken.
    """
    path = directory / DEPENDENCE
    if not path.is_file():
        return None
    with reading(path, "delete it, or train again with fit-llm"):
        return dict(json.loads(path.read_text(encoding="utf-8")))


def brain_settings(config: Mapping[str, Any], directory: Path) -> BrainInputSettings:
    """Read the settings of the brain input in a model's ``config.json``.

    Raises
    ------
    InputError
        If they are no valid settings.
    """
    with reading(directory / CONFIG, FIX):
        return BrainInputSettings(**config["brain"]["input"])


def check_base(digest: str | None, folder: Path, name: str) -> None:
    """Refuse other weights of a base than the model was trained on.

    Parameters
    ----------
    digest : str or None
        Of the weights that the model was trained on; None if it was not kept.
    folder : Path
        Of the base.
    name : str
        Of the base, as the model's folder gives it.

    Raises
    ------
    InputError
    """
    if digest not in (None, locate.weights_digest(folder)):
        raise InputError(
            f"language model {name}: its weights are not those that this model was trained on; "
            "restore the old ones, or train again with fit-llm and tune"
        )


def remove_leftovers(directory: Path) -> None:
    """Remove partial weight files of a killed run: safetensors writes ``.tmp...`` and renames."""
    for folder in (directory, *(directory / name for name in (ADAPTER, BASE, TOKENIZER))):
        for leftover in folder.glob(".tmp*"):
            if leftover.is_file():
                leftover.unlink()


def save(model: SavedModel, directory: Path) -> None:
    """Write a model's folder; the same weights give the same bytes."""
    from safetensors.torch import save_file

    directory.mkdir(parents=True, exist_ok=True)
    remove_leftovers(directory)
    if model.base_training == "adapters":
        _save_adapter(model, directory / ADAPTER)
    elif model.base_training == "full":
        model.language_model.save_pretrained(str(directory / BASE))
        model.text_tokenizer.save_pretrained(str(directory / BASE))
    weights = {
        f"{name}.{key}": weight.detach().cpu().contiguous()
        for name, module in {"input": model.brain, "head": model.head}.items()
        for key, weight in module.state_dict().items()
    }
    save_file(weights, directory / BRAIN, metadata={"format": "pt"})
    (directory / TOKENIZER).mkdir(exist_ok=True)
    model.brain_tokenizer.save_pretrained(directory / TOKENIZER)
    config = _config(model)
    write_json(config, directory / CONFIG)
    _save_dependence(model.scan_dependence, directory / DEPENDENCE)
    (directory / CARD).write_text(_card(model, config), encoding="utf-8")


def _config(model: SavedModel) -> dict[str, Any]:
    tokenizer = model.brain_tokenizer
    return {
        "schema": SCHEMA,
        "base_model": model.base_name,
        "base_digest": model.base_digest,
        "base_training": model.base_training,
        "quantise": model.quantise,
        "attention": model.attention,
        "max_windows": model.max_windows,
        "brain": {
            "n_regions": tokenizer.config.n_regions,
            "n_codes": tokenizer.config.n_codes,
            "n_filters": model.brain.filters.n_filters,
            "measures": list(model.measures),
            "input": asdict(model.brain.settings),
        },
        "parcellation": tokenizer.parcellation,
        "order_hash": tokenizer.order_hash,
    }


def _save_dependence(document: Mapping[str, Any] | None, path: Path) -> None:
    """Write what was measured of these weights; what was measured of others is removed."""
    if document is None:
        path.unlink(missing_ok=True)
    else:
        path.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")


def _card(model: SavedModel, config: Mapping[str, Any]) -> str:
    return model_card(
        config, _sizes(model), _adapter(model), model.brain_tokenizer, model.scan_dependence
    )


def _adapter(model: SavedModel) -> dict[str, Any] | None:
    """Rank, scale and layers of the adapters; None for a model that has none."""
    if model.base_training != "adapters":
        return None
    adapted = cast("PeftModel", model.language_model)
    adapter = cast("LoraConfig", adapted.peft_config["default"])
    # A set, or one name that stands for several layers.
    targets = cast("set[str] | str", adapter.target_modules)
    return {
        "rank": adapter.r,
        "alpha": adapter.lora_alpha,
        "targets": [targets] if isinstance(targets, str) else sorted(targets),
    }


def _sizes(model: SavedModel) -> dict[str, int]:
    """Count the parameters of each part."""
    by_name = {name: p.numel() for name, p in model.language_model.named_parameters()}
    n_adapters = sum(n for name, n in by_name.items() if "lora_" in name)
    return {
        "base": sum(by_name.values()) - n_adapters,
        "adapters": n_adapters,
        "brain input": sum(p.numel() for p in model.brain.parameters()),
        "code head": sum(p.numel() for p in model.head.parameters()),
        "brain tokenizer": sum(p.numel() for p in model.brain_tokenizer.parameters()),
    }


def _save_adapter(model: SavedModel, directory: Path) -> None:
    """Write the adapter through peft, then what would differ from one machine to the next."""
    model.language_model.save_pretrained(str(directory), save_embedding_layers=False)
    (directory / "README.md").unlink(missing_ok=True)
    path = directory / "adapter_config.json"
    config = json.loads(path.read_text(encoding="utf-8"))
    config["base_model_name_or_path"] = model.base_name
    # peft keeps the targets as a set, whose order changes from process to process.
    config["target_modules"] = sorted(config["target_modules"])
    write_json(config, path)
