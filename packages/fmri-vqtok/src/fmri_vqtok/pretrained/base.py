"""Saving, loading and sharing of a tokenizer."""

from collections.abc import Sequence
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from fmri_vqtok.config.model import FMRITokenizerConfig
from fmri_vqtok.errors import InputError
from fmri_vqtok.pretrained import hub
from fmri_vqtok.pretrained.directory import files, fingerprint, read_tokenizer
from fmri_vqtok.pretrained.model_card import model_card
from fmri_vqtok.pretrained.region_order import permutation
from fmri_vqtok.processor import TimeSeriesProcessor


class PretrainedTokenizer(nn.Module):
    """What a tokenizer's folder holds, and its way to disk and to the Hugging Face Hub and back.

    The parameters are those of `fmri_vqtok.FMRITokenizer`, whose layers are not made here.
    """

    def __init__(
        self,
        config: FMRITokenizerConfig,
        processor: TimeSeriesProcessor | None = None,
        parcellation: str | None = None,
        order_hash: str | None = None,
        labels: Sequence[str] | None = None,
        region_features: Tensor | None = None,  # noqa: ARG002 - of the subclass
    ) -> None:
        super().__init__()
        if labels is not None and len(labels) != config.n_regions:
            raise InputError(
                f"labels: {len(labels)}; give one for each of {config.n_regions} regions"
            )
        self.config = config
        self.processor = processor
        self.parcellation = parcellation
        self.order_hash = order_hash
        self.labels = None if labels is None else tuple(labels)
        self.networks: tuple[str, ...] | None = None
        self.card: str | None = None

    def permutation_from(self, labels: Sequence[str]) -> NDArray[np.int64]:
        """Index that brings regions with these labels into the tokenizer's order.

        Parameters
        ----------
        labels : sequence of str
            Labels of the columns of a signal.

        Returns
        -------
        ndarray of int64, shape (N,)
            ``signal[..., index]`` can be encoded.

        Raises
        ------
        InputError
            If the tokenizer has no labels, or these are others.
        """
        if self.labels is None:
            raise InputError(
                "tokenizer: it was saved without region labels, so its order is unknown; "
                f"compare with order {self.order_hash} of parcellation '{self.parcellation}'"
            )
        return permutation(self.labels, labels)

    def save_pretrained(self, directory: Path | str) -> None:
        """Write ``config.json`` and ``model.safetensors`` into a directory, made if there is none.

        The model card in ``card``, if any, is written too, as ``README.md``.
        """
        Path(directory).mkdir(parents=True, exist_ok=True)
        for name, content in files(self).items():
            Path(directory, name).write_bytes(content)

    def push_to_hub(
        self,
        repo_id: str,
        *,
        private: bool | None = None,
        token: str | None = None,
        endpoint: str | None = None,
    ) -> str:
        """Upload the tokenizer with its model card to the Hugging Face Hub.

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
            If huggingface_hub is not installed, or the Hub refuses or cannot be reached.
        """
        if self.card is None:
            self.card = model_card(self)
        return hub.upload(repo_id, files(self), private=private, token=token, endpoint=endpoint)

    @property
    def fingerprint(self) -> str:
        """Start of the SHA-256 of ``config.json`` and ``model.safetensors``: 16 hex digits."""
        return fingerprint(self)

    @classmethod
    def from_pretrained(
        cls,
        directory: Path | str,
        *,
        order_hash: str | None = None,
        labels: Sequence[str] | None = None,
        revision: str | None = None,
    ) -> Self:
        """Tokenizer that `save_pretrained` wrote, in evaluation mode.

        Parameters
        ----------
        directory : path or str
            A folder, or "owner/name" on the Hugging Face Hub.
        order_hash : str, optional
            Hash of the region order of the signals to encode.
        labels : sequence of str, optional
            Region labels of the signals to encode, in order.
        revision : str, optional
            Branch, tag or commit on the Hub.

        Raises
        ------
        InputError
            If the folder holds no tokenizer or a broken one, is of a newer schema, or has another
            region order; if labels allow it, with the permutation that fixes it.
        """
        saved = read_tokenizer(directory, order_hash=order_hash, labels=labels, revision=revision)
        with saved.reading_weights():
            tokenizer = cls(
                saved.config,
                saved.processor,
                saved.parcellation,
                saved.order_hash,
                saved.labels,
                saved.weights.get("encoder.positions.features"),
            )
            tokenizer.load_state_dict(saved.weights)
        tokenizer.networks = None if saved.networks is None else tuple(saved.networks)
        tokenizer.card = saved.card
        return tokenizer.eval()
