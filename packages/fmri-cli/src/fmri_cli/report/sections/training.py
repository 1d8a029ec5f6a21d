"""Loss curves of the three training stages, and what a model's text owes to the scan."""

from typing import Any

from fmri_cli.report.artefacts import Run
from fmri_cli.report.figures.losses import MEASURED, drawn_names, loss_curves
from fmri_cli.report.sections.base import Section
from fmri_cli.report.settings import ReportSettings

TRAINED = {
    "tokenizer": "Tokenizer",
    "language-model": "Language model",
    "tuned-model": "Instruction tuning",
}

SCANS = {"own": "the scan itself", "shuffled": "another person's", "empty": "none"}
"""Conditions of ``scan-dependence.json``, as the table names them."""


def build(run: Run, settings: ReportSettings) -> Section:  # noqa: ARG001
    """One figure a training stage, one panel a loss."""
    stages = []
    for stage, title in TRAINED.items():
        losses = run.losses(stage)
        stages.append(
            {
                "title": title,
                "steps": int(losses["step"].max()),
                "figure": loss_curves(losses),
                "forecasts": _forecasts(run, stage),
                "perplexity": _perplexity(run, stage),
                "dependence": _dependence(run, stage),
                "measured": [MEASURED[name] for name in drawn_names(losses) if name in MEASURED],
            }
        )
    return Section(
        anchor="training",
        title="Training",
        look_for=(
            "Validation should fall with training; where it turns up while training falls, the "
            "stage has begun to overfit its few training scans. The domain loss is the "
            "exception: a classifier plays against the encoder, and the higher the loss stays, the "
            "less it can tell brain from text. Dashed lines are what the two alignment losses are "
            "by chance: 0.69 where brain and text are confused. The contrastive loss tells scans "
            "apart, so it is zero, and says nothing, where a batch holds windows of one scan only. "
            "f2f is the next brain code, f2t text about a scan, t2t plain text; under the curves, "
            "f2f is compared with forecasts that need no language model. A model can write well "
            "without looking at the scan: the table under the language model gives the same model "
            "the right scan, another person's, and none."
        ),
        values={"stages": stages},
    )


def _dependence(run: Run, stage: str) -> dict[str, Any] | None:
    """Rows of what text owes to the scan: the right one, another person's, none."""
    if not run.has(stage, "scan-dependence.json"):
        return None
    found = run.json(stage, "scan-dependence.json")
    domains = found["n_by_domain"]
    rows = [
        {
            "scan": SCANS[condition],
            "ours": condition == "own",
            "cells": [
                f"{found['question_auc'][condition]['all']:.2f}",
                *(f"{found['question_auc'][condition][name]:.2f}" for name in domains),
                f"{found['question_accuracy'][condition]:.2f}",
                f"{found['caption_loss'][condition]:.3f}",
                _share(found.get("direction_agreement", {}).get(condition)),
            ],
        }
        for condition in SCANS
    ]
    return {
        "verdict": found["verdict"],
        "columns": [
            "AUC of questions",
            *(f"{name} ({n})" for name, n in domains.items()),
            "Accuracy",
            "Caption loss (nats a token)",
            "True directions in captions",
        ],
        "rows": rows,
        "note": (
            f"{found['n_questions']} questions (by domain in brackets) whether a measure is above "
            "or below average, about "
            f"{found['n_scans']} held-out scans. Of {found['n_scans']} captions, the model finds "
            f"the right one for {found['retrieval']:.0%} of the scans "
            f"(chance {found['retrieval_chance']:.0%}). {_directions(found)}"
        ),
    }


def _share(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"


def _directions(found: dict[str, Any]) -> str:
    """Say what the directions in written captions were counted from."""
    if not found.get("n_captions"):
        return "No captions were written to look for directions in them."
    return (
        f"Captions that the model wrote about {found['n_captions']} of the scans, about another "
        "person's and about none put measures above or below the typical range "
        f"({found['n_directions']} times about the scans): the last column is the share with the "
        "sign of the scan's own z-score."
    )


def _perplexity(run: Run, stage: str) -> str | None:
    """Compare the base's perplexity of held-out plain text before and after training."""
    if not run.has(stage, "text-perplexity.json"):
        return None
    found = run.json(stage, "text-perplexity.json")
    change = found["after"] / found["before"] - 1
    verdict = f"{abs(change):.0%} {'more' if change > 0 else 'less'}"
    return (
        f"Perplexity of held-out plain text ({found['n_tokens']:,} tokens; less is better): "
        f"{found['before']:.2f} before training, {found['after']:.2f} after, {verdict}. "
        "A rise says how much of its language the base has lost."
    )


def _forecasts(run: Run, stage: str) -> str | None:
    """Compare the last F2F loss of held-out scans with forecasts without a language model."""
    if not run.has(stage, "forecasts.json"):
        return None
    references = run.json(stage, "forecasts.json")
    losses = run.losses(stage)
    ours = losses.loc[(losses["split"] == "validation") & (losses["name"] == "f2f"), "value"]
    named = {
        "equal odds": references["equal_odds"],
        "the frequencies of the codes": references["unigram"],
        "the code before": references["previous_code"],
        "a linear forecast of its vector": references["linear"],
    }
    best = min(named.values())
    verdict = "better than" if ours.iloc[-1] < best else "no better than"
    return (
        f"Next brain code of the validation scans, in nats (less is better): the model "
        f"{ours.iloc[-1]:.2f}; {', '.join(f'{name} {loss:.2f}' for name, loss in named.items())}. "
        f"The model forecasts {verdict} the best of these."
    )
