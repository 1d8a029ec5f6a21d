"""Texts of a corpus, one after the other: files, folders, saved data sets and the hub's."""

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from fmri_vqtok.errors import InputError
from fmri_vqtok.formats.reading import reading

HUB = "hf:"
"""How the name of a data set on the Hugging Face hub begins, in place of a path."""

TEXT_SUFFIXES = (".md", ".rst", ".txt")
TABLE_SUFFIXES = (".jsonl", ".parquet")

_BLOCK = 2**16
"""Most characters of a text that are yielded at a time."""

_PATIENCE = 10  # s, for the revision of a data set of the hub

_ROWS = 256
"""Rows of a table that are read at a time."""

_TABLE_FIX = "name the column with the text in the setting text_column"


def corpus_source(given: str | None) -> Path | str | None:
    """Path of a corpus, or the name of a data set of the hub, as it is given; None for none."""
    return given if given is None or given.startswith(HUB) else Path(given)


def read_corpus(source: Path | str, column: str = "text") -> Iterator[str]:
    """Texts of a corpus in a fixed order, never more than a few in memory.

    Parameters
    ----------
    source : path or str
        A text file, a ``.jsonl`` or ``.parquet`` file, a folder
        with such files in the order of their names, a folder written by ``save_to_disk`` of
        `datasets`, or ``hf:owner/name`` or ``hf:owner/name:configuration``, a data set of the
        Hugging Face hub. Of several splits, "train" or else the first is read.
    column : str, default="text"
        Column of a table that holds the text.

    Yields
    ------
    str
        At most 65,536 characters. A longer text comes in several parts, cut after a line if there
        is one, else before a space.

    Raises
    ------
    InputError
        If there is no such corpus, it is broken, or a table has no such column.
    """
    for text in _whole_texts(source, column):
        yield from _parts(text)


def corpus_state(source: Path | str) -> Any:
    """Tell what state a corpus is in, without reading it; None where that cannot be told.

    Parameters
    ----------
    source : path or str
        As for `read_corpus`.

    Returns
    -------
    JSON value or None
        Name, size and time of change of each file, or the revision of a data set of the hub.
    """
    name = str(source).removeprefix(HUB)
    path = Path(name)
    if name != str(source) and not path.is_dir():
        return _hub_revision(name)
    files = [path] if path.is_file() else sorted(f for f in path.rglob("*") if f.is_file())
    stats = [(file, file.stat()) for file in files]
    return [[str(file.absolute()), stat.st_size, stat.st_mtime_ns] for file, stat in stats]


def _hub_revision(name: str) -> list[str] | None:
    from huggingface_hub import HfApi

    try:
        revision = HfApi().dataset_info(name.partition(":")[0], timeout=_PATIENCE).sha
    except Exception:  # noqa: BLE001 - no network, no such data set: reading it will say so
        return None
    return None if revision is None else [name, revision]


def _whole_texts(source: Path | str, column: str) -> Iterator[str]:
    if str(source).startswith(HUB):
        yield from _hub_texts(str(source).removeprefix(HUB), column)
    elif any(Path(source, name).is_file() for name in ("dataset_dict.json", "state.json")):
        yield from _saved_texts(Path(source), column)
    else:
        for file in [Path(source)] if Path(source).is_file() else _files_below(Path(source)):
            yield from _file_texts(file, column)


def _files_below(folder: Path) -> list[Path]:
    suffixes = (*TEXT_SUFFIXES, *TABLE_SUFFIXES)
    found = (file for file in folder.rglob("*") if file.suffix in suffixes)
    return sorted(file for file in found if file.is_file())


def _file_texts(file: Path, column: str) -> Iterator[str]:
    if file.suffix == ".jsonl":
        return _json_texts(file, column)
    if file.suffix == ".parquet":
        return _parquet_texts(file, column)
    return _blocks(file)


def _blocks(file: Path) -> Iterator[str]:
    """Parts of a text file, by characters and not by lines: a line may be as long as the file."""
    rest = ""
    with reading(file, "give plain text in UTF-8"), file.open(encoding="utf-8") as text:
        while block := text.read(_BLOCK):
            *whole, rest = _parts(rest + block)
            yield from whole
    if rest:
        yield rest


def _parts(text: str) -> Iterator[str]:
    """Parts of at most ``_BLOCK`` characters that give the text when they are joined."""
    start = 0
    while len(text) - start > _BLOCK:
        most = start + _BLOCK
        after_line, before_space = text.rfind("\n", start, most) + 1, text.rfind(" ", start, most)
        end = next((cut for cut in (after_line, before_space) if cut > start), most)
        yield text[start:end]
        start = end
    yield text[start:]


def _json_texts(file: Path, column: str) -> Iterator[str]:
    with reading(file, "give one JSON mapping a line"), file.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, start=1):
            if line.strip():
                yield from _texts([json.loads(line)], column, f"{file}, line {number}")


def _parquet_texts(file: Path, column: str) -> Iterator[str]:
    from pyarrow.parquet import ParquetFile

    with reading(file, "give a whole Parquet file"), ParquetFile(file) as table:
        _check_column(column, table.schema_arrow.names, file)
        for batch in table.iter_batches(_ROWS, columns=[column]):
            yield from _texts(batch.to_pylist(), column, file)


def _saved_texts(folder: Path, column: str) -> Iterator[str]:
    from datasets import load_from_disk

    with reading(folder, "give a folder that save_to_disk of datasets wrote"):
        rows = _one_split(load_from_disk(str(folder)))
        _check_column(column, rows.column_names, folder)
        for batch in rows.select_columns([column]).iter(_ROWS):
            yield from _texts([{column: value} for value in batch[column]], column, folder)


def _hub_texts(name: str, column: str) -> Iterator[str]:
    from datasets import load_dataset

    from fmri_vqtok.library_logging import quiet_datasets

    repository, _, configuration = name.partition(":")
    thing = f"data set {repository} of the Hugging Face hub"
    fix = "check name and network, or save it with save_to_disk where there is one, and give that"
    with reading(thing, fix), quiet_datasets():
        rows = _one_split(load_dataset(repository, configuration or None, streaming=True))
        for row in rows:
            yield from _texts([row], column, thing)


def _one_split(tables: Any) -> Any:
    if isinstance(tables, Mapping):
        return tables["train"] if "train" in tables else next(iter(tables.values()))
    return tables


def _check_column(column: str, columns: Iterable[str], thing: object) -> None:
    if column not in columns:
        raise InputError(f"{thing}: no column '{column}' among {', '.join(columns)}; {_TABLE_FIX}")


def _texts(rows: Iterable[Mapping[str, Any]], column: str, thing: object) -> Iterator[str]:
    """Text of each row; a row whose text is null has none."""
    for row in rows:
        if not isinstance(row, Mapping):
            raise InputError(f"{thing}: a {type(row).__name__} instead of a mapping; {_TABLE_FIX}")
        _check_column(column, row, thing)
        value = row[column]
        if isinstance(value, str):
            yield value
        elif value is not None:
            raise InputError(
                f"{thing}: column '{column}' holds a {type(value).__name__}; {_TABLE_FIX}"
            )
