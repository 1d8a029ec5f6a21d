"""One language model over brain tokens and text."""

from typing import TYPE_CHECKING

import lazy_loader

if TYPE_CHECKING:
    from fmri_llm.data import InstructionPlan, PretrainingPlan, TokenWindows
    from fmri_llm.model import FMRILM
    from fmri_llm.settings import FitLLMSettings, LoraSettings, LossWeights
    from fmri_llm.training import fine_tune, fit_llm

__getattr__, __dir__, _ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "data": ["InstructionPlan", "PretrainingPlan", "TokenWindows"],
        "model": ["FMRILM"],
        "settings": ["FitLLMSettings", "LoraSettings", "LossWeights"],
        "training": ["fine_tune", "fit_llm"],
    },
)

__all__ = [
    "FMRILM",
    "FitLLMSettings",
    "InstructionPlan",
    "LoraSettings",
    "LossWeights",
    "PretrainingPlan",
    "TokenWindows",
    "fine_tune",
    "fit_llm",
]
