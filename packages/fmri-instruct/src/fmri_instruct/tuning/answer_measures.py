"""Answers as measures of a scan, which the words that list them read.

A model that was never asked for a person's sex has no words for it. So before tuning, each answer
of a task becomes a measure: its read-out starts as a ridge regression of the training labels on
what the model is given of a scan, its name is the list of the possible answers, as prompts have it,
and what is read points towards the answer's own words. Tuning goes on from there.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from fmri_instruct.prompts.instructions import Instruction
from fmri_instruct.prompts.paraphrases import spoken_list
from fmri_llm.training.initialise import learn_measures

if TYPE_CHECKING:
    from fmri_llm.data.examples import TokenWindows
    from fmri_llm.model.fmri_lm import FMRILM

__all__ = ["learn_answers"]


def learn_answers(
    model: "FMRILM", windows: "TokenWindows", instructions: Sequence[Instruction]
) -> list[str]:
    """Let a model's text read the answers of tasks that have labels of training scans.

    Parameters
    ----------
    model : FMRILM
        Changed in place. One whose text reads no measures stays as it is.
    windows : TokenWindows
        Of the training scans.
    instructions : sequence of Instruction
        About training scans.

    Returns
    -------
    list of str
        Names of the tasks whose answers are read.
    """
    asked: dict[str, dict[str, Instruction]] = {}
    for each in instructions:
        if isinstance(each.task, str):
            asked.setdefault(each.task, {})[each.scan_id] = each
    found = []
    for task, by_scan in asked.items():
        answers = sorted(next(iter(by_scan.values())).candidates[task])
        given = np.array([each.answer for each in by_scan.values()])
        is_answer = (given[:, None] == np.array(answers)).astype(float)
        spread = is_answer.std(0)
        if model.brain.measures is None or not spread.all():
            continue
        z_scores = (is_answer - is_answer.mean(0)) / spread
        learn_measures(
            model,
            windows,
            [spoken_list(answers)] * len(answers),
            [(" ".join(other for other in answers if other != own), own) for own in answers],
            dict(zip(by_scan, z_scores, strict=True)),
            {scan_id: each.subject for scan_id, each in by_scan.items()},
        )
        found.append(task)
    return found
