"""A fitted tokenizer as a classifier for the cross-validation of *ml4fmri*.

B scans, V windows, T frames, N regions, F features. `ml4fmri.cvbench` takes a class, so options
are class attributes of a subclass.
"""

from collections.abc import Sequence
from typing import Any, ClassVar, Self, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.utils.data import DataLoader, RandomSampler, TensorDataset

from fmri_vqtok.errors import InputError
from fmri_vqtok.evaluation.embedding import check_choices, pool_scan, pooled_width, window_mean
from fmri_vqtok.processor import TimeSeriesProcessor
from fmri_vqtok.tokenizer import FMRITokenizer


class TokenizerClassifier(nn.Module):
    """A linear layer on the embedding of a scan, alone or with the encoder fine-tuned.

    Parameters
    ----------
    input_size : int
        N; given by ``cvbench``.
    output_size : int
        Number of classes; given by ``cvbench``.

    Attributes
    ----------
    checkpoint : str
        Folder of the tokenizer; set it in a subclass.
    tr : float
        Repetition time of the data in seconds; set it in a subclass.
    columns : sequence of int or None
        ``data[..., columns]`` is in the tokenizer's region order; None if it already is.
    fine_tune : bool
        Whether the encoder is trained too. If not, every scan is embedded once.
    embedding : {"latents", "quantized"}
    pooling : {"statistics", "mean", "regions"}
        See `fmri_vqtok.evaluation.embedding`.
    lr : float
        Learning rate, unless given to ``cvbench``.

    Raises
    ------
    InputError
        If no checkpoint is set, or the data have another number of regions.

    Examples
    --------
    >>> class Ours(TokenizerClassifier):
    ...     checkpoint = "runs/mine/tokenizer"
    ...     tr = 2.0
    >>> # report = ml4fmri.cvbench(data, labels, models=["meanMLP"], custom_models=Ours)
    """

    checkpoint: ClassVar[str | None] = None
    tr: ClassVar[float | None] = None
    columns: ClassVar[Sequence[int] | None] = None
    fine_tune: ClassVar[bool] = False
    embedding: ClassVar[str] = "latents"
    pooling: ClassVar[str] = "statistics"
    lr: float = 1e-3

    center: Tensor
    scale: Tensor

    def __init__(self, input_size: int, output_size: int) -> None:
        super().__init__()
        check_choices(self.embedding, self.pooling)
        if self.fine_tune and self.embedding != "latents":
            raise InputError("embedding: 'quantized' cannot be fine-tuned; give 'latents'")
        self.tokenizer = self._tokenizer()
        if input_size != self.tokenizer.config.n_regions:
            raise InputError(
                f"data: {input_size} regions, but the tokenizer has "
                f"{self.tokenizer.config.n_regions}; give data of its parcellation"
            )
        self.tokenizer.requires_grad_(False)
        self.tokenizer.encoder.requires_grad_(self.fine_tune)
        n_features = pooled_width(self.tokenizer, self.pooling)
        self.register_buffer("center", torch.zeros(n_features))
        self.register_buffer("scale", torch.ones(n_features))
        self.head = nn.Linear(n_features, output_size)

    def train(self, mode: bool = True) -> Self:
        """Set training mode; a frozen tokenizer stays in evaluation mode."""
        super().train(mode)
        self.tokenizer.train(mode and self.fine_tune)
        return self

    def forward(self, *data: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Class scores, (B, n_classes), of features, (B, F), or of windows and their masks."""
        features = self.features(*data) if len(data) == 2 else data[0]
        logits = self.head((features - self.center) / self.scale)
        return logits, {"logits": logits}

    def features(self, windows: Tensor, region_mask: Tensor) -> Tensor:
        """One vector per scan, (B, F), from windows, (B, V, T, N), and masks, (B, N)."""
        window_mask = torch.ones(windows.shape[:2], dtype=torch.bool, device=windows.device)
        grid = window_mean(self.tokenizer, windows, window_mask, region_mask, self.embedding)
        return pool_scan(grid, region_mask, self.pooling)

    @classmethod
    def prepare_dataloader(
        cls,
        data: NDArray[np.floating],
        labels: NDArray[np.integer],
        batch_size: int = 64,
        shuffle: bool = True,
    ) -> DataLoader:
        """Batches of windows, (B, V, T, N), masks, (B, N), and labels, (B,).

        Raises
        ------
        InputError
            If no repetition time is set, or the tokenizer has no processor.
        """
        processor, tr = cls._processor(), cls.tr
        if tr is None:
            raise InputError("tr: none; set the data's repetition time in seconds in the subclass")
        ordered = data if cls.columns is None else data[..., np.asarray(cls.columns)]
        pairs = [processor(scan, tr) for scan in ordered]
        windows, region_mask = (torch.stack(parts) for parts in zip(*pairs, strict=True))
        table = TensorDataset(windows, region_mask, torch.as_tensor(labels, dtype=torch.int64))
        return DataLoader(table, batch_size=batch_size, shuffle=shuffle)

    def train_model(
        self,
        train_loader: DataLoader,
        val_loader: DataLoader,
        test_loader: DataLoader,
        epochs: int = 200,
        lr: float | None = None,
        device: str | None = None,
        patience: int = 30,
    ) -> tuple[Any, Any, Any]:
        """Fit with the suite's own trainer; its three tables of logs and predictions."""
        from ml4fmri.models import BasicTrainer

        self.to(device or "cpu")
        loaders = [self._embedded(each) for each in (train_loader, val_loader, test_loader)]
        self._standardise(_tensors(loaders[0])[0])
        if self.fine_tune:
            loaders = [train_loader, val_loader, test_loader]
        names = ("train_loader", "val_loader", "test_loader")
        trainer = BasicTrainer(
            model=self,
            **dict(zip(names, loaders, strict=True)),
            epochs=epochs,
            lr=lr,
            device=device or "cpu",
            patience=patience,
        )
        return trainer.run()

    def get_optimizer(self, lr: float | None = None) -> torch.optim.Optimizer:
        """Adam over the trainable parameters."""
        trainable = [each for each in self.parameters() if each.requires_grad]
        return torch.optim.Adam(trainable, lr=self.lr if lr is None else lr)

    def compute_loss(
        self, loss_load: dict[str, Tensor], targets: Tensor
    ) -> tuple[Tensor, dict[str, float]]:
        """Cross-entropy and its entry in the suite's log."""
        from ml4fmri.models.helper_functions import basic_ce_loss

        return basic_ce_loss(loss_load["logits"], targets)

    def handle_batch(self, batch: tuple[Tensor, ...]) -> tuple[Tensor, dict[str, Any]]:
        """Loss of a batch, and the outputs that the suite scores."""
        from ml4fmri.models.helper_functions import basic_handle_batch

        return basic_handle_batch(self, batch)

    @torch.no_grad()
    def _embedded(self, loader: DataLoader) -> DataLoader:
        """Loader of the features of the same scans in the same order."""
        self.eval()
        windows, region_mask, labels = _tensors(loader)
        device = self.center.device
        parts = [
            self.features(each.to(device), mask.to(device)).cpu()
            for each, mask in zip(
                windows.split(loader.batch_size), region_mask.split(loader.batch_size), strict=True
            )
        ]
        shuffle = isinstance(loader.sampler, RandomSampler)
        table = TensorDataset(torch.cat(parts), labels)
        return DataLoader(table, batch_size=loader.batch_size, shuffle=shuffle)

    def _standardise(self, features: Tensor) -> None:
        """Learn centre and scale of the features from the training scans."""
        self.center.copy_(features.mean(dim=0))
        scale = features.std(dim=0, correction=0)
        self.scale.copy_(torch.where(scale > 0, scale, 1.0))

    @classmethod
    def _tokenizer(cls) -> FMRITokenizer:
        if cls.checkpoint is None:
            raise InputError("checkpoint: none; set the tokenizer's folder in the subclass")
        return FMRITokenizer.from_pretrained(cls.checkpoint)

    @classmethod
    def _processor(cls) -> TimeSeriesProcessor:
        processor = cls._tokenizer().processor
        if processor is None:
            raise InputError(
                f"{cls.checkpoint}: no processor in it; save the tokenizer with its processor"
            )
        return processor


def _tensors(loader: DataLoader) -> tuple[Tensor, ...]:
    return cast("TensorDataset", loader.dataset).tensors
