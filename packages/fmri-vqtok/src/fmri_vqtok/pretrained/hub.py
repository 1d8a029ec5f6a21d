"""The Hugging Face Hub: fetching and uploading the files of a folder.

The package huggingface_hub is imported when it is needed.
"""

import importlib.util
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import cast

from fmri_vqtok.errors import InputError


def fetch(
    repo_id: str, names: Sequence[str], revision: str | None, *, kind: str = "tokenizer"
) -> Path:
    """Folder with these files of a repository, fetched if they are not here already.

    Parameters
    ----------
    repo_id : str
        "owner/name".
    names : sequence of str
        Patterns such as ``adapter/*`` too.
    revision : str or None
        Branch, tag or commit.
    kind : str, default="tokenizer"
        What is fetched, for the message.

    Raises
    ------
    InputError
        If huggingface_hub is not installed, there is no such repository, or it cannot be reached.
    """
    fix = f"give the folder of a fitted {kind}, or owner/name of one that the Hub has"
    with _hub(f"{repo_id}: no such folder, and fetching it from the Hugging Face Hub", fix):
        from huggingface_hub import snapshot_download

        return Path(snapshot_download(repo_id, revision=revision, allow_patterns=list(names)))


def upload(
    repo_id: str,
    files: Mapping[str, bytes],
    *,
    private: bool | None,
    token: str | None,
    endpoint: str | None,
    kind: str = "tokenizer",
) -> str:
    """Upload files in one commit, so that no partial upload is visible; return its address.

    Parameters
    ----------
    repo_id : str
        "owner/name"; made if it does not exist.
    files : mapping of str to bytes
    private : bool or None
    token : str or None
    endpoint : str or None
        Address of another Hub.
    kind : str, default="tokenizer"
        What is uploaded, for the message of the commit.

    Raises
    ------
    InputError
        If huggingface_hub is not installed, or the Hub refuses or cannot be reached.
    """
    fix = "log in with `hf auth login` or give `token`, and check the name and the network"
    with _hub(f"{repo_id}: uploading it to the Hugging Face Hub", fix):
        from huggingface_hub import CommitOperationAdd, HfApi

        api = HfApi(endpoint=endpoint, token=token)
        api.create_repo(repo_id, private=private, exist_ok=True)
        operations = [CommitOperationAdd(name, content) for name, content in files.items()]
        commit = api.create_commit(repo_id, operations, commit_message=f"Upload {kind}")
    return commit.commit_url


@contextmanager
def _hub(doing: str, fix: str) -> Iterator[None]:
    """Turn errors of the Hub or the network into one line; show no progress bars."""
    if importlib.util.find_spec("huggingface_hub") is None:
        raise InputError(
            f'{doing} needs the package huggingface_hub; pip install "fmri-vqtok[hub]", or {fix}'
        )
    from huggingface_hub import errors, utils

    # What the HTTP library below raises; which library that is differs between versions.
    no_answer = cast("type[Exception]", errors.HfHubHTTPError.__bases__[0])
    shown = not utils.are_progress_bars_disabled()
    utils.disable_progress_bars()
    try:
        yield
    except (OSError, ValueError, no_answer) as error:
        why = " ".join(str(error).split())[:160]
        raise InputError(f"{doing} failed ({type(error).__name__}: {why}); {fix}") from error
    finally:
        if shown:
            utils.enable_progress_bars()
