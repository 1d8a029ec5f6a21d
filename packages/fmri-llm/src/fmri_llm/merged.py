"""A trained model as an ordinary transformers folder: the adapters merged into the base.

::

    config.json, *.safetensors, tokenizer files     the merged base, as transformers writes it
    brain/                                          a model's folder (`fmri_llm.pretrained`), whose
                                                    frozen base is the folder above
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast

from fmri_llm import pretrained
from fmri_llm.base_model import locate
from fmri_vqtok.errors import InputError

if TYPE_CHECKING:
    from peft import PeftModel
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


def export(model: MergeableModel, directory: Path) -> None:
    """Write the merged folder of a model, which stays as it is.

    Raises
    ------
    InputError
        If the directory holds a model of ours that is not merged, which would be overwritten, or
        the base was loaded in few bits.
    """
    if model.quantise != "none":
        raise InputError(
            f"quantise: {model.quantise}; weights of few bits are not merged; share the folder "
            "that save_pretrained writes"
        )
    if (directory / pretrained.BRAIN).exists():
        raise InputError(
            f"{directory}: it holds a model that is not merged; give another folder to export to"
        )
    base = _merged_base(model.language_model)
    base.save_pretrained(directory)
    model.text_tokenizer.save_pretrained(directory)
    of_brain = _MergedModel(
        base,
        model.text_tokenizer,
        model.brain_tokenizer,
        model.brain,
        model.head,
        model.base_name,
        locate.weights_digest(directory),
        "frozen",
        "none",
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


def _merged_base(language_model: PreTrainedModel | PeftModel) -> PreTrainedModel:
    """Copy a base with its adapters added to its weights; one without adapters is not copied."""
    from peft import PeftModel

    if not isinstance(language_model, PeftModel):
        return language_model
    merging = cast("Any", copy.deepcopy(language_model))
    return cast("PreTrainedModel", merging.merge_and_unload())
