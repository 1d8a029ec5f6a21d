"""`fmri ask`: one question about one scan of a finished run."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from fmri_cli.run.integrity import refuse_changed
from fmri_cli.run.pipeline import STAGES
from fmri_cli.run.records import read_record
from fmri_cli.settings.parsing import nearest

if TYPE_CHECKING:
    from fmri_instruct.answers.ask import Answer
    from fmri_instruct.answers.corrections import Corrections
    from fmri_llm.data.token_windows import ScanTokens

SEEN = {
    "train": "the model was trained on {}; this says nothing about new scans.",
    "validation": "training was validated on {}, so it is not held out: this says little about new "
    "scans.",
}
"""What to warn of, by the split of a scan that is not held out."""

_SHOWN = 20  # scans that a message names


@dataclass(frozen=True)
class FoundScan:
    """A scan of a run.

    Parameters
    ----------
    tokens
        Its brain tokens.
    split
        `train`, `validation` or `test`.
    """

    tokens: "ScanTokens"
    split: str


def answer_lines(run: Path, scan_id: str, question: str, answers: tuple[str, ...]) -> Iterator[str]:
    """Yield lines with a model's answer, its probability and those of the other answers.

    Parameters
    ----------
    run
        Directory of a run whose model is tuned.
    scan_id
        A scan of the run. One that is not held out is answered with a warning.
    question
        Any question if answers are given, otherwise one that the model was tuned on.
    answers
        The possible answers; empty for those of the task that the question belongs to.

    Raises
    ------
    click.ClickException
        If a stage is missing, the scan unknown, or the question unknown and without answers.
    """
    require_stages(run, "tokens", "instructions", "tuned-model")
    scan = find_scan(run, scan_id)
    if scan.split in SEEN:
        yield f"Warning: {SEEN[scan.split].format(scan_id)}"
    corrections = evaluated_corrections(run)
    if corrections is None and not answers:
        yield f"Warning: {run} has no evaluation of this model; the probabilities are uncorrected."
    found = _answer(run, scan, question, answers, corrections)
    yield f"{scan_id} ({scan.split}): {found.question}"
    yield f"Answer: {found.text}"
    width = max(map(len, found.probabilities))
    for answer, probability in sorted(found.probabilities.items(), key=lambda pair: -pair[1]):
        yield f"  {answer:<{width}}  {probability:.3f}"
    yield from expected_numbers(run, found)


def expected_numbers(run: Path, found: "Answer") -> Iterator[str]:
    """Yield a line with the expected number, if the answer is one to a continuous task.

    Parameters
    ----------
    run
        Directory of the run.
    found
        The answer.
    """
    from fmri_instruct.prompts.instructions import read_tasks
    from fmri_instruct.scoring.number_metrics import expected_value
    from fmri_instruct.tasks.labels import fitted_bins

    for task in read_tasks(run / "instructions"):
        if task.name == found.task and task.kind == "continuous":
            means = fitted_bins(task).bin_means
            number = expected_value(found.probabilities, task.candidates, means)
            yield f"Expected {task.title}: {number:.4g} {task.unit or ''}".rstrip()


def require_stages(run: Path, *names: str) -> None:
    """Raise a ClickException for the first of these stages that is not there, or was changed."""
    commands = {row.directory: row.command for row in STAGES}
    if all(read_record(run / name) is None for name in commands):
        raise click.ClickException(
            f"{run}: is not a run; name a directory that `fmri run-all --out` wrote"
        )
    for name in names:
        if read_record(run / name) is None:
            msg = f"{run}: has no {name}; make it with `fmri {commands[name]}` or `fmri run-all`"
            raise click.ClickException(msg)
        refuse_changed(run / name)


def find_scan(run: Path, scan_id: str) -> FoundScan:
    """Brain tokens of a scan, and its split.

    Raises
    ------
    click.ClickException
        If the run has no such scan; the held-out ones are listed.
    """
    from fmri_llm.data.token_windows import TokenWindows

    known: dict[str, list[str]] = {}
    for split in ("test", *SEEN):
        table = TokenWindows.read(run / "tokens", split)
        if scan_id in table.by_scan:
            return FoundScan(table.scan(scan_id), split)
        known[split] = sorted(table.by_scan)
    raise click.ClickException(_no_such_scan(scan_id, known))


def _no_such_scan(scan_id: str, known: dict[str, list[str]]) -> str:
    near = nearest(scan_id, itertools.chain(*known.values()))
    hint = f"did you mean '{near}'? " if near else ""
    held_out = known["test"]
    more = f" and {len(held_out) - _SHOWN} more" if len(held_out) > _SHOWN else ""
    shown = ", ".join(held_out[:_SHOWN]) or "none"
    return f"{scan_id}: no such scan; {hint}Held out are: {shown}{more}"


def evaluated_corrections(run: Path) -> "Corrections | None":
    """Corrections that the evaluation of a run's tuned model found, None if it was not evaluated.

    Raises
    ------
    click.ClickException
        If a file of the evaluation was changed since.
    """
    from fmri_instruct.answers.corrections import Corrections

    evaluated, tuned = (read_record(run / name) for name in ("evaluation", "tuned-model"))
    if evaluated is None or tuned is None or evaluated["inputs"]["model"] != tuned["digest"]:
        return None
    refuse_changed(run / "evaluation")
    return Corrections.read(run / "evaluation")


def _answer(
    run: Path,
    scan: FoundScan,
    question: str,
    answers: tuple[str, ...],
    corrections: "Corrections | None",
) -> "Answer":
    from fmri_instruct.answers.ask import answer_question, find_task
    from fmri_instruct.prompts.instructions import read_tasks
    from fmri_llm.model.fmri_lm import FMRILM
    from fmri_vqtok.tokens.dataset import check_tokens_of

    tasks = read_tasks(run / "instructions")
    if not answers:
        # Before the model is read, which takes much longer than to find out this.
        try:
            find_task(question, tasks)
        except ValueError as error:
            raise click.ClickException(f"{error}: --answers A,B") from error
    model = FMRILM.from_pretrained(run / "tuned-model")
    check_tokens_of(run / "tokens", model.brain_tokenizer)
    return answer_question(
        model,
        scan.tokens,
        question,
        tasks,
        answers or None,
        corrections,
    )
