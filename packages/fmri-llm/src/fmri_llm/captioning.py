"""Descriptions of scans by domain, written by a trained model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from fmri_llm.data.captions import DESCRIBE_PROMPTS
from fmri_llm.data.examples import scans_of
from fmri_llm.data.token_windows import ScanTokens, TokenWindows
from fmri_llm.inference.decoding import Decoding
from fmri_vqtok.digest import digest
from fmri_vqtok.errors import InputError, did_you_mean
from fmri_vqtok.formats.names import SPLITS

if TYPE_CHECKING:
    from fmri_llm.model.fmri_lm import FMRILM

__all__ = ["FoundScan", "GeneratedCaption", "describe_scans", "find_scans"]

HELD_OUT = "test"
"""Split whose scans are described if nobody names scans or a split."""


class FoundScan(NamedTuple):
    """A scan of a tokens folder.

    Attributes
    ----------
    scan_id : str
    split : str
    windows : TokenWindows
        Of the split.
    """

    scan_id: str
    split: str
    windows: TokenWindows

    @property
    def tokens(self) -> ScanTokens:
        """Brain tokens of the scan."""
        return self.windows.scan(self.scan_id)


class GeneratedCaption(NamedTuple):
    """A description of a scan.

    Attributes
    ----------
    scan_id, split : str
    domain : str
        Of `fmri_vqtok.formats.names.DOMAINS`.
    text : str
    """

    scan_id: str
    split: str
    domain: str
    text: str

    @property
    def row(self) -> dict[str, str]:
        """Row of a ``captions.jsonl``."""
        return {**self._asdict(), "source": "generated"}


def find_scans(
    tokens_dir: Path, scan_ids: Sequence[str] = (), split: str | None = None
) -> list[FoundScan]:
    """Find scans of a tokens folder, in the order in which they are named.

    Parameters
    ----------
    tokens_dir : Path
        Folder that `fmri tokenize` wrote.
    scan_ids : sequence of str
        All scans of the split by default.
    split : {"train", "validation", "test"}, optional
        Where to look. By default named scans are looked for in all splits; where none is named,
        those of the test split are taken.

    Raises
    ------
    InputError
        If there is no such scan, or none at all in the split.
    """
    splits = [split] if split else SPLITS if scan_ids else [HELD_OUT]
    tables = {name: TokenWindows.read(tokens_dir, name) for name in splits}
    found = {
        scan_id: FoundScan(scan_id, name, table)
        for name, table in tables.items()
        for scan_id in table.scan_ids
    }
    where = f"{tokens_dir}, split '{split}'" if split else str(tokens_dir)
    for scan_id in scan_ids:
        if scan_id not in found:
            raise InputError(f"{scan_id}: no such scan in {where}; {did_you_mean(scan_id, found)}")
    if not found:
        others = [name for name in SPLITS if len(TokenWindows.read(tokens_dir, name))]
        named = " or ".join(f"'{name}'" for name in others)
        raise InputError(f"{tokens_dir}: no scan in the split '{splits[0]}'; take split {named}")
    return [found[scan_id] for scan_id in dict.fromkeys(scan_ids or found)]


def describe_scans(
    model: FMRILM,
    scans: Sequence[FoundScan],
    domains: Sequence[str],
    decoding: Decoding,
    *,
    seed: int = 0,
    batch_size: int = 8,
) -> Iterator[GeneratedCaption]:
    """Yield what a model writes about scans, scan by scan and domain by domain.

    Parameters
    ----------
    model : FMRILM
    scans : sequence of FoundScan
    domains : sequence of str
        Keys of `fmri_llm.data.captions.DESCRIBE_PROMPTS`.
    decoding : Decoding
    seed : int, default=0
        Of drawn texts; that of one scan and domain does not depend on the others.
    batch_size : int, default=8
        Scans that are read at once.
    """
    for start in range(0, len(scans), batch_size):
        batch = scans[start : start + batch_size]
        prefix = model.prefill(scans_of([scan.tokens for scan in batch]))
        texts = {
            domain: model.generate_text(
                prefix,
                DESCRIBE_PROMPTS[domain],
                **asdict(decoding),
                seed=[_seed(seed, scan.scan_id, domain) for scan in batch],
            )
            for domain in domains
        }
        for place, scan in enumerate(batch):
            for domain in domains:
                text = " ".join(texts[domain][place].split())
                yield GeneratedCaption(scan.scan_id, scan.split, domain, text)


def _seed(seed: int, scan_id: str, domain: str) -> int:
    return int(digest([seed, scan_id, domain])[:15], 16)
