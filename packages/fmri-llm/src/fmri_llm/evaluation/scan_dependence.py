"""Does a model look at the scan? The same model on a scan, on another person's, and on none.

A language model can write plausible captions and answers from its prior alone. So each measure is
taken three times on the same held-out texts: with the scan that a text is about ("own"), with
another person's scan ("shuffled"), and with a scan without any region ("empty").
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from fmri_llm.base_model import chat
from fmri_llm.brain_input.signal_windows import spread
from fmri_llm.data.captions import DESCRIBE_PROMPTS
from fmri_llm.data.examples import scans_of, token_lengths
from fmri_llm.evaluation.roc import roc_auc
from fmri_llm.evaluation.written_captions import compare_directions, room, write_captions

if TYPE_CHECKING:
    from fmri_llm.data.feature_questions import FeatureQuestion, FeatureQuestions
    from fmri_llm.data.token_windows import TokenWindows
    from fmri_llm.inference.prefix import BrainPrefix
    from fmri_llm.model.fmri_lm import FMRILM
    from fmri_vqtok.formats.captions import Caption

__all__ = ["CONDITIONS", "FILE", "ScanDependence", "measure_scan_dependence"]

FILE = "scan-dependence.json"
CONDITIONS = ("own", "shuffled", "empty")

LEAST_GAIN = 0.05
"""Smallest gain of AUC over shuffled scans that counts as looking at the scan."""

_ANSWERS = 8  # long answers that are scored in one pass


def _none_stated() -> dict[str, float | None]:
    return dict.fromkeys(CONDITIONS)


@dataclass(frozen=True, kw_only=True)
class ScanDependence:
    """What a model's text owes to held-out scans, by condition: "own", "shuffled" or "empty".

    Parameters
    ----------
    n_scans, n_questions : int
        Held-out scans, and questions about measures of all of them.
    n_by_domain : dict of int
        Questions about measures of each domain.
    question_auc : dict of dict of float
        By domain of the measure and over "all" of them: area under the ROC curve of the answer
        "above" against "below".
    question_accuracy : dict of float
        Share of the questions whose likelier answer is right.
    caption_loss : dict of float
        Mean negative log-likelihood of a token of a caption, in nats.
    retrieval : float
        Share of the scans for which their own caption, of all held-out ones, gains most
        likelihood over its mean over the scans.
    retrieval_chance : float
    n_captions : int
        Scans about which the model wrote captions of all domains.
    n_directions : int
        Measures that these captions put above or below the typical range.
    direction_agreement : dict of float or None
        Share of such statements, in captions that the model wrote about the scan, about another
        person's and about none, that have the sign of the scan's own z-score. None where there are
        none.
    """

    n_scans: int
    n_questions: int
    n_by_domain: Mapping[str, int]
    question_auc: Mapping[str, Mapping[str, float]]
    question_accuracy: Mapping[str, float]
    caption_loss: Mapping[str, float]
    retrieval: float
    retrieval_chance: float
    n_captions: int = 0
    n_directions: int = 0
    direction_agreement: Mapping[str, float | None] = field(default_factory=_none_stated)

    @property
    def verdict(self) -> str:
        """One plain sentence on whether the answers depend on the scan."""
        own, shuffled = (self.question_auc[name]["all"] for name in ("own", "shuffled"))
        figures = f"AUC {own:.2f} with the scan, {shuffled:.2f} with another person's"
        if own - shuffled < LEAST_GAIN:
            return (
                f"The model does as well on other people's scans as on the right ones: {figures}."
            )
        return f"The model's answers depend on the scan: {figures}."

    def write(self, directory: Path) -> None:
        """Write ``scan-dependence.json``."""
        document = {"schema": 1, **asdict(self), "verdict": self.verdict}
        (directory / FILE).write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")

    @classmethod
    def read(cls, directory: Path) -> ScanDependence | None:
        """Read ``scan-dependence.json`` of a model's folder; None where it was not measured."""
        path = directory / FILE
        if not path.is_file():
            return None
        document = json.loads(path.read_text(encoding="utf-8"))
        known = {each.name for each in fields(cls)}
        return cls(**{name: value for name, value in document.items() if name in known})


@torch.no_grad()
def measure_scan_dependence(  # noqa: PLR0913 - what is measured and how much of it, each named
    model: FMRILM,
    windows: TokenWindows,
    captions: Mapping[str, Mapping[str, Caption]],
    questions: FeatureQuestions,
    *,
    n_scans: int,
    n_questions: int,
    text_tokens: int,
    n_captions: int = 0,
    caption_tokens: int = 96,
    seed: int = 0,
) -> ScanDependence | None:
    """Measure what a model's text owes to held-out scans; None with fewer than two of them.

    Parameters
    ----------
    model : FMRILM
        In evaluation mode.
    windows : TokenWindows
        Of held-out scans. Another person's scan is the one half the list away, since the scans of
        one person lie together.
    captions : dict of dict of Caption
        By scan and domain. The first sentences of each domain are scored.
    questions : FeatureQuestions
    n_scans : int
        Most scans that are asked about.
    n_questions : int
        Most questions about the measures of each.
    text_tokens : int
        Most tokens of the sentences of a domain.
    n_captions : int, default=0
        Scans about which captions are written; below 2, none are.
    caption_tokens : int, default=96
        Longest written caption of a domain.
    seed : int
        Of the choice of scans and questions.
    """
    rng = np.random.default_rng(seed)
    n = min(n_scans, len(windows.scan_ids))
    if n < 2:
        return None
    chosen = sorted(rng.permutation(len(windows.scan_ids))[:n].tolist())
    names = [windows.scan_ids[k] for k in chosen]
    own = [model.prefill(scans_of([windows.scan(name)])) for name in names]
    half = n // 2
    given = {"own": own, "shuffled": own[half:] + own[:half], "empty": [_empty(model)] * n}
    asked = [_draw(questions.levels(name), n_questions, rng) for name in names]
    texts = [_opening(model, captions[name], text_tokens) for name in names]
    return ScanDependence(
        n_scans=n,
        **_of_questions(model, given, asked),
        **_of_captions(model, given, texts),
        **_of_directions(model, given, names, questions, n_captions, caption_tokens),
    )


def _of_questions(
    model: FMRILM,
    given: Mapping[str, Sequence[BrainPrefix]],
    asked: Sequence[Sequence[FeatureQuestion]],
) -> dict[str, Any]:
    """Figures about the questions on each scan, by what the model was given."""
    every = [question for drawn in asked for question in drawn]
    is_above = np.array([question.answer == "above" for question in every], dtype=bool)
    domains = np.array([question.domain for question in every])
    odds = {
        condition: np.concatenate(
            [_log_odds(model, prefix, drawn) for prefix, drawn in zip(prefixes, asked, strict=True)]
        )
        for condition, prefixes in given.items()
    }
    return {
        "n_questions": len(every),
        "n_by_domain": {
            str(domain): int((domains == domain).sum()) for domain in np.unique(domains)
        },
        "question_auc": {
            name: _by_domain(is_above, found, domains) for name, found in odds.items()
        },
        "question_accuracy": {
            name: float(((found > 0) == is_above).mean()) for name, found in odds.items()
        },
    }


def _of_captions(
    model: FMRILM,
    given: Mapping[str, Sequence[BrainPrefix]],
    texts: Sequence[Mapping[str, str]],
) -> dict[str, Any]:
    """Figures about the captions of each scan, by what the model was given."""
    n = len(texts)
    n_tokens = sum(sum(token_lengths(model.text_tokenizer, list(t.values()))) for t in texts)
    # Row: the scan that is given. Column: the scan that the caption is about.
    found = np.stack([_log_likelihoods(model, prefix, texts) for prefix in given["own"]])
    own = np.arange(n)
    by_condition = {
        "own": found[own, own],
        "shuffled": found[np.roll(own, -(n // 2)), own],
        "empty": _log_likelihoods(model, given["empty"][0], texts),
    }
    gains = found - found.mean(0)
    return {
        "caption_loss": {name: float(-v.sum() / n_tokens) for name, v in by_condition.items()},
        "retrieval": float((gains.argmax(1) == own).mean()),
        "retrieval_chance": 1 / n,
    }


def _of_directions(
    model: FMRILM,
    given: Mapping[str, Sequence[BrainPrefix]],
    names: Sequence[str],
    measures: FeatureQuestions,
    n_captions: int,
    caption_tokens: int,
) -> dict[str, Any]:
    """Figures about captions that the model writes about some of the scans, and about none."""
    chosen = spread(len(names), n_captions) if n_captions > 1 else []
    prefixes = [*(given["own"][k] for k in chosen), given["empty"][0]]
    if not chosen or (most := min([caption_tokens, *(room(model, p) for p in prefixes)])) < 1:
        return {}
    *own, empty = [write_captions(model, prefix, most) for prefix in prefixes]
    return {
        "n_captions": len(chosen),
        **compare_directions(own, empty, [names[k] for k in chosen], measures),
    }


def _empty(model: FMRILM) -> BrainPrefix:
    """Prefix of a scan of one window without any region."""
    config = model.brain_tokenizer.config
    codes = torch.zeros(1, config.n_steps, config.n_regions, dtype=torch.int64)
    return model.prefill(codes, torch.zeros(1, config.n_regions, dtype=torch.bool))


def _draw(
    questions: Sequence[FeatureQuestion], most: int, rng: np.random.Generator
) -> list[FeatureQuestion]:
    return [questions[k] for k in sorted(rng.permutation(len(questions))[:most].tolist())]


def _log_odds(
    model: FMRILM, prefix: BrainPrefix, questions: Sequence[FeatureQuestion]
) -> NDArray[np.float64]:
    """Log-odds of "above" against "below" for each question, in nats."""
    if not questions:
        return np.zeros(0)
    texts = [chat.question(question.text) for question in questions]
    scores = model.score_answers(prefix, texts, ["above", "below"]).double().cpu().numpy()
    return np.asarray(scores[:, 0] - scores[:, 1])


def _by_domain(
    is_above: NDArray[np.bool_], scores: NDArray[np.float64], domains: NDArray[np.str_]
) -> dict[str, float]:
    found = {
        str(domain): roc_auc(is_above[domains == domain], scores[domains == domain])
        for domain in np.unique(domains)
    }
    return {"all": roc_auc(is_above, scores), **found}


def _opening(model: FMRILM, captions: Mapping[str, Caption], most: int) -> dict[str, str]:
    """First sentences of each domain's caption, at most so many tokens, but never none."""
    openings = {}
    for domain in DESCRIBE_PROMPTS:
        if domain in captions:
            sentences = [sentence.text for sentence in captions[domain].sentences]
            lengths = np.cumsum(token_lengths(model.text_tokenizer, sentences))
            openings[domain] = " ".join(sentences[: max(1, int((lengths <= most).sum()))])
    return openings


def _log_likelihoods(
    model: FMRILM, prefix: BrainPrefix, texts: Sequence[Mapping[str, str]]
) -> NDArray[np.float64]:
    """Log-likelihood of the openings of each scan's captions after one prefix, in nats."""
    totals = np.zeros(len(texts))
    for domain, prompt in DESCRIBE_PROMPTS.items():
        having = [k for k, text in enumerate(texts) if domain in text]
        for start in range(0, len(having), _ANSWERS):
            part = having[start : start + _ANSWERS]
            answers = [texts[k][domain] for k in part]
            scores = model.score_answers(prefix, [chat.question(prompt)], answers)
            totals[part] += scores[0].double().cpu().numpy()
    return totals
