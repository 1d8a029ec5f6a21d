"""Instruction data: tasks and labels to chat messages in three paradigms (paper, section 3.4)."""

from collections.abc import Mapping, Sequence
from dataclasses import MISSING, asdict, dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING

from fmri_instruct.prompts.context import Context
from fmri_instruct.prompts.conversations import Instruction, LabelledScan, converse
from fmri_instruct.prompts.paraphrases import PromptBank
from fmri_instruct.settings import MakeInstructionsSettings
from fmri_instruct.tasks.definitions import SCHEMA, Task, read_task
from fmri_instruct.tasks.labels import label_scans, number_scans, zscores_of
from fmri_vqtok.errors import InputError
from fmri_vqtok.formats.cohort import read_scan_table
from fmri_vqtok.formats.json_files import (
    read_description,
    read_json_lines,
    write_json,
    write_json_lines,
)
from fmri_vqtok.formats.names import SPLITS

if TYPE_CHECKING:
    import pandas as pd

FIX = "give the folder that `fmri make-instructions` wrote"


@dataclass(frozen=True, kw_only=True)
class InstructionSet:
    """Instructions by split, and how many scans each task could label.

    Parameters
    ----------
    splits : dict of str to list of Instruction
        In order of scan id.
    counts : dict
        By task and split, the number of scans per answer and of scans left out (``missing``).
    numbers : dict
        By continuous task and scan id, the true number.
    """

    splits: dict[str, list[Instruction]]
    counts: dict[str, dict[str, dict[str, int]]]
    numbers: dict[str, dict[str, float]] = field(default_factory=dict)


def build_instructions(
    cohort_dir: Path,
    descriptors_dir: Path,
    tasks: Sequence[Task],
    settings: MakeInstructionsSettings,
    seed: int,
) -> InstructionSet:
    """Conversations about every labelled scan of a cohort, by split.

    Parameters
    ----------
    cohort_dir : Path
        A cohort folder.
    descriptors_dir : Path
        The descriptors folder of that cohort.
    tasks : sequence of Task
        What is asked, with bins fitted by `fmri_instruct.tasks.fitting.fit_tasks`.
    settings : MakeInstructionsSettings
        Paradigms, and how many wordings a training conversation comes in.
    seed : int
        Run seed. What is drawn for a scan depends on the seed and the scan's id alone, so adding a
        scan changes no other scan's conversations.

    Returns
    -------
    InstructionSet
        Training scans get sampled wordings; validation and test scans the canonical one, which no
        training scan gets. The order in which a prompt lists the answers is drawn anew for each
        prompt, held-out ones too.

    Raises
    ------
    InputError
        If a label source is missing, bins are not fitted, a prompt would give its answer away, or a
        task has no labelled training scan.
    """
    cohort = read_scan_table(cohort_dir)
    labels = label_scans(tasks, cohort, descriptors_dir)
    counts = _count(tasks, labels, cohort)
    _check_training(counts, cohort_dir)
    bank = PromptBank.load()
    told = any("descriptors" in task.context for task in tasks)
    context = Context(
        tasks,
        descriptors_dir,
        zscores_of(descriptors_dir, cohort) if told else None,
        settings.context_measures,
    )
    splits: dict[str, list[Instruction]] = {name: [] for name in SPLITS}
    split_of, subject_of = cohort["split"].to_dict(), cohort["sub"].astype(str).to_dict()
    for scan_id, row in labels.to_dict("index").items():
        answers = {str(name): answer for name, answer in row.items() if answer is not None}
        known = [task for task in tasks if task.name in answers]
        texts = {task.name: context.of(str(scan_id), task) for task in known}
        scan = LabelledScan(str(scan_id), subject_of[scan_id], answers, known, texts)
        splits[split_of[scan_id]] += converse(scan, split_of[scan_id], bank, settings, seed)
    numbers = number_scans(tasks, cohort, descriptors_dir)
    return InstructionSet(splits=splits, counts=counts, numbers=numbers)


def write_instructions(
    instructions: InstructionSet, tasks: Sequence[Task], directory: Path
) -> None:
    """Write one ``.jsonl`` per split, ``tasks.json``, and ``numbers.json`` where there are any.

    Parameters
    ----------
    instructions : InstructionSet
        From `build_instructions`.
    tasks : sequence of Task
        The tasks they were built from.
    directory : Path
        An existing folder.
    """
    for split, conversations in instructions.splits.items():
        write_json_lines(map(asdict, conversations), directory / f"{split}.jsonl")
    document = {
        "schema": SCHEMA,
        "tasks": [task.model_dump(mode="json") for task in tasks],
        "scans": instructions.counts,
    }
    write_json(document, directory / "tasks.json")
    if instructions.numbers:
        numbers = {"schema": SCHEMA, "numbers": instructions.numbers}
        write_json(numbers, directory / "numbers.json")


def read_instructions(directory: Path, split: str) -> list[Instruction]:
    """Instructions of one split.

    Parameters
    ----------
    directory : Path
        What `write_instructions` wrote.
    split : str
        ``train``, ``validation`` or ``test``.

    Returns
    -------
    list of Instruction

    Raises
    ------
    InputError
        If the file cannot be read.
    """
    path = directory / f"{split}.jsonl"
    known = {field.name: field.default for field in fields(Instruction)}
    keys = [name for name, default in known.items() if default is MISSING]
    return [
        Instruction(**{key: row[key] for key in known if key in row})
        for row in read_json_lines(path, FIX, keys=keys)
    ]


def read_tasks(directory: Path) -> tuple[Task, ...]:
    """Read the tasks that instructions were built from.

    Parameters
    ----------
    directory : Path
        What `write_instructions` wrote.

    Returns
    -------
    tuple of Task

    Raises
    ------
    InputError
        If ``tasks.json`` cannot be read or is of a newer schema.
    """
    path = directory / "tasks.json"
    document = read_description(path, SCHEMA, FIX, keys=["tasks"], package="fmri-instruct")
    return tuple(read_task(entry, f"{path}: tasks") for entry in document["tasks"])


def read_numbers(directory: Path, tasks: Sequence[Task]) -> dict[str, dict[str, float]]:
    """Read the true numbers of the continuous tasks, by task and scan id.

    Parameters
    ----------
    directory : Path
        What `write_instructions` wrote.
    tasks : sequence of Task
        From `read_tasks`.

    Returns
    -------
    dict of str to dict of str to float
        Empty where no task is continuous.

    Raises
    ------
    InputError
        If ``numbers.json`` cannot be read, is of a newer schema, or lacks a continuous task.
    """
    names = [task.name for task in tasks if task.kind == "continuous"]
    if not names:
        return {}
    path = directory / "numbers.json"
    found = read_description(path, SCHEMA, FIX, keys=["numbers"], package="fmri-instruct")
    for name in names:
        if name not in found["numbers"]:
            raise InputError(f"{path}: no numbers of task {name}; make the instructions again")
    return {name: found["numbers"][name] for name in names}


def _count(
    tasks: Sequence[Task], labels: "pd.DataFrame", cohort: "pd.DataFrame"
) -> dict[str, dict[str, dict[str, int]]]:
    counts: dict[str, dict[str, dict[str, int]]] = {}
    for task in tasks:
        for split in SPLITS:
            answers = labels.loc[cohort["split"] == split, task.name].tolist()
            row = {answer: answers.count(answer) for answer in task.candidates}
            row["missing"] = answers.count(None)
            counts.setdefault(task.name, {})[split] = row
    return counts


def _check_training(counts: Mapping[str, Mapping[str, Mapping[str, int]]], where: Path) -> None:
    for name, by_split in counts.items():
        if sum(by_split["train"].values()) == by_split["train"]["missing"]:
            raise InputError(
                f"task {name}: no training scan of {where} has a label; drop it or give labels"
            )
