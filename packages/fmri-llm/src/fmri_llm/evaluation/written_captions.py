"""Captions that a model writes about held-out scans, and whether their directions are true."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from fmri_llm.base_model import chat
from fmri_llm.data.captions import DESCRIBE_PROMPTS
from fmri_llm.data.feature_names import networks_of
from fmri_llm.evaluation.stated_directions import read_directions

if TYPE_CHECKING:
    from fmri_llm.data.feature_questions import FeatureQuestions
    from fmri_llm.inference.prefix import BrainPrefix
    from fmri_llm.model.fmri_lm import FMRILM

__all__ = ["compare_directions", "room", "write_captions"]


def write_captions(model: FMRILM, prefix: BrainPrefix, max_new_tokens: int) -> list[str]:
    """Greedy caption of each domain about one scan.

    Parameters
    ----------
    model : FMRILM
    prefix : BrainPrefix
        Of one scan.
    max_new_tokens : int
        Longest caption.
    """
    return model.generate_text(prefix, list(DESCRIBE_PROMPTS.values()), max_new_tokens)


def room(model: FMRILM, prefix: BrainPrefix) -> int:
    """Positions that the base has left for a caption, behind the longest prompt."""
    config = model.language_model.config.get_text_config()
    limit = getattr(config, "max_position_embeddings", None) or sys.maxsize
    prompts = (
        chat.encode_answers(model.text_tokenizer, chat.question(prompt), ())[0]
        for prompt in DESCRIBE_PROMPTS.values()
    )
    return limit - int(prefix.text_start.max()) - max(map(len, prompts))


def compare_directions(
    own: Sequence[Sequence[str]],
    empty: Sequence[str],
    scans: Sequence[str],
    measures: FeatureQuestions,
) -> dict[str, Any]:
    """Compare the directions that captions state with the signs of the scans' own z-scores.

    Parameters
    ----------
    own : sequence of sequence of str
        Captions about each scan. Another person's are those half the list away.
    empty : sequence of str
        Captions about no scan.
    scans : sequence of str
        Scan ids.
    measures : FeatureQuestions
        z-scores of the scans.

    Returns
    -------
    dict
        ``n_directions`` and ``direction_agreement``, as
        `fmri_llm.evaluation.scan_dependence.ScanDependence` has them.
    """
    half = len(scans) // 2
    by_condition = {
        "own": [*own],
        "shuffled": [*own[half:], *own[:half]],
        "empty": [empty] * len(scans),
    }
    signs = {name: _agreeing(texts, scans, measures) for name, texts in by_condition.items()}
    return {
        "n_directions": len(signs["own"]),
        "direction_agreement": {
            name: float(np.mean(found)) if found else None for name, found in signs.items()
        },
    }


def _agreeing(
    texts: Sequence[Sequence[str]], scans: Sequence[str], measures: FeatureQuestions
) -> list[bool]:
    """Whether each stated direction is that of the scan's z-score; unknown ones are passed over."""
    networks = networks_of(measures.columns)
    found = []
    for of_scan, z in zip(texts, measures.z_scores(scans), strict=True):
        known = {name: x for name, x in zip(measures.columns, z, strict=True) if np.isfinite(x)}
        stated = (said for text in of_scan for said in read_directions(text, known, networks))
        found += [bool(sign * known[column] > 0) for column, sign in stated]
    return found
