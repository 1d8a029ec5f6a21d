"""A trained model as an ordinary transformers folder: the adapters merged into the base.

::

    config.json, *.safetensors, tokenizer files     the merged base, as transformers writes it
    brain/                                          a model's folder (`fmri_llm.pretrained`), whose
                                                    base is the folder above and whose adapters
                                                    change nothing
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast

from fmri_llm import pretrained
from fmri_llm.base_model import locate
from fmri_llm.base_model.language_model import new_adapter
from fmri_llm.settings import LoraSettings
from fmri_vqtok.errors import InputError

if TYPE_CHECKING:
    from peft import LoraConfig, PeftModel
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from fmri_llm.brain_input.brain_input import BrainInput
    from fmri_llm.brain_input.code_head import CodeHead
    from fmri_vqtok.tokenizer import FMRITokenizer

__all__ = ["MergeableModel", "brain_and_base", "export"]

BRAIN_FOLDER = "brain"


class MergeableModel(pretrained.SavedModel, Protocol):
    """What is exported of a model, such as `fmri_llm.FMRILM`."""

    text_tokenizer: PreTrainedTokenizerBase


@dataclass
class _MergedModel:
    """A model whose base has been replaced; see `fmri_llm.pretrained.SavedModel`."""

    language_model: PeftModel
    brain_tokenizer: FMRITokenizer
    brain: BrainInput
    head: CodeHead
    base_name: str
    base_digest: str | None
    attention: str
    max_windows: int | None
    measures: tuple[str, ...]
    scan_dependence: dict[str, Any] | None


def export(model: MergeableModel, directory: Path) -> None:
    """Write the merged folder of a model, which stays as it is.

    Raises
    ------
    InputError
        If the directory holds a model of ours that is not merged, which would be overwritten.
    """
    if (directory / pretrained.ADAPTER).exists():
        raise InputError(
            f"{directory}: it holds a model that is not merged; give another folder to export to"
        )
    base = _merged_base(model.language_model)
    base.save_pretrained(directory)
    model.text_tokenizer.save_pretrained(directory)
    of_brain = _MergedModel(
        _with_idle_adapter(base, model.language_model),
        model.brain_tokenizer,
        model.brain,
        model.head,
        model.base_name,
        locate.weights_digest(directory),
        model.attention,
        model.max_windows,
        model.measures,
        model.scan_dependence,
    )
    pretrained.save(of_brain, directory / BRAIN_FOLDER)


def brain_and_base(directory: Path, base: str | Path | None) -> tuple[Path, str | Path | None]:
    """Folder of a model and its base: of a merged export, its parts; of others, those given."""
    if (directory / BRAIN_FOLDER / pretrained.CONFIG).is_file():
        return directory / BRAIN_FOLDER, base or directory
    return directory, base


def _merged_base(adapted: PeftModel) -> PreTrainedModel:
    """Copy of a base, with its adapters added to its weights."""
    merging = cast("Any", copy.deepcopy(adapted))
    return cast("PreTrainedModel", merging.merge_and_unload())


def _with_idle_adapter(base: PreTrainedModel, adapted: PeftModel) -> PeftModel:
    """Add new adapters like those of another model to a base; they change nothing."""
    config = cast("LoraConfig", adapted.peft_config["default"])
    names = cast("set[str]", config.target_modules)
    settings = LoraSettings(
        rank=config.r,
        alpha=float(config.lora_alpha),
        dropout=float(config.lora_dropout),
        targets=tuple(sorted(names)),
    )
    return new_adapter(base, settings, seed=0)
