"""The `fit-llm` command; `fmri` finds it by its entry point."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from fmri_llm.settings import FitLLMSettings
from fmri_vqtok.stage import Context, Stage
from fmri_vqtok.text.corpus import corpus_source

# Whether they exist is checked when the stage runs: a dry run names folders that are yet to come.
_PATH = click.Path(path_type=Path)


@click.command("fit-llm")
@click.argument("tokens", type=_PATH)
@click.argument("tokenizer", type=_PATH)
@click.argument("descriptors", type=_PATH)
@click.option(
    "--text",
    callback=lambda _context, _option, given: corpus_source(given),
    required=True,
    metavar="PATH",
    help=(
        "Plain text for the text-only loss: a text, .jsonl or .parquet file, a folder of them, a "
        "data set saved with `save_to_disk`, or hf:OWNER/NAME."
    ),
)
@click.option(
    "--language-model",
    required=True,
    metavar="NAME",
    help="Packaged model (smollm2-135m-instruct), folder or Hugging Face hub id.",
)
@click.pass_obj
def fit_llm(
    context: Context,
    tokens: Path,
    tokenizer: Path,
    descriptors: Path,
    text: Path | str,
    language_model: str,
) -> None:
    """Teach a language model to read brain tokens.

    TOKENS, TOKENIZER and DESCRIPTORS are the folders that tokenize, fit-tokenizer and describe
    wrote.
    """
    context.run(
        _fit_llm,
        FitLLMSettings,
        resumable=True,
        tokens=tokens,
        tokenizer=tokenizer,
        descriptors=descriptors,
        text=text,
        language_model=language_model,
    )


def _fit_llm(
    stage: Stage[FitLLMSettings],
    tokens: Path,
    tokenizer: Path,
    descriptors: Path,
    text: Path | str,
    language_model: str,
) -> str:
    from fmri_llm.evaluation.scan_dependence import ScanDependence
    from fmri_llm.evaluation.text_perplexity import TextPerplexity
    from fmri_llm.training.fit import fit_llm as train
    from fmri_llm.training.forecast_baselines import Forecasts

    stage.note(attention=stage.settings.attention, dtype="float32")
    records = train(
        tokens,
        tokenizer,
        descriptors,
        text,
        stage.directory,
        settings=stage.settings,
        seed=stage.seed,
        language_model=stage.language_model(language_model),
        language_model_name=language_model,
        device=stage.device,
        progress=stage.progress,
        note=stage.note,
    )
    references = Forecasts.read(stage.directory)
    beside = "" if references is None else f"; f2f without a language model: {references.summary}"
    perplexity = TextPerplexity.read(stage.directory)
    beside += "" if perplexity is None else f"; {perplexity.summary}"
    dependence = ScanDependence.read(stage.directory)
    if dependence is not None:
        beside += f"; {dependence.verdict[0].lower()}{dependence.verdict[1:].rstrip('.')}"
    return summary(records) + beside


def summary(records: list[Any]) -> str:
    """One line: the last value of each loss, on held-out scans if there are any."""
    splits = {record.split for record in records}
    split = "validation" if "validation" in splits else "train"
    last = {record.name: record.value for record in records if record.split == split}
    values = ", ".join(f"{name} {value:.2f}" for name, value in sorted(last.items()))
    return f"{split} losses in nats: {values}"
