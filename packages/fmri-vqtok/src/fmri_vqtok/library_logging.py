"""Keep progress bars and notes of other libraries off the terminal while ours is running."""

import contextlib
from collections.abc import Iterator

import datasets
from transformers.utils import logging as transformers_logging


@contextlib.contextmanager
def quiet_datasets() -> Iterator[None]:
    """No progress bars of `datasets` inside this context."""
    before = datasets.are_progress_bars_disabled()
    datasets.disable_progress_bars()
    try:
        yield
    finally:
        if not before:
            datasets.enable_progress_bars()


@contextlib.contextmanager
def quiet_transformers() -> Iterator[None]:
    """No progress bars, and no notes below errors, of `transformers` inside this context."""
    verbosity = transformers_logging.get_verbosity()
    bars = transformers_logging.is_progress_bar_enabled()
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    try:
        yield
    finally:
        transformers_logging.set_verbosity(verbosity)
        if bars:
            transformers_logging.enable_progress_bar()
