"""One language model over brain tokens and text."""

from typing import TYPE_CHECKING

import lazy_loader

if TYPE_CHECKING:
    from fmri_llm.data.examples import InstructionPlan, PretrainingPlan, TokenWindows
    from fmri_llm.model.fmri_lm import FMRILM
    from fmri_llm.settings import FitLLMSettings, LoraSettings, LossWeights
    from fmri_llm.training.fit import fine_tune, fit_llm

__getattr__, __dir__, _ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "data.examples": ["InstructionPlan", "PretrainingPlan", "TokenWindows"],
        "model.fmri_lm": ["FMRILM"],
        "settings": ["FitLLMSettings", "LoraSettings", "LossWeights"],
        "training.fit": ["fine_tune", "fit_llm"],
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
