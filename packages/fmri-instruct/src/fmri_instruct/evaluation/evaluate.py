"""Scores of a model on held-out scans, each beside those of the baselines (paper, section 4.2)."""

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fmri_instruct.answers.corrections import Correction, Corrections
from fmri_instruct.answers.probabilities import ModelReader, ScanReader
from fmri_instruct.evaluation.answer_table import ScanAnswer
from fmri_instruct.evaluation.asking import Interview, Keep, one_scan_each, with_probabilities
from fmri_instruct.evaluation.baseline_answers import (
    baseline_methods,
    read_connectomes,
    true_answers,
)
from fmri_instruct.evaluation.fit_corrections import fit_corrections, why_not_calibrated
from fmri_instruct.evaluation.number_metrics import expected_value
from fmri_instruct.evaluation.pairs import score_pairs
from fmri_instruct.evaluation.scores import Method, score_task
from fmri_instruct.evaluation.shuffled import shuffled_between_people
from fmri_instruct.prompts.instructions import (
    Instruction,
    read_instructions,
    read_numbers,
    read_tasks,
)
from fmri_instruct.settings import EvaluateSettings
from fmri_instruct.tasks.definitions import Task
from fmri_instruct.tasks.kinds import METRIC_NAMES
from fmri_instruct.tasks.labels import fitted_bins
from fmri_vqtok.errors import InputError
from fmri_vqtok.formats.cohort import Cohort
from fmri_vqtok.formats.json_files import write_json, write_json_lines
from fmri_vqtok.formats.tokens import read_tokens_record

if TYPE_CHECKING:
    from fmri_llm.model.fmri_lm import FMRILM

METHODS = {
    "single": "fMRI-LM, one question",
    "multi": "fMRI-LM, several questions",
    "open": "fMRI-LM, open-ended",
    "context": "fMRI-LM, one question, told about the person",
}

TOLD_NOTE = "what was told may say the answer without the scan; the other rows are told nothing"

Progress = Callable[[int, int], None]


@dataclass(frozen=True, kw_only=True)
class Results:
    """What an evaluation found.

    Parameters
    ----------
    answers : list of ScanAnswer
        The model's, scan by scan.
    scores : dict
        As ``scores.json`` holds them.
    pairs : list of dict
        What each method says of pairs of scans, as ``pairs.jsonl`` holds it.
    corrections : Corrections
        What was taken out of the answers.
    """

    answers: list[ScanAnswer]
    scores: dict[str, Any]
    pairs: list[dict[str, Any]]
    corrections: Corrections

    def write(self, directory: Path) -> None:
        """Write ``answers.jsonl``, ``pairs.jsonl``, ``scores.json`` and ``corrections.json``.

        Parameters
        ----------
        directory : Path
            An existing folder.
        """
        write_json_lines(map(asdict, self.answers), directory / "answers.jsonl")
        write_json_lines(self.pairs, directory / "pairs.jsonl")
        write_json(self.scores, directory / "scores.json")
        self.corrections.write(directory)

    def summary(self) -> str:
        """Return one line: by task, the main score of the model and of each baseline."""
        by_head: dict[str, list[str]] = {}
        for name, entry in self.scores["tasks"].items():
            simple = "training mean" if entry["kind"] == "continuous" else "majority class"
            head = f"{METRIC_NAMES[entry['metric']]} of model / {simple} / connectome"
            by_head.setdefault(head, []).append(f"{name} {_main_scores(entry)}")
        return "; ".join(f"{head}: {', '.join(found)}" for head, found in by_head.items())


def evaluate(
    model: "FMRILM",
    tokens_dir: Path,
    instructions_dir: Path,
    cohort_dir: Path,
    settings: EvaluateSettings,
    *,
    seed: int = 0,
    progress: Progress = lambda _done, _total: None,
    keep: Keep = lambda _row: None,
) -> Results:
    """Ask a model about every held-out scan and score its answers beside the baselines.

    Parameters
    ----------
    model : FMRILM
        A tuned model.
    tokens_dir, instructions_dir, cohort_dir : Path
        Brain tokens, instructions and signals of one cohort. Only answers about test scans are
        scored; those about training and validation scans say what is to be taken out of them, and
        the baselines are fitted on training scans.
    settings : EvaluateSettings
        Wordings, corrections, length of generated text, bootstrap.
    seed : int, default=0
        Seed of the bootstrap and of the baselines' inner folds.
    progress : callable, optional
        ``progress(done, total)`` after each conversation.
    keep : callable, optional
        Takes the prediction of each prompt about a held-out scan, one mapping at a time, as
        ``predictions.jsonl`` holds them.

    Returns
    -------
    Results

    Raises
    ------
    InputError
        If the folders are not of the same cohort, the tokens are those of another tokenizer than
        the model's, a scan has no tokens, or a scan with a question about it is longer than the
        positions that the base model knows.
    """
    from fmri_instruct.prompts.lengths import check_held_out_length
    from fmri_vqtok.tokens.dataset import check_tokens_of

    check_tokens_of(tokens_dir, model.brain_tokenizer)
    check_held_out_length(model, tokens_dir, instructions_dir, settings)
    return evaluate_reader(
        ModelReader(model),
        tokens_dir,
        instructions_dir,
        cohort_dir,
        settings,
        seed=seed,
        progress=progress,
        keep=keep,
    )


def evaluate_reader(
    reader: ScanReader,
    tokens_dir: Path,
    instructions_dir: Path,
    cohort_dir: Path,
    settings: EvaluateSettings,
    *,
    seed: int = 0,
    progress: Progress = lambda _done, _total: None,
    keep: Keep = lambda _row: None,
) -> Results:
    """Evaluate any `ScanReader`; see `evaluate`.

    Parameters
    ----------
    reader : ScanReader
        What answers.
    tokens_dir, instructions_dir, cohort_dir : Path
        As for `evaluate`.
    settings : EvaluateSettings
        As for `evaluate`.
    seed : int, default=0
        As for `evaluate`.
    progress, keep : callable, optional
        As for `evaluate`.

    Returns
    -------
    Results
    """
    _check_same_cohort(tokens_dir, cohort_dir)
    tasks = read_tasks(instructions_dir)
    train = read_instructions(instructions_dir, "train")
    held_out = read_instructions(instructions_dir, "test")
    numbers = read_numbers(instructions_dir, tasks)
    connectomes = read_connectomes(cohort_dir)
    by_name = {task.name: task for task in tasks}
    plan = _learn_from(instructions_dir, tasks, settings, seed)
    interview = Interview(
        reader=reader,
        tasks=by_name,
        corrections=Corrections(wordings=settings.wordings),
        max_new_tokens=settings.max_new_tokens,
        progress=_counter(progress, len(plan) + len(held_out)),
    )
    corrections = _learn_corrections(interview, tokens_dir, plan, settings)
    given = replace(interview, corrections=corrections).answers(held_out, tokens_dir, "test", keep)
    answers = [_with_number(answer, by_name[answer.task], numbers) for answer in given]
    table, pairs = {}, list[dict[str, Any]]()
    for task in tasks:
        baselines = baseline_methods(
            task, train, held_out, connectomes, settings, seed, numbers.get(task.name)
        )
        methods = [*_model_methods(task, answers, corrections), *baselines]
        table[task.name] = score_task(task, methods, settings, seed)
        if compared := score_pairs(task, methods, settings, seed):
            table[task.name]["pairs"] = compared.scores
            pairs += compared.predictions
    bootstrap = {"resamples": settings.resamples, "unit": "subject", "level": settings.level}
    asked = {
        "wordings": settings.wordings,
        "prior": settings.prior,
        "calibrate": settings.calibrate,
    }
    scores = {"schema": 1, "tasks": table, "bootstrap": bootstrap, "answers": asked}
    return Results(answers=answers, scores=scores, pairs=pairs, corrections=corrections)


def _learn_corrections(
    interview: Interview,
    tokens_dir: Path,
    plan: "_LearnFrom",
    settings: EvaluateSettings,
) -> Corrections:
    """Ask about training and validation scans, and see what is to be taken out of the answers."""
    given = {
        split: list(interview.answers(rows, tokens_dir, split)) if rows else []
        for split, rows in plan.conversations.items()
    }
    tasks = list(interview.tasks.values())
    return fit_corrections(tasks, given["train"], given["validation"], settings, plan.too_few)


@dataclass(frozen=True)
class _LearnFrom:
    """Conversations by split that corrections are learned from, and why a task has none.

    Those about training scans are for the prior, those about validation scans for the rest.
    """

    conversations: dict[str, list[Instruction]]
    too_few: dict[str, str]

    def __len__(self) -> int:
        return sum(map(len, self.conversations.values()))


def _learn_from(
    instructions_dir: Path, tasks: Sequence[Task], settings: EvaluateSettings, seed: int
) -> _LearnFrom:
    train = read_instructions(instructions_dir, "train") if settings.prior != "none" else []
    names = {task.name for task in tasks}
    drawn = one_scan_each(with_probabilities(train, tasks, names), settings.prior_subjects, seed)
    if not settings.calibrate:
        return _LearnFrom({"train": drawn, "validation": []}, {})
    validation = read_instructions(instructions_dir, "validation")
    reasons = {
        task.name: why_not_calibrated(
            task.candidates, _whose(validation, task.name), settings.calibration_subjects
        )
        for task in tasks
    }
    too_few = {name: reason for name, reason in reasons.items() if reason}
    asked = with_probabilities(validation, tasks, names - set(too_few))
    return _LearnFrom({"train": drawn, "validation": asked}, too_few)


def _whose(conversations: Sequence[Instruction], task: str) -> list[tuple[str, str]]:
    subject_of = {each.scan_id: each.subject for each in conversations}
    answers = true_answers(conversations, task)
    return [(subject_of[scan_id], answer) for scan_id, answer in answers.items()]


def _with_number(
    answer: ScanAnswer, task: Task, numbers: Mapping[str, Mapping[str, float]]
) -> ScanAnswer:
    """Add the true number of a continuous task and, from the odds, the expected one."""
    if task.name not in numbers:
        return answer
    means, odds = fitted_bins(task).bin_means, answer.probabilities
    number = None if odds is None else expected_value(odds, task.candidates, means)
    return replace(answer, true_number=numbers[task.name][answer.scan_id], number=number)


def _model_methods(
    task: Task, answers: Sequence[ScanAnswer], corrections: Corrections
) -> Iterator[Method]:
    for paradigm, name in METHODS.items():
        own = [a for a in answers if a.task == task.name and a.paradigm == paradigm]
        notes = [
            _order_note(own, len(task.candidates), corrections.wordings),
            _correction_note(corrections.of(task.name, paradigm)),
        ]
        notes += [TOLD_NOTE] if paradigm == "context" else []
        yield Method(name=name, answers=own, note="; ".join(filter(None, notes)) or None)
    own = [a for a in answers if a.task == task.name and a.paradigm == "single"]
    yield Method(
        name=f"{METHODS['single']}, another person's scan",
        answers=shuffled_between_people(own),
        note="the same model on scans shuffled between people: one that reads the scan does better",
        baseline=True,
    )


def _order_note(answers: Sequence[ScanAnswer], n_candidates: int, n_wordings: int) -> str | None:
    """Effect of the order of the listed answers, before it was averaged out."""
    shares = [answer.first_named for answer in answers if answer.first_named is not None]
    if not shares:
        return None
    wordings = "one held-out wording" if n_wordings == 1 else f"{n_wordings} held-out wordings"
    return (
        f"probabilities are averaged over {wordings} and the orders in which a prompt lists the "
        f"answers; the "
        f"first-named was chosen in {np.mean(shares):.0%} of the prompts, "
        f"{1 / n_candidates:.0%} if the order had no say"
    )


def _correction_note(correction: Correction) -> str | None:
    """Tell what was taken out of the answers, and what was not though it was asked for."""
    notes = []
    if correction.prior:
        n = correction.n_prior
        notes.append(f"their mean over the scans of {n} training subjects is taken out")
    if correction.n_calibration:
        notes.append(
            f"temperature ({correction.temperature:.2f}) and biases are fitted on "
            f"{correction.n_calibration} validation subjects"
        )
    if correction.note:
        notes.append(f"not calibrated: {correction.note}")
    return "; ".join(notes) or None


def _counter(progress: Progress, total: int) -> Callable[[], None]:
    """Call that counts itself."""
    counts = itertools.count(1)
    return lambda: progress(next(counts), total)


def _main_scores(entry: Mapping[str, Any]) -> str:
    rows = entry["rows"]
    shown = [rows[0], *rows[-2:]] if rows else []
    scores = [row[entry["metric"]] for row in shown]
    return " / ".join(f"{s['value']:.2f}" if s else "undefined" for s in scores) or "no label"


def _check_same_cohort(tokens_dir: Path, cohort_dir: Path) -> None:
    tokens, cohort = read_tokens_record(tokens_dir)["order_hash"], Cohort(cohort_dir).order_hash
    if tokens != cohort:
        raise InputError(
            f"{tokens_dir}: region order {tokens}, but {cohort_dir} has {cohort};"
            " give the tokens of this cohort"
        )
