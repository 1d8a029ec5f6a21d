"""Settings of the language-model stage, with their defaults."""

from dataclasses import dataclass, field, replace
from typing import Annotated, Literal, Self

from annotated_types import Ge, Le

from fmri_vqtok.config.stages import CORPUS_LIMIT, LoopSettings
from fmri_vqtok.errors import InputError
from fmri_vqtok.formats.validation import Count, NonNegative, Positive, Share, check_fields

__all__ = ["BrainInputSettings", "FitLLMSettings", "LoraSettings", "LossWeights"]


@dataclass(frozen=True, kw_only=True)
class BrainInputSettings:
    """What of a scan a language model is given.

    Attributes
    ----------
    relation_tokens : int
        Tokens that hold log powers and couplings of spatial filters over the whole scan; 0 for
        none.
    filter_tokens : bool
        One token for each spatial filter: its coupling with each other one, its power and its
        amplitude.
    scale_tokens : int
        Tokens that hold what normalisation takes out: amplitude by filter, relative to the training
        scans of the site, and the spectrum; 0 for none.
    text_reads_measures : bool
        Whether words that name a measure of the descriptors read its value: a z-score as relations
        and scale tell it, by a regression on training scans.
    region_tokens : bool
        One token for each region: its correlation with each filter.
    text_reads_signal : bool
        Whether text attends to the signal tokens too, one for each region and time step.
        Next-step prediction (F2F) reads them in any case, and nothing else.
    filters : {"networks", "eigenvectors"}
        Where the spatial filters start: the means of the parcellation's networks, where the
        tokenizer knows them, or the leading eigenvectors of the mean covariance of training scans.
    n_filters : int
        Number of eigenvectors.
    feature_noise : float
        Standard deviation of the noise that is added to standardised features in training.
    connector_width : int
        Hidden width of the correction of the text projection of stage 1; 0 for none.
    """

    relation_tokens: Annotated[int, Ge(0)] = 8
    filter_tokens: bool = True
    scale_tokens: Annotated[int, Ge(0)] = 2
    text_reads_measures: bool = True
    region_tokens: bool = False
    text_reads_signal: bool = False
    filters: Literal["networks", "eigenvectors"] = "networks"
    n_filters: Count = 12
    feature_noise: NonNegative = 0.3
    connector_width: Annotated[int, Ge(0)] = 64

    def __post_init__(self) -> None:
        check_fields(self)
        if not (
            self.relation_tokens
            or self.filter_tokens
            or self.scale_tokens
            or self.text_reads_measures
            or self.region_tokens
            or self.text_reads_signal
        ):
            raise InputError(
                "brain: text would see nothing of a scan; give relation_tokens or scale_tokens "
                "above 0, or region_tokens or text_reads_signal true"
            )


@dataclass(frozen=True, kw_only=True)
class LoraSettings:
    """Low-rank adapters of the base language model, and when and how fast the base trains.

    Attributes
    ----------
    learning_rate : float or None
        Peak rate of the adapters, or of the base where all of it trains; that of the loop by
        default.
    from_fraction : float
        Share of the steps in which only the brain input and the code head train, before the
        adapters or the base do; 1 leaves them as they are.
    rank : int
        Rank of the update of each adapted layer.
    alpha : float
        The update is scaled by alpha / rank.
    dropout : float
        Dropout rate of an adapter's inputs in training.
    targets : tuple of str or None
        Names of the adapted layers; None takes peft's choice for the architecture.
    """

    learning_rate: Positive | None = None
    from_fraction: Annotated[float, Ge(0), Le(1)] = 0.0
    rank: Count = 8
    alpha: Positive = 16.0
    dropout: Share = 0.0
    targets: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        check_fields(self)


@dataclass(frozen=True, kw_only=True)
class LossWeights:
    """Weights of the losses: three of Eq. 6, and two of questions; one of weight 0 is not computed.

    Attributes
    ----------
    f2t : float
        Text about a scan.
    f2f : float
        The next step's codes (alpha in the paper).
    t2t : float
        Plain text (beta in the paper).
    questions : float
        Answers to questions, token by token; in pretraining, to those about measures of a scan.
    choices : float
        The right answer to a question against the other possible ones, by their likelihoods.
    """

    f2t: NonNegative = 1.0
    f2f: NonNegative = 0.1
    t2t: NonNegative = 0.5
    questions: NonNegative = 1.0
    choices: NonNegative = 0.0

    def __post_init__(self) -> None:
        check_fields(self)
        if not any(vars(self).values()):
            raise InputError("weights: all are 0; give at least one above 0")

    @property
    def reads_scans(self) -> bool:
        """Whether any loss depends on the brain input or the code head."""
        return self.f2t > 0 or self.f2f > 0 or self.ask_questions

    @property
    def ask_questions(self) -> bool:
        """Whether answers to questions are learned."""
        return self.questions > 0 or self.choices > 0

    def without_questions(self) -> Self:
        """Weights of the other losses, where there are no questions."""
        return replace(self, questions=0.0, choices=0.0)


@dataclass(frozen=True, kw_only=True)
class FitLLMSettings:
    """Stage 2: a language model learns to read brain tokens.

    Attributes
    ----------
    loop : LoopSettings
        Steps, batch size, rates and intervals.
    brain : BrainInputSettings
    base_training : {"adapters", "full", "frozen"}
        What of the base trains: low-rank adapters; all of its weights, which are then saved with
        the model; or nothing.
    quantise : {"none", "int8", "nf4"}
        Weights of a base that does not train itself: as they are, in 8 bits (LLM.int8) or in 4
        (QLoRA). Needs a GPU and bitsandbytes.
    lora : LoraSettings
    weights : LossWeights
    code_softmax : {"codes", "joint"}
        What the F2F loss normalises over: the codes alone, or the extended vocabulary of words and
        codes (Eq. 5). The latter needs memory for as many more logits a code as there are words.
    text_tokens : int
        Most tokens of the consecutive caption sentences in an example. A longer single sentence is
        kept whole.
    template_weight : float
        Weight, in the F2T loss, of words that stand in every caption of a domain where they stand,
        whatever the scan; 1 weighs all words alike.
    corpus_tokens : int
        Length of the piece of plain text in an example, in tokens.
    n_questions : int
        Questions about the measures of the scan in an example: above or below average, which of
        two is higher, is a statement true.
    text_column : str
        Column of a data set of texts (``--text``) that holds the text.
    corpus_limit : int or None
        Tokens of ``--text`` that are read, from its start; None reads all, at any size.
    perplexity_tokens : int
        Tokens of the held-out end of ``--text`` on which the base's perplexity is measured before
        and after training; 0 for none.
    dependence_scans : int
        Held-out scans on which it is measured whether text depends on the scan; below 2, it is not.
    dependence_questions : int
        Most questions about the measures of each of them.
    dependence_captions : int
        How many of these scans captions are written about, to compare the directions in them with
        the scan; below 2, none are.
    dependence_caption_tokens : int
        Longest of these captions, a domain.
    validation_examples : int
        Examples of held-out scans and held-out text that are scored at each evaluation.
    max_windows : int or None
        Most windows of a scan that are read as signal tokens, spread evenly over the scan; all by
        default. Tokens about the whole scan are made of all windows. Kept with the model: tuning,
        evaluation and questions use as many.
    attention : str
        Attention implementation of transformers: one that takes a mask ("sdpa" or "eager").
    """

    loop: LoopSettings = field(default_factory=LoopSettings)
    brain: BrainInputSettings = field(default_factory=BrainInputSettings)
    base_training: Literal["adapters", "full", "frozen"] = "adapters"
    quantise: Literal["none", "int8", "nf4"] = "none"
    lora: LoraSettings = field(default_factory=LoraSettings)
    weights: LossWeights = field(default_factory=LossWeights)
    code_softmax: Literal["codes", "joint"] = "codes"
    text_tokens: Count = 96
    template_weight: Annotated[float, Ge(0), Le(1)] = 1.0
    corpus_tokens: Annotated[int, Ge(2)] = 96
    n_questions: Annotated[int, Ge(0)] = 8
    text_column: str = "text"
    corpus_limit: Count | None = CORPUS_LIMIT
    perplexity_tokens: Annotated[int, Ge(0)] = 2048
    dependence_scans: Annotated[int, Ge(0)] = 12
    dependence_questions: Count = 24
    dependence_captions: Annotated[int, Ge(0)] = 4
    dependence_caption_tokens: Count = 96
    validation_examples: Count = 16
    max_windows: Count | None = None
    attention: Literal["sdpa", "eager"] = "sdpa"

    @property
    def base_attention(self) -> str:
        """Attention that the base is probed with before anything is trained."""
        return self.attention

    def __post_init__(self) -> None:
        check_fields(self)
        if self.base_training == "full" and self.quantise != "none":
            raise InputError(
                f"quantise: '{self.quantise}', but quantised weights do not train; give 'none', or "
                "base_training 'adapters'"
            )
        if self.base_training == "frozen" and not self.weights.reads_scans:
            raise InputError(
                "base_training: 'frozen', but plain text (t2t) alone trains nothing else; give "
                "'adapters', or another loss a weight above 0"
            )
        if self.corpus_limit is not None and self.corpus_limit < 2 * self.corpus_tokens:
            raise InputError(
                f"corpus_limit: {self.corpus_limit}; give at least {2 * self.corpus_tokens}, twice "
                "corpus_tokens"
            )
