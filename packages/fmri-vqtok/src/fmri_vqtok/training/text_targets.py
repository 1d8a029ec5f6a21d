"""The text side of a tokenizer's training: frozen features of captions and words."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from fmri_vqtok.config.stages import FitTokenizerSettings
from fmri_vqtok.data.window_dataset import NormalisedScan, TextDraws
from fmri_vqtok.digest import digest
from fmri_vqtok.errors import InputError
from fmri_vqtok.formats.zscores import read_zscores
from fmri_vqtok.text.caption_targets import CaptionCounts, caption_targets, read_sentences
from fmri_vqtok.text.features import embedding_table
from fmri_vqtok.text.token_stream import token_stream

Scans = dict[str, list[NormalisedScan]]


@dataclass(frozen=True)
class TextSource:
    """Where the text side of the alignment comes from.

    Attributes
    ----------
    descriptors_dir : Path
        Folder with ``captions.jsonl`` and, for a read-out of z-scores, ``zscores.parquet``.
    corpus : Path or str
        Whose tokens stand for text in the domain loss; see `fmri_vqtok.text.corpus.read_corpus`.
    language_model : Path
        Local folder of a transformers model.
    name : str
        Name of that model, kept with the tokenizer.
    """

    descriptors_dir: Path
    corpus: Path | str
    language_model: Path
    name: str


@dataclass(frozen=True)
class TextTargets:
    """Frozen text features, and what of the captions they are made of.

    Attributes
    ----------
    table : Tensor, shape (V, C)
        Token embeddings of the language model.
    captions : Tensor, shape (n_scans, C)
        Features of the captions, by the row of the scan; 0 for scans that are not looked at.
    center : Tensor, shape (C,)
        Mean feature of the training captions.
    draws : TextDraws
        Where the words of the domain loss are drawn from.
    counts : CaptionCounts
    captions_digest, corpus_digest : str
    held_out : Tensor
        Rows of the validation scans.
    zscores : Tensor, shape (n_scans, n_features), or None
        Z-scores of the descriptors, NaN where unknown; None without a read-out.
    """

    table: Tensor
    captions: Tensor
    center: Tensor
    draws: TextDraws
    counts: CaptionCounts
    captions_digest: str
    corpus_digest: str
    held_out: Tensor
    zscores: Tensor | None


def check_contrast(settings: FitTokenizerSettings) -> None:
    """Refuse a contrast of batches that hold a single scan.

    Raises
    ------
    InputError
    """
    loop = settings.training
    if settings.contrastive_weight > 0 and loop.batch_size < 2 * loop.accumulation_steps:
        raise InputError(
            f"training.batch_size: {loop.batch_size} in {loop.accumulation_steps} parts leaves one "
            "example per part, and one scan has nothing to be contrasted with; give at least "
            f"{2 * loop.accumulation_steps}, or contrastive_weight 0"
        )


def text_targets(
    text: TextSource, scans: Scans, settings: FitTokenizerSettings, device: str
) -> TextTargets:
    """Frozen targets of the scans that the training and validation losses look at.

    Test scans have a row too, so that rows and scans agree, but nothing is read about them.
    """
    everyone = [scan for group in scans.values() for scan in group]
    used = [scan for split in ("train", "validation") for scan in scans.get(split, [])]
    captions = read_sentences(text.descriptors_dir, [scan.scan_id for scan in used])
    found = caption_targets(
        text.language_model,
        captions,
        [place < len(scans["train"]) for place in range(len(used))],
        settings.caption_tokens,
        device=device,
    )
    by_row = found.features.new_zeros(len(everyone), found.features.shape[1])
    rows = [scan.row for scan in used]
    by_row[rows] = found.features
    zscores = None
    if settings.readout_weight > 0:
        table_of_z = read_zscores(text.descriptors_dir, [scan.scan_id for scan in used])
        features = table_of_z.select_dtypes("number").to_numpy(dtype=np.float32, copy=True)
        values = torch.from_numpy(features)
        zscores = values.new_full((len(everyone), values.shape[1]), torch.nan)
        zscores[rows] = values
    stream = token_stream(
        text.language_model, text.corpus, column=settings.text_column, limit=settings.corpus_limit
    )
    table = embedding_table(text.language_model)
    if stream.highest >= len(table):
        raise InputError(
            f"text {text.corpus}: token {stream.highest}, but language model {text.name} has "
            f"embeddings of {len(table)} tokens; give the tokenizer that belongs to the model"
        )
    return TextTargets(
        table=table,
        captions=by_row,
        center=found.center,
        draws=TextDraws(stream.tokens, settings.text_tokens),
        counts=found.counts,
        captions_digest=digest(captions),
        corpus_digest=stream.digest[:16],
        held_out=torch.tensor(
            [scan.row for scan in scans.get("validation", [])], dtype=torch.int64
        ),
        zscores=zscores,
    )
