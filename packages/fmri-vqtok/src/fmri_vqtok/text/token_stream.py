"""Plain text of any size as tokens of a language model: made once, then mapped into memory."""

import hashlib
import json
import logging
import tempfile
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from filelock import FileLock
from torch import Tensor

from fmri_vqtok.errors import InputError
from fmri_vqtok.formats.atomic import whole_file
from fmri_vqtok.text.cache import entry_name, model_fingerprint
from fmri_vqtok.text.cache_folder import cache_folder
from fmri_vqtok.text.corpus import corpus_state, read_corpus

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_TEXTS = 16
"""Texts of a corpus that are tokenized at a time."""

_log = logging.getLogger(__name__)


class TokenStream(NamedTuple):
    """Tokens of a corpus, one text after the other.

    Attributes
    ----------
    tokens : Tensor of int32, shape (n,)
        Mapped from a file: memory does not grow with the corpus.
    highest : int
        Highest token id.
    digest : str
        SHA-256 of the tokens.
    """

    tokens: Tensor
    highest: int
    digest: str


def token_stream(
    model_dir: Path,
    source: Path | str,
    *,
    column: str = "text",
    limit: int | None = None,
    cache_dir: Path | None = None,
) -> TokenStream:
    """Tokens of a text corpus by the language model's own tokenizer.

    They are written once to the cache, 4 bytes each, and mapped from there. A corpus of files is
    known by their names, sizes and times of change, a data set of the hub by its revision; one
    whose revision cannot be asked for is read anew each time, into an unnamed temporary file.

    Parameters
    ----------
    model_dir : Path
    source, column
        Corpus, as for `fmri_vqtok.text.corpus.read_corpus`.
    limit : int, optional
        Reading stops after so many tokens; by default it does not.
    cache_dir : Path, optional
        In place of the user's cache; see `fmri_vqtok.text.cache`. One that cannot be written to is
        a warning in the log.

    Raises
    ------
    InputError
        If the corpus cannot be read or has no text, or there is no space for its tokens.
    """
    state = corpus_state(source)
    if state is None:
        return _temporary(model_dir, source, column, limit)
    about = {
        "kind": "tokens",
        "model": model_fingerprint(model_dir),
        "corpus": state,
        "column": column,
        "limit": limit,
    }
    path = (cache_dir or cache_folder() / "text") / f"{entry_name(about)}.int32"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(path.with_suffix(".lock")):
            found = _read(path)
            return _write(path, model_dir, source, column, limit) if found is None else found
    except OSError as error:
        _log.warning("%s: cannot be written (%s); tokens are made anew each time", path, error)
        return _temporary(model_dir, source, column, limit)


def _read(path: Path) -> TokenStream | None:
    """Read tokens from the cache; None if they are not there as they were written."""
    try:
        facts = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
        with path.open("rb") as file:
            is_intact = hashlib.file_digest(file, "sha256").hexdigest() == facts["digest"]
    except FileNotFoundError:
        return None
    except ValueError:
        is_intact = False
    if not is_intact:
        _log.warning("%s: another digest than was written; made anew", path)
        return None
    return TokenStream(_mapped(path), facts["highest"], facts["digest"])


def _write(
    path: Path, model_dir: Path, source: Path | str, column: str, limit: int | None
) -> TokenStream:
    with whole_file(path) as file:
        facts = _append_all(file, model_dir, source, column, limit)
    with whole_file(path.with_suffix(".json")) as file:
        file.write(json.dumps(facts).encode())
    return TokenStream(_mapped(path), **facts)


def _temporary(model_dir: Path, source: Path | str, column: str, limit: int | None) -> TokenStream:
    with tempfile.TemporaryFile() as file:
        try:
            facts = _append_all(file, model_dir, source, column, limit)
            file.flush()
        except OSError as error:
            raise InputError(
                f"{tempfile.gettempdir()}: no space for the tokens of the corpus ({error}); give a "
                "smaller corpus_limit, or set TMPDIR to a folder with more space"
            ) from error
        return TokenStream(_mapped(file), **facts)


def _mapped(file: Path | IO[bytes]) -> Tensor:
    # Copy-on-write, as torch has no read-only tensors; the mapping outlives an unnamed file.
    return torch.from_numpy(np.memmap(file, np.int32, mode="c"))


def _append_all(
    file: IO[bytes], model_dir: Path, source: Path | str, column: str, limit: int | None
) -> dict[str, Any]:
    """Write the tokens of a corpus to a file; the highest of them and their digest."""
    from fmri_vqtok.text.models import load_text_tokenizer

    tokenizer = load_text_tokenizer(model_dir)
    n_tokens, highest, digest = 0, 0, hashlib.sha256()
    for texts in _in_groups(read_corpus(source, column), _TEXTS):
        tokens = _tokens(tokenizer, texts)[: None if limit is None else limit - n_tokens]
        file.write(tokens.tobytes())
        digest.update(tokens.tobytes())
        n_tokens += len(tokens)
        highest = max(highest, int(tokens.max(initial=0)))
        if n_tokens == limit:
            break
    if not n_tokens:
        raise InputError(
            f"{source}: no text; give a text file, a folder of .txt, .md, .rst, .jsonl or "
            ".parquet files, or a saved data set"
        )
    return {"highest": highest, "digest": digest.hexdigest()}


def _tokens(tokenizer: "PreTrainedTokenizerBase", texts: list[str]) -> np.ndarray:
    # The stream is cut into sequences later, so it may be longer than the model's limit.
    rows = tokenizer(texts, add_special_tokens=False, verbose=False)["input_ids"]
    return np.concatenate([np.asarray(row, dtype=np.int32) for row in rows])


def _in_groups(texts: Iterable[str], size: int) -> Iterator[list[str]]:
    iterator = iter(texts)
    while group := list(islice(iterator, size)):
        yield group
