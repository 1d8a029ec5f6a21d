"""Settings of the tuning stage, apart from the others because they hold the training loop's."""

from dataclasses import dataclass, field

from fmri_instruct.errors import InputError
from fmri_vqtok.config.stages import LoopSettings


@dataclass(frozen=True, kw_only=True)
class TuneSettings:
    """How a language model is tuned on instructions.

    Parameters
    ----------
    loop : LoopSettings
        Steps, batch size, rates and rhythm.
    conversations : int
        Conversations packed after one brain block, so that one pass trains several paradigms. They
        do not see each other.
    validation_examples : int
        Examples of validation scans that are scored at each evaluation.
    """

    loop: LoopSettings = field(default_factory=LoopSettings)
    conversations: int = 4
    validation_examples: int = 4

    def __post_init__(self) -> None:
        for name in ("conversations", "validation_examples"):
            if getattr(self, name) < 1:
                raise InputError(f"{name}: {getattr(self, name)}; give at least 1")
