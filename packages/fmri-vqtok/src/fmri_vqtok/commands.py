"""Command-line stages of this package, found through the entry points ``fmri.commands``."""

from pathlib import Path

import click

from fmri_vqtok.config.stages import FitTokenizerSettings, TokenizeSettings
from fmri_vqtok.errors import InputError
from fmri_vqtok.stage import Context, Stage
from fmri_vqtok.text.corpus import corpus_source


@click.command("fit-tokenizer")
@click.argument("cohort", type=click.Path(path_type=Path))
@click.option(
    "--descriptors",
    type=click.Path(path_type=Path),
    help="Folder that `fmri describe` wrote; its captions are what scans are aligned with.",
)
@click.option(
    "--text",
    callback=lambda _context, _option, given: corpus_source(given),
    metavar="PATH",
    help=(
        "Ordinary text for the domain loss: a text, .jsonl or .parquet file, a "
        "folder of them, a data set saved with `save_to_disk`, or hf:OWNER/NAME."
    ),
)
@click.option("--language-model", help="Model whose text space the tokens are aligned with.")
@click.pass_obj
def fit_tokenizer(
    context: Context,
    cohort: Path,
    descriptors: Path | None,
    text: Path | str | None,
    language_model: str | None,
) -> None:
    """Fit a tokenizer to the training scans of COHORT.

    Give --descriptors, --text and --language-model to align the tokens with a text space, or
    none of the three to train on reconstruction alone.
    """
    context.run(
        _fit_tokenizer,
        FitTokenizerSettings,
        resumable=True,
        cohort=cohort,
        descriptors=descriptors,
        text=text,
        language_model=language_model,
    )


@click.command("tokenize")
@click.argument("cohort", type=click.Path(path_type=Path))
@click.argument("tokenizer", type=click.Path(path_type=Path))
@click.pass_obj
def tokenize(context: Context, cohort: Path, tokenizer: Path) -> None:
    """Write the codes that TOKENIZER gives the scans of COHORT."""
    context.run(_tokenize, TokenizeSettings, resumable=True, cohort=cohort, tokenizer=tokenizer)


def _fit_tokenizer(
    stage: Stage[FitTokenizerSettings],
    cohort: Path,
    descriptors: Path | None,
    text: Path | str | None,
    language_model: str | None,
) -> str:
    from fmri_vqtok.training.fit import TextSource, fit_tokenizer

    source = None
    if descriptors is not None and text is not None and language_model is not None:
        model_dir = stage.language_model(language_model)
        source = TextSource(descriptors, text, model_dir, language_model)
    elif any(given is not None for given in (descriptors, text, language_model)):
        raise InputError(
            f"--descriptors {descriptors}, --text {text}, --language-model {language_model}: "
            "give all three to align with text, or none"
        )
    stage.note(**_code_path(stage.device))
    return fit_tokenizer(
        cohort,
        stage.directory,
        stage.settings,
        seed=stage.seed,
        text=source,
        device=stage.device,
        progress=stage.progress,
        note=stage.note,
    )


def _tokenize(stage: Stage[TokenizeSettings], cohort: Path, tokenizer: Path) -> str:
    from fmri_vqtok.tokens.dataset import write_tokens

    stage.note(**_code_path(stage.device))
    return write_tokens(
        cohort,
        tokenizer,
        stage.directory,
        stage.settings,
        device=stage.device,
        progress=stage.progress,
    )


def _code_path(device: str) -> dict[str, str]:
    from fmri_vqtok.kernels import chosen_backend

    return {
        "attention": "torch scaled_dot_product_attention",
        "nearest_code": chosen_backend(device),
    }
