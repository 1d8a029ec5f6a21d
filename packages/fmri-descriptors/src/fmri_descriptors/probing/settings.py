"""Settings of `fmri evaluate-descriptors`."""

from dataclasses import field
from typing import Annotated, Literal

from pydantic import Field

from fmri_descriptors.settings import CaptionDomain, Count, Positive
from fmri_descriptors.utils.settings_class import settings_class


@settings_class
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
    epochs: Count = 4
    batch_size: Count = 16
    learning_rate: Annotated[float, Field(gt=0, lt=1)] = 5e-5
    max_tokens: Count = 512


@settings_class
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
        Times that the folds are drawn anew; scores are means over these, and their spread is given.
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

    target_kind: Literal["auto", "category", "number"] = "auto"
    domain: CaptionDomain = "all"
    folds: Annotated[int, Field(ge=2)] = 5
    repeats: Count = 5
    inner_folds: Annotated[int, Field(ge=2)] = 3
    text_strengths: Annotated[tuple[Positive, ...], Field(min_length=1)] = (0.1, 1.0, 10.0, 100.0)
    table_strengths: Annotated[tuple[Positive, ...], Field(min_length=1)] = (
        0.0001,
        0.001,
        0.01,
        0.1,
        1.0,
    )
    keep_best: Annotated[tuple[Annotated[int, Field(ge=0)], ...], Field(min_length=1)] = (10, 50, 0)
    longest_phrase: Count = 4
    bootstrap_resamples: Count = 1000
    interval: Annotated[float, Field(gt=0, lt=1)] = 0.95
    encoder: EncoderSettings = field(default_factory=EncoderSettings)
