"""The settings of this package's stages; each default exists here and nowhere else."""

from dataclasses import dataclass

from fmri_instruct.errors import InputError, nearest

PARADIGMS = ("single", "multi", "open")


@dataclass(frozen=True, kw_only=True)
class MakeInstructionsSettings:
    """What `make-instructions` writes.

    Parameters
    ----------
    paradigms : tuple of str
        Any of ``single`` (one question, one answer), ``multi`` (several numbered questions in one
        turn) and ``open`` (a description in sentences).
    variants : int
        Differently worded copies of each training conversation. Validation and test scans get one
        copy in the fixed canonical wording.
    """

    paradigms: tuple[str, ...] = PARADIGMS
    variants: int = 4

    def __post_init__(self) -> None:
        for paradigm in self.paradigms:
            if paradigm not in PARADIGMS:
                raise InputError(f"paradigms: '{paradigm}'; {nearest(paradigm, PARADIGMS)}")
        if not self.paradigms:
            raise InputError(f"paradigms: none given; give any of {', '.join(PARADIGMS)}")
        _at_least("variants", self.variants, 1)


@dataclass(frozen=True, kw_only=True)
class EvaluateSettings:
    """How answers are taken from a model and how sure the scores are.

    Parameters
    ----------
    max_new_tokens : int
        Longest generated description, in tokens of the language model.
    resamples : int
        Bootstrap resamples of the held-out subjects.
    level : float
        Level of the percentile intervals, between 0 and 1.
    regularisation : float
        Inverse strength C of the connectome baseline's L2 penalty where there are too few training
        subjects to choose it by cross-validation.
    """

    max_new_tokens: int = 48
    resamples: int = 1000
    level: float = 0.95
    regularisation: float = 1.0

    def __post_init__(self) -> None:
        _at_least("max_new_tokens", self.max_new_tokens, 1)
        _at_least("resamples", self.resamples, 1)
        if not 0 < self.level < 1:
            raise InputError(f"level: {self.level}; give a number between 0 and 1, such as 0.95")
        if not self.regularisation > 0:
            raise InputError(f"regularisation: {self.regularisation}; give a number above 0")


def _at_least(name: str, value: int, least: int) -> None:
    if value < least:
        raise InputError(f"{name}: {value}; give at least {least}")
