"""A fitted tokenizer as a model of the evaluation suite *brainmarks*.

The suite finds this module because ``brainmarks.models`` is a namespace package. It needs the
suite, and no other module imports it.
"""

import os
from typing import Any

import numpy as np
import torch
from brainmarks.models.base import Embeddings
from brainmarks.models.registry import register_model
from numpy.typing import NDArray
from torch import Tensor, nn

from fmri_vqtok import FMRITokenizer, InputError, TimeSeriesProcessor
from fmri_vqtok.evaluation.embedding import check_choices, pool_scan, window_mean
from fmri_vqtok.evaluation.region_order import region_labels, suite_columns, suite_space

CHECKPOINT_VARIABLE = "FMRI_VQTOK_CHECKPOINT"


class TokenizerTransform:
    """Windows, in the tokenizer's region order, of the suite's samples.

    The suite's series are z-scored by region. The processor scales each region by its median and
    IQR, so that restoring mean and standard deviation first would change nothing.

    Parameters
    ----------
    processor : TimeSeriesProcessor
    columns : ndarray of int64, shape (N,)
        Brings the suite's columns into the tokenizer's order.
    max_windows : int
        V; windows after these are left out.
    """

    def __init__(
        self, processor: TimeSeriesProcessor, columns: NDArray[np.int64], max_windows: int
    ) -> None:
        self.processor = processor
        self.columns = columns
        self.max_windows = max_windows

    def __call__(self, sample: dict[str, Any]) -> dict[str, Any]:
        """Windows, (V, T, N), with their mask, (V,), and that of the regions, (N,)."""
        bold = np.asarray(sample["bold"], dtype=np.float64)[:, self.columns]
        windows, region_mask = self.processor(bold, float(sample["tr"]))
        windows = windows[: self.max_windows]
        # Scans of different lengths have to fit into one batch.
        padded = windows.new_zeros((self.max_windows, *windows.shape[1:]))
        padded[: len(windows)] = windows
        window_mask = torch.arange(self.max_windows) < len(windows)
        made = {"windows": padded, "window_mask": window_mask, "region_mask": region_mask}
        return made | {key: sample[key] for key in ("target",) if key in sample}


class TokenizerModel(nn.Module):
    """Embeddings of scans in the three forms that the suite uses.

    Parameters
    ----------
    tokenizer : FMRITokenizer
    space : str
        The suite's data space.
    embedding : {"latents", "quantized"}
    pooling : {"statistics", "mean", "regions"}
        Of the form "cls".
    """

    def __init__(self, tokenizer: FMRITokenizer, space: str, embedding: str, pooling: str) -> None:
        super().__init__()
        self.tokenizer = tokenizer
        self.embedding = embedding
        self.pooling = pooling
        self.__space__ = space

    def forward(self, batch: dict[str, Tensor]) -> Embeddings:
        """Embed a batch of transformed samples.

        Returns
        -------
        Embeddings
            "cls": one vector per scan, (B, 1, ...). "reg": one per region, (B, N, D). "patch":
            one per step and region, time-major, (B, W * N, D). Averaged over windows.
        """
        region_mask = batch["region_mask"]
        grid = window_mean(
            self.tokenizer, batch["windows"], batch["window_mask"], region_mask, self.embedding
        )
        scan = pool_scan(grid, region_mask, self.pooling)
        return Embeddings(scan[:, None], grid.mean(dim=1), grid.flatten(1, 2))


@register_model
def fmri_vqtok(
    checkpoint: str | None = None,
    embedding: str = "latents",
    pooling: str = "statistics",
    max_windows: int = 4,
) -> tuple[TokenizerTransform, TokenizerModel]:
    """Transform and model of a fitted tokenizer.

    Parameters
    ----------
    checkpoint : str, optional
        Folder of the tokenizer; by default the value of the environment variable
        ``FMRI_VQTOK_CHECKPOINT``.
    embedding : {"latents", "quantized"}
        Before quantization, or decoded from the codes.
    pooling : {"statistics", "mean", "regions"}
        How a scan becomes one vector, see `fmri_vqtok.evaluation.embedding`.
    max_windows : int, default=4
        Windows of a scan that are used, from its start.

    Raises
    ------
    InputError
        If there is no checkpoint, or the suite has no data in its regions.
    """
    check_choices(embedding, pooling)
    if max_windows < 1:
        raise InputError(f"max_windows: {max_windows}; give at least 1")
    folder = checkpoint or os.environ.get(CHECKPOINT_VARIABLE)
    if not folder:
        raise InputError(
            "checkpoint: none given; add `--overrides model_kwargs.checkpoint=FOLDER`, or set "
            f"{CHECKPOINT_VARIABLE}"
        )
    tokenizer = FMRITokenizer.from_pretrained(folder)
    space, columns = suite_space(tokenizer), suite_columns(region_labels(tokenizer))
    if tokenizer.processor is None:
        raise InputError(f"{folder}: no processor in it; save the tokenizer with its processor")
    transform = TokenizerTransform(tokenizer.processor, columns, max_windows)
    return transform, TokenizerModel(tokenizer, space, embedding, pooling)
