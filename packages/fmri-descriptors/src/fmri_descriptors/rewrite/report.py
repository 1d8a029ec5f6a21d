"""What a rewriting came to: how many texts, at what cost, and why some were not used."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from fmri_descriptors.settings import RewriteSettings

OUTCOMES = ("rewritten", "refused", "failed", "withheld", "unreadable", "not asked")


@dataclass
class RewriteReport:
    """Counts of a rewriting.

    Parameters
    ----------
    model : str
        Name of the model.
    outcomes : Counter of str
        Captions that were rewritten, those whose every rewrite was refused by the check, those
        without an answer (failed), those that were not sent because an id in them could not be
        distinguished from a number (withheld), those that the check itself cannot read
        (unreadable), and those of other domains (not asked). All but the first keep the template's
        text.
    answers, first_answers_used : int
        Answers that came, and captions whose first answer passed the check.
    refusals : Counter of str
        Answers that the check refused, by kind.
    failures : Counter of str
        Captions without an answer, by cause.
    tokens_in, tokens_out : int
        Tokens of questions and answers, as the endpoint counts them.
    price_in, price_out : float or None
        Prices of a million of them.
    """

    model: str
    outcomes: Counter[str] = field(default_factory=lambda: Counter(dict.fromkeys(OUTCOMES, 0)))
    answers: int = 0
    first_answers_used: int = 0
    refusals: Counter[str] = field(default_factory=Counter)
    failures: Counter[str] = field(default_factory=Counter)
    tokens_in: int = 0
    tokens_out: int = 0
    price_in: float | None = None
    price_out: float | None = None

    @classmethod
    def of(cls, settings: RewriteSettings) -> "RewriteReport":
        """Return an empty report."""
        return cls(settings.model, price_in=settings.price_in, price_out=settings.price_out)

    @property
    def n_captions(self) -> int:
        """Captions in all."""
        return sum(self.outcomes.values())

    @property
    def cost(self) -> float | None:
        """What the tokens cost, in the currency of the prices; None without prices."""
        if self.price_in is None and self.price_out is None:
            return None
        total = self.tokens_in * (self.price_in or 0) + self.tokens_out * (self.price_out or 0)
        return round(total / 1e6, 6)

    def add(self, entry: dict[str, Any]) -> None:
        """Count a caption."""
        self.outcomes[entry["outcome"]] += 1
        self.answers += entry.get("answers", 0)
        self.first_answers_used += entry["outcome"] == "rewritten" and entry["answers"] == 1
        self.refusals.update(entry.get("refusals", ()))
        self.failures.update([entry["cause"]] if "cause" in entry else ())
        self.tokens_in += entry.get("tokens_in", 0)
        self.tokens_out += entry.get("tokens_out", 0)

    def to_dict(self) -> dict[str, Any]:
        """Return the content of ``rewriting.json``."""
        plain = {
            name: dict(value) if isinstance(value, Counter) else value
            for name, value in vars(self).items()
        }
        return plain | {"n_captions": self.n_captions, "cost": self.cost}

    def __str__(self) -> str:
        counts = ", ".join(f"{n} {name}" for name, n in self.outcomes.items() if n)
        cost = "" if self.cost is None else f", cost {self.cost:.2f}"
        return (
            f"{self.n_captions} captions: {counts} ({self.answers} answers, {self.tokens_in} + "
            f"{self.tokens_out} tokens{cost})"
        )
