"""The README.md of a model: base, sizes, data, dependence on the scan, use and limits."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fmri_vqtok.tokenizer import FMRITokenizer

__all__ = ["model_card"]

TEMPLATE = Path(__file__).with_suffix(".md")

TAGS = ["fmri", "neuroimaging", "brain"]

_HUB_NAME = re.compile(r"[\w.-]+/[\w.-]+")

_CONDITIONS = ("own", "shuffled", "empty")


def model_card(
    config: Mapping[str, Any],
    sizes: Mapping[str, int],
    adapter: Mapping[str, Any] | None,
    tokenizer: FMRITokenizer,
    dependence: Mapping[str, Any] | None = None,
) -> str:
    """Text of a model card, the same for the same model.

    Parameters
    ----------
    config : mapping
        Content of the model's ``config.json``.
    sizes : mapping of str to int
        Number of parameters by part.
    adapter : mapping or None
        "rank", "alpha" and "targets" of the adapters, where there are any.
    tokenizer : FMRITokenizer
        The model's brain tokenizer.
    dependence : mapping, optional
        Content of ``scan-dependence.json``; without it the card says that this was not measured.

    Returns
    -------
    str
        Markdown with the front matter that the Hugging Face Hub reads. It names no licence, and as
        base only a model of the Hub.
    """
    from huggingface_hub import ModelCard, ModelCardData

    name = config["base_model"]
    data = ModelCardData(
        base_model=name if _HUB_NAME.fullmatch(name) else None,
        library_name="fmri-llm",
        pipeline_tag="text-generation",
        tags=TAGS if adapter is None else [*TAGS, "lora"],
    )
    card = ModelCard.from_template(
        data,
        template_path=str(TEMPLATE),
        base=Path(name).name if Path(name).is_absolute() else name,
        base_digest=config["base_digest"] or "not recorded",
        sizes=sizes,
        adapter=adapter,
        base_training=config["base_training"],
        brain={**config["brain"]["input"], "n_filters": config["brain"]["n_filters"]},
        measures=config["brain"]["measures"],
        data=_data(tokenizer),
        dependence=None if dependence is None else _dependence(dependence),
    )
    return f"{str(card).rstrip()}\n"


def _data(tokenizer: FMRITokenizer) -> dict[str, Any]:
    """Facts about scans that the brain tokenizer has kept."""
    config, processor = tokenizer.config, tokenizer.processor
    facts: dict[str, Any] = {
        "parcellation": tokenizer.parcellation or "not recorded",
        "regions": config.n_regions,
        "hash of the ordered region labels": tokenizer.order_hash or "not recorded",
        "frames of a window": config.n_frames,
        "steps of a window": config.n_steps,
        "codes": config.n_codes,
    }
    if processor is not None:
        facts["repetition time after resampling"] = f"{processor.target_tr} s"
        if processor.n_scans_:
            facts["training scans of the tokenizer"] = processor.n_scans_
            facts["their sites"] = ", ".join(processor.site_scale_) or "not recorded"
    return facts


def _dependence(document: Mapping[str, Any]) -> dict[str, Any]:
    """Figures of ``scan-dependence.json`` as the template shows them."""
    auc, accuracy, loss = (
        document[name] for name in ("question_auc", "question_accuracy", "caption_loss")
    )

    def row(values: Mapping[str, float | None]) -> list[str]:
        found = (values[name] for name in _CONDITIONS)
        return ["–" if value is None else f"{value:.3f}" for value in found]

    directions = document.get("direction_agreement") or dict.fromkeys(_CONDITIONS)
    stated = {"directions in written captions that are true": row(directions)}
    return {
        "verdict": document["verdict"],
        "n_scans": document["n_scans"],
        "n_questions": document["n_questions"],
        "retrieval": f"{document['retrieval']:.3f}",
        "chance": f"{document['retrieval_chance']:.3f}",
        "rows": {
            "area under the curve of above against below": row(
                {name: auc[name]["all"] for name in _CONDITIONS}
            ),
            "share of questions answered right": row(accuracy),
            "loss of a caption's token, nats": row(loss),
            **(stated if directions["own"] is not None else {}),
        },
    }
