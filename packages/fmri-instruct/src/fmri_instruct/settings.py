"""The settings of this package's stages; each default exists here and nowhere else."""

from dataclasses import dataclass, field
from typing import Annotated, Literal, get_args

from annotated_types import Ge, Gt, Le, Lt, MinLen

from fmri_vqtok.config.stages import LoopSettings
from fmri_vqtok.formats.validation import Count, NonNegative, Positive, check_fields

Paradigm = Literal["single", "multi", "open"]
PARADIGMS: tuple[Paradigm, ...] = get_args(Paradigm)
Prior = Literal["frequency", "equal", "none"]


@dataclass(frozen=True, kw_only=True)
class ParaphraseSettings:
    """How a language model writes more wordings of the questions.

    Parameters
    ----------
    model : str
        Name of the model at the endpoint.
    base_url : str or None
        Address of an OpenAI-compatible endpoint, up to and including ``/v1``; ``--paraphrase-with``
        goes before it.
    api_key_variable : str
        Name of the environment variable with the endpoint's key.
    wordings : int
        Wordings that are asked for, a task.
    temperature : float
        Of the answers.
    timeout_seconds : float
        Longest wait for an answer, in seconds.
    """

    model: str
    base_url: str | None = None
    api_key_variable: str = "FMRI_PARAPHRASE_API_KEY"
    wordings: Count = 20
    temperature: NonNegative = 0.7
    timeout_seconds: Positive = 120.0

    def __post_init__(self) -> None:
        check_fields(self)


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
        copy in a fixed wording that no training scan gets.
    context_share : float
        Share of the training conversations about one question that tell what the task allows beside
        the scan.
    context_measures : int
        Most measures of a scan that a prompt tells, those furthest from the centre of the cohort.
    paraphrase : ParaphraseSettings or None
        Which language model writes more wordings; None for none.
    """

    paradigms: Annotated[tuple[Paradigm, ...], MinLen(1)] = PARADIGMS
    variants: Count = 4
    context_share: Annotated[float, Ge(0), Le(1)] = 0.5
    context_measures: Count = 6
    paraphrase: ParaphraseSettings | None = None

    def __post_init__(self) -> None:
        check_fields(self)


@dataclass(frozen=True, kw_only=True)
class TuneSettings:
    """How a language model is tuned on instructions.

    Parameters
    ----------
    loop : LoopSettings
        Steps, batch size, rates and intervals.
    conversations : int
        Conversations packed after one brain block, so that one pass trains several paradigms. They
        do not see each other.
    token_weight : float
        Weight of the likelihood of the right answer's tokens, beside that of choosing it among the
        possible ones.
    distillation : float
        Share of the wanted answer that comes from a linear classifier which has not seen the
        subject; the rest is the subject's label.
    validation_examples : int
        Examples of validation scans that are scored at each evaluation.
    """

    loop: LoopSettings = field(default_factory=LoopSettings)
    conversations: Count = 4
    token_weight: NonNegative = 0.1
    distillation: Annotated[float, Ge(0), Le(1)] = 0.0
    validation_examples: Count = 4

    def __post_init__(self) -> None:
        check_fields(self)


@dataclass(frozen=True, kw_only=True)
class EvaluateSettings:
    """How answers are taken from a model and how sure the scores are.

    Parameters
    ----------
    wordings : int
        Held-out wordings in which each question is asked; probabilities are averaged over them.
    prior : str
        What becomes of the answer that the model gives of the mean training scan. ``frequency``
        puts the frequency of each answer among training subjects in its place, ``equal`` takes it
        out and puts nothing in its place, ``none`` leaves it.
    prior_subjects : int
        Most training subjects, with one scan each, that the mean is taken over.
    calibrate : bool
        Whether a temperature, and a bias of each answer, are fitted on validation subjects.
    calibration_subjects : int
        Validation subjects that each answer has to be true of for that.
    max_new_tokens : int
        Longest generated description, in tokens of the language model.
    pairs : int
        Most pairs of held-out people of which it is asked which one is higher.
    resamples : int
        Bootstrap resamples of the held-out subjects.
    level : float
        Level of the percentile intervals, between 0 and 1.
    regularisation : float
        Inverse strength C of the linear baselines' L2 penalty where there are too few training
        subjects to choose it by cross-validation.
    probe : bool
        Whether a linear model on the hidden states of the tuned model, the probe, stands beside its
        answers. The training and validation scans are read for it.
    few_shot : tuple of int
        Labels of each answer from which linear methods also learn, such as 2, 4 and 10; none for no
        such scores.
    few_shot_draws : int
        Times that so many labels are drawn of the training subjects.
    """

    wordings: Count = 4
    prior: Prior = "frequency"
    prior_subjects: Count = 64
    calibrate: bool = True
    calibration_subjects: Count = 10
    max_new_tokens: Count = 48
    pairs: Count = 1000
    resamples: Count = 1000
    level: Annotated[float, Gt(0), Lt(1)] = 0.95
    regularisation: Positive = 1.0
    probe: bool = True
    few_shot: tuple[Count, ...] = ()
    few_shot_draws: Count = 10

    def __post_init__(self) -> None:
        check_fields(self)


@dataclass(frozen=True, kw_only=True)
class EvaluateFoldsSettings:
    """How sure the scores over all folds are.

    Parameters
    ----------
    resamples : int
        Bootstrap resamples of the subjects of all folds.
    level : float
        Level of the percentile intervals, between 0 and 1.
    """

    resamples: Count = 1000
    level: Annotated[float, Gt(0), Lt(1)] = 0.95

    def __post_init__(self) -> None:
        check_fields(self)
