"""Saving, exporting and sharing of a model."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from fmri_llm import merged, pretrained
from fmri_llm.model.brain_text_model import BrainTextModel
from fmri_vqtok.pretrained import hub

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

__all__ = ["SharedModel"]


class SharedModel(BrainTextModel):
    """How `fmri_llm.FMRILM` is written to folders and to the Hugging Face Hub."""

    text_tokenizer: PreTrainedTokenizerBase
    base_name: str
    base_digest: str | None
    base_training: str
    quantise: str
    attention: str
    measures: tuple[str, ...]
    scan_dependence: dict[str, Any] | None

    def train(self, mode: bool = True) -> Self:
        """Set training mode, except for the frozen brain tokenizer.

        What was measured of the weights before, `scan_dependence`, is then dropped.
        """
        super().train(mode)
        self.brain_tokenizer.eval()
        if mode:
            self.scan_dependence = None
        return self

    def save_pretrained(self, directory: str | Path) -> None:
        """Write what was trained, the brain tokenizer and a model card; an untrained base by name.

        The same weights give the same bytes.
        """
        pretrained.save(self, Path(directory))

    def export_merged(self, directory: str | Path) -> None:
        """Write the base with the adapters merged into it, which plain transformers can load.

        The brain weights and the brain tokenizer are beside it, in ``brain/``:
        ``AutoModelForCausalLM.from_pretrained(directory)`` reads and writes text as the adapted
        model does, and ``FMRILM.from_pretrained(directory)`` reads scans too. The model itself
        stays as it is.

        Parameters
        ----------
        directory : str or Path
            Made if there is none.

        Raises
        ------
        InputError
            If a model that is not merged is in the directory.
        """
        merged.export(self, Path(directory))

    def push_to_hub(
        self,
        repo_id: str,
        *,
        private: bool | None = None,
        token: str | None = None,
        endpoint: str | None = None,
    ) -> str:
        """Upload what `save_pretrained` writes to the Hugging Face Hub, in one commit.

        Parameters
        ----------
        repo_id : str
            "owner/name"; made if it does not exist.
        private : bool, optional
            Whether a repository that is made is private; by default as the owner has it.
        token : str, optional
            By default the one that ``hf auth login`` stored.
        endpoint : str, optional
            Address of another Hub.

        Returns
        -------
        str
            Address of the commit.

        Raises
        ------
        InputError
            If the Hub refuses or cannot be reached.
        """
        with tempfile.TemporaryDirectory() as folder:
            self.save_pretrained(folder)
            files = {
                path.relative_to(folder).as_posix(): path.read_bytes()
                for path in sorted(Path(folder).rglob("*"))
                if path.is_file()
            }
        return hub.upload(
            repo_id, files, private=private, token=token, endpoint=endpoint, kind="language model"
        )
