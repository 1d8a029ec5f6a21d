"""A text encoder with a linear head, fine-tuned to classify texts (the paper's BERT check)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, RandomSampler
from transformers import AutoModel, get_linear_schedule_with_warmup

from fmri_llm.base_model.locate import resolve
from fmri_vqtok.config.stages import LoopSettings
from fmri_vqtok.errors import InputError
from fmri_vqtok.formats.reading import reading
from fmri_vqtok.library_logging import quiet_transformers
from fmri_vqtok.text.models import FIX, load_text_tokenizer, most_positions, read_config
from fmri_vqtok.training.optimizer import make_optimizer

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

__all__ = ["TextEncoderClassifier"]

_WARMUP = 0.1  # share of the steps, as is usual for fine-tuning encoders
_WEIGHT_DECAY = 0.01


class TextEncoderClassifier:
    """Classifier of texts in the manner of scikit-learn: an encoder, mean pooling, a linear head.

    Parameters
    ----------
    model : str
        Folder or Hugging Face hub id of any encoder that `transformers.AutoModel` loads.
    epochs : int, default=4
        Passes over the training texts.
    batch_size : int, default=16
        Texts per step.
    learning_rate : float, default=5e-5
        Peak learning rate of AdamW; it falls linearly.
    max_tokens : int, default=512
        Longer texts are truncated to this many tokens, or to the encoder's own limit.
    seed : int, default=0
        Seed of the head, the order of the texts and dropout.
    device : str, default="cpu"
        "cpu" or "cuda".

    Attributes
    ----------
    classes_ : (K,) ndarray
        Classes seen in training, sorted.
    """

    def __init__(
        self,
        model: str,
        *,
        epochs: int = 4,
        batch_size: int = 16,
        learning_rate: float = 5e-5,
        max_tokens: int = 512,
        seed: int = 0,
        device: str = "cpu",
    ) -> None:
        self.model = model
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.max_tokens = max_tokens
        self.seed = seed
        self.device = device

    def fit(self, texts: Iterable[str], y: ArrayLike) -> TextEncoderClassifier:
        """Fine-tune a fresh copy of the encoder.

        Parameters
        ----------
        texts : iterable of str
            The n training texts.
        y : (n,) array-like
            Their classes.

        Raises
        ------
        InputError
            If the model cannot be had, or there are not as many classes as texts.
        """
        examples, targets = list(texts), np.asarray(y)
        if len(examples) != len(targets) or not examples:
            raise InputError(
                f"text encoder: {len(examples)} texts and {len(targets)} classes; give one class "
                "a text, and at least one text"
            )
        self.classes_, labels = np.unique(targets, return_inverse=True)
        with torch.random.fork_rng():
            torch.manual_seed(self.seed)
            self._load(len(self.classes_))
            self._train(_Texts(examples, labels.tolist()))
        return self

    @torch.no_grad()
    def predict_proba(self, texts: Iterable[str]) -> NDArray[np.float64]:
        """Probability of each of `classes_`, (n, K), float64.

        Parameters
        ----------
        texts : iterable of str
            Texts to classify.
        """
        examples = list(texts)
        found = [
            self._network(**self._encode(examples[i : i + self.batch_size]).to(self.device))
            for i in range(0, len(examples), self.batch_size)
        ]
        logits = torch.cat([batch["logits"] for batch in found]).double()
        return logits.softmax(dim=1).cpu().numpy()

    def predict(self, texts: Iterable[str]) -> NDArray[Any]:
        """Return the most probable class of each text, (n,)."""
        return self.classes_[self.predict_proba(texts).argmax(axis=1)]

    def _load(self, n_classes: int) -> None:
        folder = resolve(self.model)
        read_config(folder)
        self._tokenizer = _right_padding(load_text_tokenizer(folder))
        with quiet_transformers(), reading(f"text encoder {folder}", FIX):
            encoder = AutoModel.from_pretrained(
                folder, dtype=torch.float32, trust_remote_code=False, use_safetensors=True
            )
        self._length = int(
            min(
                self.max_tokens,
                self._tokenizer.model_max_length,
                most_positions(encoder) or self.max_tokens,
            )
        )
        self._network = _Network(encoder, n_classes).to(self.device)

    def _encode(self, texts: Sequence[str]) -> Any:
        return self._tokenizer(
            list(texts),
            padding=True,
            truncation=True,
            max_length=self._length,
            return_tensors="pt",
        )

    def _collate(self, examples: Sequence[tuple[str, int]]) -> dict[str, Tensor]:
        texts, labels = zip(*examples, strict=True)
        return {**self._encode(texts), "labels": torch.tensor(labels)}

    def _train(self, examples: _Texts) -> None:
        n_steps = self.epochs * -(-len(examples) // self.batch_size)
        rates = LoopSettings(learning_rate=self.learning_rate, weight_decay=_WEIGHT_DECAY)
        optimizer = make_optimizer(self._network, (), rates)
        schedule = get_linear_schedule_with_warmup(optimizer, round(_WARMUP * n_steps), n_steps)
        torch.manual_seed(self.seed)
        self._network.train()
        for epoch in range(self.epochs):
            order = RandomSampler(
                examples, generator=torch.Generator().manual_seed(self.seed + epoch)
            )
            for batch in DataLoader(
                examples, self.batch_size, sampler=order, collate_fn=self._collate
            ):
                on_device = {name: values.to(self.device) for name, values in batch.items()}
                self._network(**on_device)["loss"].backward()
                nn.utils.clip_grad_norm_(self._network.parameters(), rates.max_grad_norm)
                optimizer.step()
                schedule.step()
                optimizer.zero_grad()
        self._network.eval()


def _right_padding(tokenizer: PreTrainedTokenizerBase) -> PreTrainedTokenizerBase:
    """Tokenizer that pads and truncates on the right, whatever its own settings.

    Padding on the left would shift the positions of a text by how long the others are. Any token
    pads, since the attention mask hides it.
    """
    tokenizer.padding_side = tokenizer.truncation_side = "right"
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token or tokenizer.convert_ids_to_tokens(0)
    return tokenizer


class _Texts(Dataset[tuple[str, int]]):
    def __init__(self, texts: list[str], labels: list[int]) -> None:
        self.texts = texts
        self.labels = labels

    def __len__(self) -> int:
        return len(self.texts)

    def __getitem__(self, index: int) -> tuple[str, int]:
        return self.texts[index], self.labels[index]


class _Network(nn.Module):
    """Mean of the encoder's last hidden states over a text's tokens, then a linear head."""

    def __init__(self, encoder: PreTrainedModel, n_classes: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.head = nn.Linear(encoder.config.hidden_size, n_classes)

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor,
        labels: Tensor | None = None,
        **_: Tensor,
    ) -> dict[str, Tensor]:
        hidden = self.encoder(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        present = attention_mask.unsqueeze(-1).to(hidden.dtype)
        logits = self.head((hidden * present).sum(dim=1) / present.sum(dim=1))
        outputs = {"logits": logits}
        if labels is not None:
            outputs["loss"] = nn.functional.cross_entropy(logits, labels)
        return outputs
