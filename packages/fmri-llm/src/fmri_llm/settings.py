"""Settings of the language-model stage, with their defaults."""

from __future__ import annotations

from dataclasses import dataclass, field

from fmri_vqtok.config.stages import CORPUS_LIMIT, LoopSettings, check_setting
from fmri_vqtok.errors import InputError

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

    rank: int = 8
    alpha: float = 16.0
    dropout: float = 0.0
    targets: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        _at_least("lora.rank", self.rank, 1)
        check_setting(self.alpha > 0, "lora.alpha", self.alpha, "give a number above 0")
        check_setting(
            0 <= self.dropout < 1, "lora.dropout", self.dropout, "give a value from 0 to below 1"
        )


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

    f2t: float = 1.0
    f2f: float = 0.1
    t2t: float = 0.5

    def __post_init__(self) -> None:
        for name in ("f2t", "f2f", "t2t"):
            _at_least(f"weights.{name}", getattr(self, name), 0)
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
    text_tokens: int = 96
    corpus_tokens: int = 96
    text_column: str = "text"
    corpus_limit: int = CORPUS_LIMIT
    validation_examples: int = 16
    max_windows: int | None = None
    attention: str = "sdpa"

    @property
    def base_attention(self) -> str:
        """Attention that the base is probed with before anything is trained."""
        return self.attention

    def __post_init__(self) -> None:
        _at_least("text_tokens", self.text_tokens, 1)
        _at_least("corpus_tokens", self.corpus_tokens, 2)
        _at_least("corpus_limit", self.corpus_limit, 2 * self.corpus_tokens)
        _at_least("validation_examples", self.validation_examples, 1)
        if self.max_windows is not None:
            _at_least("max_windows", self.max_windows, 1)
        if self.attention not in ("sdpa", "eager"):
            msg = f"attention: {self.attention!r}; give 'sdpa' or 'eager'"
            raise InputError(msg)


def _at_least(key: str, value: float, lowest: float) -> None:
    check_setting(value >= lowest, key, value, f"give at least {lowest}")
