"""What a prompt tells of a person beside the scan: known phenotypes, and measures of the scan.

A task allows it by its key ``context``. What is told must not give the answer away: a text that
tells such a column is an error, and so are measures beside a question about a measure.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fmri_instruct.prompts.verification import PLACEHOLDER
from fmri_instruct.tasks.definitions import Task
from fmri_instruct.tasks.separate_turns import revealing_columns
from fmri_llm.data.feature_names import networks_of, phrase
from fmri_llm.data.feature_questions import level_word
from fmri_vqtok.errors import InputError
from fmri_vqtok.formats.json_files import read_json_lines

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Context", "with_context"]

FILE = "semantic.jsonl"
FIX = "give `fmri describe` a --phenotype-dictionary, or drop `context: [semantic]` of the task"


class Context:
    """What may be told of each scan in a prompt that asks a task.

    Parameters
    ----------
    tasks : sequence of Task
        What is asked.
    descriptors_dir : Path
        Folder with ``semantic.jsonl``, which is read only if a task has ``semantic`` among its
        `context`.
    zscores : pandas.DataFrame or None
        Z-scores of the cohort, one row a scan; None where no task has ``descriptors``.
    n_measures : int
        Most measures that are told of a scan.

    Raises
    ------
    InputError
        If a text tells a column that gives the answer of its task away, a task has no texts, or
        the file cannot be read.
    """

    def __init__(
        self,
        tasks: Sequence[Task],
        descriptors_dir: Path,
        zscores: "pd.DataFrame | None",
        n_measures: int,
    ) -> None:
        semantic = [task for task in tasks if "semantic" in task.context]
        self._texts = _read_texts(semantic, descriptors_dir) if semantic else {}
        self._zscores, self._n_measures = zscores, n_measures
        columns = [] if zscores is None else list(map(str, zscores.columns))
        networks = networks_of(columns)
        named = ((name, phrase(name, networks)) for name in columns)
        self._phrases = {name: words for name, words in named if words is not None}

    def of(self, scan_id: str, task: Task) -> str | None:
        """One line about a scan; None if the task allows nothing, or nothing is known.

        Parameters
        ----------
        scan_id : str
            A scan of the cohort.
        task : Task
            The only one that the prompt asks.

        Returns
        -------
        str or None
        """
        told = {
            "semantic": lambda: self._texts.get((scan_id, task.name)),
            "descriptors": lambda: self._measures(scan_id),
        }
        lines = [text for kind in task.context if (text := told[kind]())]
        return " ".join(lines) or None

    def _measures(self, scan_id: str) -> str | None:
        """Tell the measures of a scan that are furthest from the centre of the cohort."""
        if self._zscores is None or scan_id not in self._zscores.index:
            return None
        row = self._zscores.loc[[scan_id]].iloc[0]
        known = {name: float(row[name]) for name in self._phrases if np.isfinite(row[name])}
        # By name where equally far, so that the order of columns does not matter.
        furthest = sorted(known, key=lambda name: (-abs(known[name]), name))
        words = [
            f"{self._phrases[name]} is {level_word(known[name])} the typical range"
            for name in furthest[: self._n_measures]
        ]
        return f"Measures of this scan: {'; '.join(words)}." if words else None


def with_context(prompt: str, context: str | None) -> str:
    """Prompt with what is told of the person, between the scan and the question.

    Parameters
    ----------
    prompt : str
        From `fmri_instruct.prompts.paraphrases.PromptBank`.
    context : str or None
        From `Context.of`.

    Returns
    -------
    str
    """
    if context is None:
        return prompt
    scan = f"{PLACEHOLDER}\n"
    return f"{scan}{context}\n{prompt.removeprefix(scan)}"


def _read_texts(tasks: Sequence[Task], directory: Path) -> dict[tuple[str, str], str]:
    """Texts by scan and task, each without a column that gives its task's answer away."""
    path = directory / FILE
    by_name = {task.name: task for task in tasks}
    found: dict[tuple[str, str], str] = {}
    for row in read_json_lines(path, FIX, keys=["scan_id", "task", "text"]):
        if row["task"] in by_name:
            _refuse_give_away(row, by_name[row["task"]], path)
            found[row["scan_id"], row["task"]] = row["text"]
    for name in by_name:
        if not any(task == name for _, task in found):
            raise InputError(
                f"{path}: no text for task '{name}'; add it to `tasks` of the phenotype dictionary"
            )
    return found


def _refuse_give_away(row: Mapping[str, Any], task: Task, path: Path) -> None:
    if "columns" not in row:
        raise InputError(
            f"{path}: does not say which columns a text tells; run `fmri describe` again"
        )
    told = sorted(revealing_columns(task).intersection(row["columns"]))
    if told:
        raise InputError(
            f"{path}: the text for task '{task.name}' tells column '{told[0]}', which gives its "
            f"answer away; write `gives_away: [{task.name}]` at that column of the phenotype "
            "dictionary"
        )
