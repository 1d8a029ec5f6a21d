"""Content of a tokenizer's folder, and reading it from disk or the Hugging Face Hub."""

import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from safetensors.torch import save as to_safetensors
from torch import Tensor, nn

from fmri_vqtok.config.model import FMRITokenizerConfig
from fmri_vqtok.errors import InputError
from fmri_vqtok.formats.json_files import read_description
from fmri_vqtok.formats.reading import read_weights, reading
from fmri_vqtok.pretrained import hub
from fmri_vqtok.pretrained.region_order import how_to_reorder
from fmri_vqtok.processor import TimeSeriesProcessor

SCHEMA = 1
"""Newest layout of ``config.json`` that this version reads, and the one it writes."""

CONFIG, WEIGHTS, CARD = "config.json", "model.safetensors", "README.md"
FIX = "give the folder of a fitted tokenizer"

_REPO_ID = re.compile(r"[\w.-]+/[\w.-]+")


class SavableTokenizer(Protocol):
    """What of a tokenizer is written."""

    config: FMRITokenizerConfig
    processor: TimeSeriesProcessor | None
    parcellation: str | None
    order_hash: str | None
    labels: tuple[str, ...] | None
    networks: tuple[str, ...] | None
    card: str | None

    def state_dict(self) -> dict[str, Any]:
        """Weights by name."""

    def parameters(self) -> Iterator[nn.Parameter]:
        """Trainable weights."""


class SavedTokenizer(NamedTuple):
    """What a folder holds of a tokenizer; the fields are those of `SavableTokenizer`."""

    folder: Path
    config: FMRITokenizerConfig
    processor: TimeSeriesProcessor | None
    parcellation: str
    order_hash: str
    labels: Sequence[str] | None
    networks: Sequence[str] | None
    weights: dict[str, Tensor]
    card: str | None

    def reading_weights(self) -> AbstractContextManager[None]:
        """Context that reports errors as those of the weights' file."""
        return reading(self.folder / WEIGHTS, FIX)


def weights_and_config(tokenizer: SavableTokenizer) -> dict[str, bytes]:
    """Content of the two files that define a tokenizer, by name."""
    config = tokenizer.config
    description = {
        "schema": SCHEMA,
        "model": config.to_dict(),
        "processor": tokenizer.processor.to_dict() if tokenizer.processor else None,
        "parcellation": tokenizer.parcellation,
        "order_hash": tokenizer.order_hash,
        "text_space": (
            {"name": config.text_space, "width": config.text_width}
            if config.text_width is not None
            else None
        ),
    }
    for name in ("labels", "networks"):
        if getattr(tokenizer, name) is not None:
            description[name] = list(getattr(tokenizer, name))
    text = json.dumps(description, indent=2, sort_keys=True, ensure_ascii=False)
    weights = {name: value.contiguous() for name, value in tokenizer.state_dict().items()}
    return {CONFIG: f"{text}\n".encode(), WEIGHTS: to_safetensors(weights)}


def files(tokenizer: SavableTokenizer) -> dict[str, bytes]:
    """Content of all files of a tokenizer's folder: its card too, if it has one."""
    made = weights_and_config(tokenizer)
    return made if tokenizer.card is None else {**made, CARD: tokenizer.card.encode()}


def fingerprint(tokenizer: SavableTokenizer) -> str:
    """Start of the SHA-256 of the two files, 16 hex digits; without the card."""
    return hashlib.sha256(b"".join(weights_and_config(tokenizer).values())).hexdigest()[:16]


def read_tokenizer(
    directory: Path | str,
    *,
    order_hash: str | None = None,
    labels: Sequence[str] | None = None,
    revision: str | None = None,
) -> SavedTokenizer:
    """Read a tokenizer from a folder or the Hub, as `from_pretrained` does."""
    folder = local_folder(directory, revision)
    description = read_config(folder)
    check_order(description, directory, order_hash, labels)
    processor = description["processor"]
    with reading(folder / CONFIG, FIX):
        config = FMRITokenizerConfig.from_dict(description["model"], f"{folder / CONFIG}: model.")
        fitted = TimeSeriesProcessor.from_dict(processor) if processor else None
    return SavedTokenizer(
        folder,
        config,
        fitted,
        description["parcellation"],
        description["order_hash"],
        description.get("labels"),
        description.get("networks"),
        read_weights(folder / WEIGHTS, FIX),
        read_card(folder),
    )


def read_config(directory: Path) -> dict[str, Any]:
    """Read the description of the tokenizer in a folder.

    Raises
    ------
    InputError
        If there is none, a broken one, or one of a newer schema.
    """
    keys = ("model", "processor", "parcellation", "order_hash")
    return read_description(directory / CONFIG, SCHEMA, FIX, keys=keys)


def read_card(directory: Path) -> str | None:
    """Read the model card of a folder; None without one."""
    path = directory / CARD
    return path.read_text(encoding="utf-8") if path.is_file() else None


def check_order(
    description: dict[str, Any],
    thing: object,
    order_hash: str | None,
    labels: Sequence[str] | None,
) -> None:
    """Refuse signals of another region order, with the permutation that fixes it.

    Parameters
    ----------
    description : dict
        As `read_config` gives it.
    thing : object
        Where it was read from, for the message.
    order_hash : str or None
        Hash of the region order of the signals to encode.
    labels : sequence of str or None
        Their region labels in order.

    Raises
    ------
    InputError
    """
    own = description.get("labels")
    same_hash = order_hash is None or order_hash == description["order_hash"]
    same_labels = own is None or labels is None or list(own) == list(labels)
    if same_hash and same_labels:
        return
    found = "other region labels" if order_hash is None else f"order {order_hash}"
    fix = "put the regions into the tokenizer's order, or fit a tokenizer for this one"
    if own is not None and labels is not None and not same_labels:
        reorder = how_to_reorder(own, labels)
        if reorder is not None:
            found += ", the same regions in another order"
            fix = f"take {reorder}, which `permutation_from(labels)` of the tokenizer returns"
    raise InputError(
        f"{thing}: trained on region order {description['order_hash']} of parcellation "
        f"'{description['parcellation']}', but the signals have {found}; {fix}"
    )


def local_folder(directory: Path | str, revision: str | None) -> Path:
    """Folder of a tokenizer; a name such as "owner/name" that is none is fetched from the Hub.

    Raises
    ------
    InputError
        If it can be neither found nor fetched.
    """
    is_name = isinstance(directory, str) and _REPO_ID.fullmatch(directory)
    if is_name and not Path(directory).exists():
        return hub.fetch(str(directory), [CONFIG, WEIGHTS, CARD], revision)
    return Path(directory)
