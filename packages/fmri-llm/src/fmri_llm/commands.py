"""The commands `fit-llm` and `caption`; `fmri` finds them by their entry points."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fmri_llm.settings import FitLLMSettings
from fmri_vqtok.errors import InputError
from fmri_vqtok.formats.names import DOMAINS, SPLITS
from fmri_vqtok.stage import Context, Stage
from fmri_vqtok.text.corpus import corpus_source

if TYPE_CHECKING:
    from fmri_llm.captioning import GeneratedCaption

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


@click.command("caption", short_help="Describe scans by domain.")
@click.argument("model", type=_PATH)
@click.argument("tokens", type=_PATH)
@click.argument("scans", metavar="[SCAN]...", nargs=-1)
@click.option(
    "--split",
    type=click.Choice(SPLITS),
    help="Where the scans are; without any SCAN, all of this split (test by default).",
)
@click.option(
    "--domain",
    "domains",
    type=click.Choice(list(DOMAINS)),
    multiple=True,
    help="What to describe; may be given several times. All domains by default.",
)
@click.option("--json", "for_program", is_flag=True, help="Print one JSON object a line.")
@click.option("--max-new-tokens", type=int, default=128, show_default=True, metavar="N")
@click.option(
    "--temperature",
    type=float,
    default=0.0,
    show_default=True,
    help="Above 0, draw the text; at 0, take the most likely token each time.",
)
@click.option(
    "--top-p",
    type=float,
    default=1.0,
    show_default=True,
    help="Draw from the most likely tokens that hold this probability together.",
)
@click.option("--num-beams", type=int, default=1, show_default=True, help="Beams of a search.")
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of the draws.")
@click.option(
    "--device",
    type=click.Choice(["auto", "cpu", "cuda"]),
    default="auto",
    show_default=True,
    help="Where torch computes.",
)
def caption(
    model: Path,
    tokens: Path,
    scans: tuple[str, ...],
    split: str | None,
    domains: tuple[str, ...],
    *,
    for_program: bool,
    seed: int,
    device: str,
    **decoding: Any,
) -> None:
    """Describe each SCAN of TOKENS with MODEL, a folder that fit-llm or tune wrote.

    Without any SCAN, all scans of the test split are described. The texts are the model's: whether
    they depend on the scan is in scan-dependence.json of the folder that fit-llm wrote.
    """
    from fmri_llm.captioning import describe_scans, find_scans
    from fmri_llm.inference.decoding import Decoding

    # Before the model is read, which takes much longer than to find out this.
    how = Decoding(**decoding)
    found = find_scans(tokens, scans, split)
    from fmri_llm.model.fmri_lm import FMRILM
    from fmri_vqtok.tokens.dataset import check_tokens_of

    loaded = FMRILM.from_pretrained(model)
    check_tokens_of(tokens, loaded.brain_tokenizer)
    loaded.to(_device(device))
    captions = describe_scans(loaded, found, domains or tuple(DOMAINS), how, seed=seed)
    for line in _json_lines(captions) if for_program else _text_lines(captions):
        click.echo(line)


def _json_lines(captions: Iterable[GeneratedCaption]) -> Iterator[str]:
    for each in captions:
        yield json.dumps(each.row, sort_keys=True)


def _text_lines(captions: Iterable[GeneratedCaption]) -> Iterator[str]:
    """Lines for a terminal: what would steer it is spelt out."""
    shown = None
    for each in captions:
        if each.scan_id != shown:
            yield _printable(f"{each.scan_id} ({each.split})")
            shown = each.scan_id
        yield _printable(f"  {DOMAINS[each.domain]}: {each.text}")


def _printable(line: str) -> str:
    return "".join(each if each.isprintable() else ascii(each)[1:-1] for each in line)


def _device(wanted: str) -> str:
    import torch

    available = torch.cuda.is_available()
    if wanted == "cuda" and not available:
        raise InputError("--device: cuda, but torch sees no CUDA device; give cpu or auto")
    return "cuda" if available and wanted != "cpu" else "cpu"
