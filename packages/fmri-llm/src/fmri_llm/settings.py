"""Settings of the language-model stage, with their defaults."""

from dataclasses import dataclass, field
from typing import Annotated, Literal

from annotated_types import Ge

from fmri_vqtok.config.stages import CORPUS_LIMIT, LoopSettings
from fmri_vqtok.errors import InputError
from fmri_vqtok.formats.validation import Count, NonNegative, Positive, Share, check_fields

__all__ = ["FitLLMSettings", "LoraSettings", "LossWeights"]


@dataclass(frozen=True, kw_only=True)
class LoraSettings:
    """Low-rank adapters of the base language model.

    Attributes
    ----------
    rank : int
        Rank of the update of each adapted layer.
    alpha : float
        The update is scaled by alpha / rank.
    dropout : float
        Dropout rate of an adapter's inputs in training.
    targets : tuple of str or None
        Names of the adapted layers; None takes peft's choice for the architecture.
    """

    rank: Count = 8
    alpha: Positive = 16.0
    dropout: Share = 0.0
    targets: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        check_fields(self)


@dataclass(frozen=True, kw_only=True)
class LossWeights:
    """Weights of the three losses (Eq. 6); a loss of weight 0 is not computed.

    Attributes
    ----------
    f2t : float
        Text about a scan.
    f2f : float
        The next step's codes (alpha in the paper).
    t2t : float
        Plain text (beta in the paper).
    """

    f2t: NonNegative = 1.0
    f2f: NonNegative = 0.1
    t2t: NonNegative = 0.5

    def __post_init__(self) -> None:
        check_fields(self)
        if self.f2t == self.f2f == self.t2t == 0:
            raise InputError("weights: f2t, f2f and t2t are all 0; give at least one above 0")


@dataclass(frozen=True, kw_only=True)
class FitLLMSettings:
    """Stage 2: a language model learns to read brain tokens.

    Attributes
    ----------
    loop : LoopSettings
        Steps, batch size, rates and intervals.
    lora : LoraSettings
    weights : LossWeights
    text_tokens : int
        Most tokens of the consecutive caption sentences in an example. A longer single sentence is
        kept whole.
    corpus_tokens : int
        Length of the piece of plain text in an example, in tokens.
    text_column : str
        Column of a data set of texts (``--text``) that holds the text.
    corpus_limit : int
        Tokens of ``--text`` that are read, from its start.
    validation_examples : int
        Examples of held-out scans and held-out text that are scored at each evaluation.
    max_windows : int or None
        Most windows of a scan that the model reads, spread evenly over the scan; all by default.
        Kept with the model: tuning, evaluation and questions use as many.
    attention : str
        Attention implementation of transformers: one that takes a mask ("sdpa" or "eager").
    """

    loop: LoopSettings = field(default_factory=LoopSettings)
    lora: LoraSettings = field(default_factory=LoraSettings)
    weights: LossWeights = field(default_factory=LossWeights)
    text_tokens: Count = 96
    corpus_tokens: Annotated[int, Ge(2)] = 96
    text_column: str = "text"
    corpus_limit: int = CORPUS_LIMIT
    validation_examples: Count = 16
    max_windows: Count | None = None
    attention: Literal["sdpa", "eager"] = "sdpa"

    @property
    def base_attention(self) -> str:
        """Attention that the base is probed with before anything is trained."""
        return self.attention

    def __post_init__(self) -> None:
        check_fields(self)
        if self.corpus_limit < 2 * self.corpus_tokens:
            raise InputError(
                f"corpus_limit: {self.corpus_limit}; give at least {2 * self.corpus_tokens}, twice "
                "corpus_tokens"
            )
