"""Scores of a model on held-out scans, each beside those of the baselines (paper, section 4.2)."""

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fmri_instruct.answers.corrections import Correction, Corrections
from fmri_instruct.answers.probabilities import ModelReader, ScanReader
from fmri_instruct.baselines.scan_features import read_features
from fmri_instruct.evaluation.asking import Interview, Keep, one_scan_each, with_probabilities
from fmri_instruct.evaluation.baseline_answers import (
    baseline_methods,
    labelled_scans,
    true_answers,
)
from fmri_instruct.evaluation.few_shot import few_shot_scores
from fmri_instruct.evaluation.fit_corrections import fit_corrections, why_not_calibrated
from fmri_instruct.evaluation.pairs import score_pairs
from fmri_instruct.evaluation.probe import PromptStates, probe_method
from fmri_instruct.evaluation.results import Results
from fmri_instruct.evaluation.shuffled import shuffled_between_people
from fmri_instruct.evaluation.sites import site_scores
from fmri_instruct.prompts.instructions import (
    Instruction,
    read_instructions,
    read_numbers,
    read_tasks,
)
from fmri_instruct.scoring.answer_table import ScanAnswer
from fmri_instruct.scoring.number_metrics import expected_value
from fmri_instruct.scoring.scores import Method, score_task
from fmri_instruct.settings import EvaluateSettings
from fmri_instruct.tasks.definitions import Task
from fmri_instruct.tasks.labels import fitted_bins
from fmri_vqtok.errors import InputError
from fmri_vqtok.formats.cohort import Cohort
from fmri_vqtok.formats.names import SPLITS
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


def evaluate(  # noqa: PLR0913 - what is read, each named
    model: "FMRILM",
    tokens_dir: Path,
    instructions_dir: Path,
    cohort_dir: Path,
    settings: EvaluateSettings,
    *,
    descriptors_dir: Path | None = None,
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
    descriptors_dir : Path, optional
        Descriptors of that cohort, for the baseline that sees them.
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
    states = PromptStates(model, read_tasks(instructions_dir)) if settings.probe else None
    return evaluate_reader(
        ModelReader(model),
        tokens_dir,
        instructions_dir,
        cohort_dir,
        settings,
        descriptors_dir=descriptors_dir,
        states=states,
        seed=seed,
        progress=progress,
        keep=keep,
    )


def evaluate_reader(  # noqa: PLR0913 - what is read, each named
    reader: ScanReader,
    tokens_dir: Path,
    instructions_dir: Path,
    cohort_dir: Path,
    settings: EvaluateSettings,
    *,
    descriptors_dir: Path | None = None,
    states: PromptStates | None = None,
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
    descriptors_dir : Path, optional
        As for `evaluate`.
    states : PromptStates, optional
        Of the model, for the probe; the hidden states of labelled scans are added.
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
    by_split = {split: read_instructions(instructions_dir, split) for split in SPLITS}
    held_out = by_split["test"]
    numbers = read_numbers(instructions_dir, tasks)
    table = read_features(cohort_dir, descriptors_dir)
    by_name = {task.name: task for task in tasks}
    plan = _learn_from(by_split, tasks, settings, seed)
    unread = {} if states is None else _unread(by_split, plan)
    count = _counter(progress, len(plan) + len(held_out) + sum(map(len, unread.values())))
    interview = Interview(
        reader=reader,
        tasks=by_name,
        corrections=Corrections(wordings=settings.wordings),
        max_new_tokens=settings.max_new_tokens,
        progress=count,
    )
    if states is not None:
        interview = replace(interview, on_read=states.add)
    corrections = _learn_corrections(interview, tokens_dir, plan, settings)
    given = replace(interview, corrections=corrections).answers(held_out, tokens_dir, "test", keep)
    answers = [_with_number(answer, by_name[answer.task], numbers) for answer in given]
    for split, scan_ids in unread.items():
        interview.read(scan_ids, tokens_dir, split)
    scores, by_task, pairs = {}, {}, list[dict[str, Any]]()
    for task in tasks:
        of_task = numbers.get(task.name)
        methods = [
            *_model_methods(task, answers, corrections),
            *baseline_methods(task, by_split["train"], held_out, table, settings, seed, of_task),
        ]
        if states is not None:
            methods.append(probe_method(task, by_split, states, settings, seed, of_task))
        by_task[task.name] = methods
        scans = labelled_scans(task, by_split["train"], held_out, table, of_task)
        scores[task.name] = {
            **score_task(task, methods, settings, seed),
            "sites": site_scores(task, methods, scans, table),
            "few_shot": few_shot_scores(task, by_split, table, states, settings, seed, of_task),
        }
        if compared := score_pairs(task, methods, settings, seed):
            scores[task.name]["pairs"] = compared.scores
            pairs += compared.predictions
    bootstrap = {"resamples": settings.resamples, "unit": "subject", "level": settings.level}
    asked = {
        "wordings": settings.wordings,
        "prior": settings.prior,
        "calibrate": settings.calibrate,
    }
    document = {"schema": 1, "tasks": scores, "bootstrap": bootstrap, "answers": asked}
    return Results(
        answers=answers, scores=document, methods=by_task, pairs=pairs, corrections=corrections
    )


def _unread(
    by_split: Mapping[str, Sequence[Instruction]], plan: "_LearnFrom"
) -> dict[str, list[str]]:
    """Labelled training and validation scans that no correction is learned from."""
    found = {}
    for split, asked in plan.conversations.items():
        read = {each.scan_id for each in asked}
        found[split] = sorted({each.scan_id for each in by_split[split]} - read)
    return found


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
    by_split: Mapping[str, Sequence[Instruction]],
    tasks: Sequence[Task],
    settings: EvaluateSettings,
    seed: int,
) -> _LearnFrom:
    train = by_split["train"] if settings.prior != "none" else []
    names = {task.name for task in tasks}
    drawn = one_scan_each(with_probabilities(train, tasks, names), settings.prior_subjects, seed)
    if not settings.calibrate:
        return _LearnFrom({"train": drawn, "validation": []}, {})
    validation = by_split["validation"]
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


def _check_same_cohort(tokens_dir: Path, cohort_dir: Path) -> None:
    tokens, cohort = read_tokens_record(tokens_dir)["order_hash"], Cohort(cohort_dir).order_hash
    if tokens != cohort:
        raise InputError(
            f"{tokens_dir}: region order {tokens}, but {cohort_dir} has {cohort};"
            " give the tokens of this cohort"
        )
