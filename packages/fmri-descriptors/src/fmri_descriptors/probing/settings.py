"""Settings of `fmri evaluate-descriptors`."""

from dataclasses import dataclass, field

from fmri_descriptors.errors import InputError
from fmri_descriptors.registry import DOMAINS


def _require(holds: bool, key: str, value: object, fix: str) -> None:
    if not holds:
        raise InputError(f"{key}: {value}; {fix}")


@dataclass(frozen=True, kw_only=True)
class EncoderSettings:
    """How a text encoder is fine-tuned, where one is asked for.

    Parameters
    ----------
    provider : str
        Entry point of the group ``fmri.text_classifiers``; fmri-llm provides ``transformers``.
    epochs : int
        Passes over the training texts.
    batch_size : int
        Texts a step.
    learning_rate : float
        Peak learning rate of AdamW.
    max_tokens : int
        Tokens after the first so many of a text are left out.
    """

    provider: str = "transformers"
    epochs: int = 4
    batch_size: int = 16
    learning_rate: float = 5e-5
    max_tokens: int = 512

    def __post_init__(self) -> None:
        for key in ("epochs", "batch_size", "max_tokens"):
            value = getattr(self, key)
            _require(value >= 1, f"encoder.{key}", value, "give at least 1")
        _require(
            0 < self.learning_rate < 1,
            "encoder.learning_rate",
            self.learning_rate,
            "give a rate above 0 and below 1",
        )


@dataclass(frozen=True, kw_only=True)
class EvaluateDescriptorsSettings:
    """How a phenotype is predicted.

    Parameters
    ----------
    target_kind : str
        ``"category"``, ``"number"``, or ``"auto"`` for what the cohort says.
    domain : str
        Domain of the captions: ``"all"``, ``"FC"``, ``"gradients"``, ``"ICA"`` or ``"graph"``.
    folds : int
        Outer folds; fewer where a class has fewer subjects.
    repeats : int
        Times that the folds are drawn anew; scores are means over these, and their spread is told.
    inner_folds : int
        Folds within the training part of each fold, which choose penalty and number; where a
        class has too few subjects for them, the middle choice is taken.
    text_strengths, table_strengths : tuple of float
        Inverse penalties C to choose from, for TF-IDF and for standardised numbers; ridge
        regression uses 1 / C.
    keep_best : tuple of int
        Numbers of phrases or features to choose from: so many with the strongest F test on the
        training scans, or 0 for all. The connectome keeps all.
    longest_phrase : int
        Words of the longest phrase that TF-IDF counts.
    bootstrap_resamples : int
        Resamples of the subjects for the intervals.
    interval : float
        Level of the intervals.
    encoder : EncoderSettings
        How a text encoder is fine-tuned.
    """

    target_kind: str = "auto"
    domain: str = "all"
    folds: int = 5
    repeats: int = 5
    inner_folds: int = 3
    text_strengths: tuple[float, ...] = (0.1, 1.0, 10.0, 100.0)
    table_strengths: tuple[float, ...] = (0.0001, 0.001, 0.01, 0.1, 1.0)
    keep_best: tuple[int, ...] = (10, 50, 0)
    longest_phrase: int = 4
    bootstrap_resamples: int = 1000
    interval: float = 0.95
    encoder: EncoderSettings = field(default_factory=EncoderSettings)

    def __post_init__(self) -> None:
        kinds, domains = ("auto", "category", "number"), ("all", *DOMAINS)
        for key, known in (("target_kind", kinds), ("domain", domains)):
            value = getattr(self, key)
            _require(value in known, key, repr(value), f"give one of {', '.join(known)}")
        for key, least in (
            ("folds", 2),
            ("repeats", 1),
            ("inner_folds", 2),
            ("longest_phrase", 1),
        ):
            value = getattr(self, key)
            _require(value >= least, key, value, f"give at least {least}")
        for key in ("text_strengths", "table_strengths"):
            object.__setattr__(self, key, tuple(getattr(self, key)))
            value = getattr(self, key)
            _require(bool(value) and min(value) > 0, key, list(value), "give one or more above 0")
        object.__setattr__(self, "keep_best", tuple(self.keep_best))
        kept = self.keep_best
        _require(bool(kept) and min(kept) >= 0, "keep_best", list(kept), "give one or more from 0")
        _require(
            self.bootstrap_resamples >= 1,
            "bootstrap_resamples",
            self.bootstrap_resamples,
            "give at least 1",
        )
        _require(0 < self.interval < 1, "interval", self.interval, "give a level from 0 to 1")
