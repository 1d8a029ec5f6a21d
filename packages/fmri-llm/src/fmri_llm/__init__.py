"""One language model over brain tokens and text."""

from typing import TYPE_CHECKING

import lazy_loader

if TYPE_CHECKING:
    from fmri_llm.data.examples import PretrainingDataset
    from fmri_llm.data.token_windows import TokenWindows
    from fmri_llm.model.fmri_lm import FMRILM
    from fmri_llm.settings import BrainInputSettings, FitLLMSettings, LoraSettings, LossWeights
    from fmri_llm.training.fit import fine_tune, fit_llm

__getattr__, __dir__, _ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "data.examples": ["PretrainingDataset"],
        "data.token_windows": ["TokenWindows"],
        "model.fmri_lm": ["FMRILM"],
        "settings": ["BrainInputSettings", "FitLLMSettings", "LoraSettings", "LossWeights"],
        "training.fit": ["fine_tune", "fit_llm"],
    },
)

__all__ = [
    "FMRILM",
    "BrainInputSettings",
    "FitLLMSettings",
    "LoraSettings",
    "LossWeights",
    "PretrainingDataset",
    "TokenWindows",
    "fine_tune",
    "fit_llm",
]
