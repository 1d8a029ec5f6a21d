"""Answers of every method of a score table as a file, so that tables can be pooled and checked."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from fmri_instruct.scoring.answer_table import ScanAnswer
from fmri_instruct.scoring.scores import Method
from fmri_vqtok.formats.json_files import read_json_lines, write_json_lines

__all__ = ["FILE", "read_scored_answers", "write_scored_answers"]

FILE = "scored-answers.jsonl"
FIX = "evaluate again with `fmri evaluate`"

_ELSEWHERE = ("text", "by_wording")
"""Fields of an answer that are in answers.jsonl alone."""

_FIELDS = [field.name for field in fields(ScanAnswer) if field.name not in _ELSEWHERE]


def write_scored_answers(methods: Mapping[str, Sequence[Method]], directory: Path) -> None:
    """Write ``scored-answers.jsonl``, an answer a line.

    Parameters
    ----------
    methods : mapping of str to sequence of Method
        By task.
    directory : Path
        An existing folder.
    """
    write_json_lines(_lines(methods), directory / FILE)


def read_scored_answers(directory: Path) -> dict[str, list[Method]]:
    """Methods of each task, as `write_scored_answers` wrote them; their notes are in the scores.

    Parameters
    ----------
    directory : Path
        An evaluation folder.

    Returns
    -------
    dict of str to list of Method

    Raises
    ------
    InputError
        If the file cannot be read.
    """
    found: dict[str, dict[tuple[str, bool], list[ScanAnswer]]] = {}
    keys = [*_FIELDS, "method", "baseline"]
    for line in read_json_lines(directory / FILE, FIX, keys=keys):
        of_task = found.setdefault(line["task"], {})
        answers = of_task.setdefault((line["method"], line["baseline"]), [])
        answers.append(ScanAnswer(**{name: line[name] for name in _FIELDS}))
    return {
        task: [
            Method(name=name, answers=answers, baseline=baseline)
            for (name, baseline), answers in of_task.items()
        ]
        for task, of_task in found.items()
    }


def _lines(methods: Mapping[str, Sequence[Method]]) -> Iterator[dict[str, Any]]:
    for of_task in methods.values():
        for method in of_task:
            for answer in method.answers:
                known = {name: getattr(answer, name) for name in _FIELDS}
                yield {"method": method.name, "baseline": method.baseline, **known}
