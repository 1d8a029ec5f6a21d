"""Scores of a model on held-out scans, each beside those of the baselines (paper, section 4.2)."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fmri_instruct.answers.orders import choose_in_turn_over_orders, choose_over_orders
from fmri_instruct.answers.parsing import parse_answers
from fmri_instruct.answers.probabilities import ModelReader, ScanReader, most_probable
from fmri_instruct.baselines.scan_features import read_features
from fmri_instruct.evaluation.answer_table import ScanAnswer
from fmri_instruct.evaluation.baseline_answers import baseline_methods, labelled_scans
from fmri_instruct.evaluation.few_shot import few_shot_scores
from fmri_instruct.evaluation.number_metrics import expected_value
from fmri_instruct.evaluation.probe import PromptStates, probe_method
from fmri_instruct.evaluation.results import Results
from fmri_instruct.evaluation.scores import Method, score_task
from fmri_instruct.evaluation.shuffled import shuffled_between_people
from fmri_instruct.evaluation.sites import site_scores
from fmri_instruct.prompts.instructions import (
    Instruction,
    read_instructions,
    read_numbers,
    read_tasks,
)
from fmri_instruct.prompts.paraphrases import PromptBank
from fmri_instruct.settings import EvaluateSettings
from fmri_instruct.tasks.definitions import Task
from fmri_instruct.tasks.labels import fitted_bins
from fmri_llm.data.token_windows import TokenWindows
from fmri_vqtok.errors import InputError
from fmri_vqtok.formats.cohort import Cohort
from fmri_vqtok.formats.tokens import read_tokens_record

if TYPE_CHECKING:
    from fmri_llm.model.fmri_lm import FMRILM

METHODS = {
    "single": "fMRI-LM, one question",
    "multi": "fMRI-LM, several questions",
    "open": "fMRI-LM, open-ended",
}

Progress = Callable[[int, int], None]


def evaluate(
    model: "FMRILM",
    tokens_dir: Path,
    instructions_dir: Path,
    cohort_dir: Path,
    settings: EvaluateSettings,
    *,
    descriptors_dir: Path | None = None,
    seed: int = 0,
    progress: Progress = lambda _done, _total: None,
) -> Results:
    """Ask a model about every held-out scan and score its answers beside the baselines.

    Parameters
    ----------
    model : FMRILM
        A tuned model.
    tokens_dir, instructions_dir, cohort_dir : Path
        Brain tokens, instructions and signals of one cohort. Only test scans are asked about;
        the baselines are fitted on training scans.
    settings : EvaluateSettings
        Length of generated text, bootstrap.
    descriptors_dir : Path, optional
        Descriptors of that cohort, for the baseline that sees them.
    seed : int, default=0
        Seed of the bootstrap and of the baselines' inner folds.
    progress : callable, optional
        ``progress(done, total)`` after each conversation.

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
    check_held_out_length(model, tokens_dir, instructions_dir, settings.max_new_tokens)
    reader, states = ModelReader(model), None
    if settings.probe:
        states = PromptStates(model, read_tasks(instructions_dir))
        _read_for_probe(reader, states, tokens_dir, instructions_dir, progress)
    return evaluate_reader(
        reader,
        tokens_dir,
        instructions_dir,
        cohort_dir,
        settings,
        descriptors_dir=descriptors_dir,
        states=states,
        seed=seed,
        progress=progress,
    )


def _read_for_probe(
    reader: ModelReader,
    states: PromptStates,
    tokens_dir: Path,
    instructions_dir: Path,
    progress: Progress,
) -> None:
    """Read the training and validation scans that have a label."""
    for split in ("train", "validation"):
        windows = TokenWindows.read(tokens_dir, split)
        labelled = sorted({each.scan_id for each in read_instructions(instructions_dir, split)})
        for done, scan_id in enumerate(labelled, start=1):
            _read(reader, windows, split, states, scan_id)
            progress(done, len(labelled))


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
        Hidden states of the labelled training and validation scans, for the probe; those of test
        scans are added.
    seed : int, default=0
        As for `evaluate`.
    progress : callable, optional
        As for `evaluate`.

    Returns
    -------
    Results
    """
    _check_same_cohort(tokens_dir, cohort_dir)
    tasks = read_tasks(instructions_dir)
    train = read_instructions(instructions_dir, "train")
    held_out = read_instructions(instructions_dir, "test")
    validation = read_instructions(instructions_dir, "validation")
    numbers = read_numbers(instructions_dir, tasks)
    table = read_features(cohort_dir, descriptors_dir)
    subjects = dict(zip(table.scan_ids, table.subjects, strict=True))
    windows = TokenWindows.read(tokens_dir, "test")
    reading = partial(_read, reader, windows, "test", states)
    given = _answers(reader, reading, held_out, tasks, subjects, settings, progress)
    by_name = {task.name: task for task in tasks}
    answers = [_with_number(answer, by_name[answer.task], numbers) for answer in given]
    by_split = {"train": train, "validation": validation, "test": held_out}
    scores, by_task = {}, {}
    for task in tasks:
        of_task = numbers.get(task.name)
        methods = [
            *_model_methods(task, answers),
            *baseline_methods(task, train, held_out, table, settings, seed, of_task),
        ]
        if states is not None:
            methods.append(probe_method(task, by_split, states, settings, seed, of_task))
        by_task[task.name] = methods
        scans = labelled_scans(task, train, held_out, table, of_task)
        scores[task.name] = {
            **score_task(task, methods, settings, seed),
            "sites": site_scores(task, methods, scans, table),
            "few_shot": few_shot_scores(task, by_split, table, states, settings, seed, of_task),
        }
    bootstrap = {"resamples": settings.resamples, "unit": "subject", "level": settings.level}
    document = {"schema": 1, "tasks": scores, "bootstrap": bootstrap}
    return Results(answers=answers, scores=document, methods=by_task)


def _read(
    reader: ScanReader,
    windows: TokenWindows,
    split: str,
    states: PromptStates | None,
    scan_id: str,
) -> Any:
    """Read a scan once, for the questions about it and for the probe."""
    if scan_id not in windows.by_scan:
        raise InputError(f"{scan_id}: asked about, but has no {split} tokens; tokenize it")
    scan = reader.read(windows.scan(scan_id))
    if states is not None:
        states.add(scan_id, scan)
    return scan


def _answers(
    reader: ScanReader,
    reading: Callable[[str], Any],
    instructions: Sequence[Instruction],
    tasks: Sequence[Task],
    subjects: Mapping[str, str],
    settings: EvaluateSettings,
    progress: Progress,
) -> Iterator[ScanAnswer]:
    """Answers to all instructions; each scan is read once for all its questions."""
    by_name = {task.name: task for task in tasks}
    scan_id, scan = None, None
    for done, instruction in enumerate(instructions, start=1):
        if instruction.scan_id != scan_id:
            scan_id = instruction.scan_id
            if scan_id not in subjects:
                raise InputError(f"{scan_id}: asked about, but not in the cohort; make it again")
            scan = reading(scan_id)
        truth = instruction.answer
        for task, answer in _ask(reader, scan, instruction, by_name, settings):
            yield ScanAnswer(
                scan_id=instruction.scan_id,
                subject=subjects[instruction.scan_id],
                task=task,
                paradigm=instruction.paradigm,
                truth=truth if isinstance(truth, str) else truth[task],
                **answer,
            )
        progress(done, len(instructions))


def _ask(
    reader: ScanReader,
    scan: Any,
    instruction: Instruction,
    tasks: Mapping[str, Task],
    settings: EvaluateSettings,
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Name of each task of one conversation, with what the model answers to it."""
    names = [instruction.task] if isinstance(instruction.task, str) else instruction.task
    asked = [tasks[name] for name in names]
    bank = PromptBank.load()
    if instruction.paradigm == "open":
        prompt = instruction.messages[:-1]
        text = reader.describe(scan, prompt, settings.max_new_tokens)
        parsed = parse_answers(text, asked)
        for name in names:
            yield name, {"answer": parsed[name], "probabilities": None, "text": text}
        return
    # In the order of the prompt that is stored, and in the others.
    options = {name: instruction.candidates[name] for name in names}
    if instruction.paradigm == "single":
        write_one = partial(bank.single, asked[0])
        found = {names[0]: choose_over_orders(reader, scan, write_one, options[names[0]])}
    else:
        write_all = partial(bank.multi, asked)
        found = choose_in_turn_over_orders(reader, scan, write_all, options)
    for name, choice in found.items():
        yield (
            name,
            {
                "answer": most_probable(choice.probabilities),
                "probabilities": choice.probabilities,
                "first_named": choice.first_named,
            },
        )


def _with_number(
    answer: ScanAnswer, task: Task, numbers: Mapping[str, Mapping[str, float]]
) -> ScanAnswer:
    """Add the true number of a continuous task and, from the odds, the expected one."""
    if task.name not in numbers:
        return answer
    means, odds = fitted_bins(task).bin_means, answer.probabilities
    number = None if odds is None else expected_value(odds, task.candidates, means)
    return replace(answer, true_number=numbers[task.name][answer.scan_id], number=number)


def _model_methods(task: Task, answers: Sequence[ScanAnswer]) -> Iterator[Method]:
    for paradigm, name in METHODS.items():
        own = [a for a in answers if a.task == task.name and a.paradigm == paradigm]
        yield Method(name=name, answers=own, note=_order_note(own, len(task.candidates)))
    own = [a for a in answers if a.task == task.name and a.paradigm == "single"]
    yield Method(
        name=f"{METHODS['single']}, another person's scan",
        answers=shuffled_between_people(own),
        note="the same model on scans shuffled between people: one that reads the scan does better",
        baseline=True,
    )


def _order_note(answers: Sequence[ScanAnswer], n_candidates: int) -> str | None:
    """Effect of the order of the listed answers, before it was averaged out."""
    shares = [answer.first_named for answer in answers if answer.first_named is not None]
    if not shares:
        return None
    return (
        f"probabilities are averaged over the orders in which a prompt lists the answers; the "
        f"first-named was chosen in {np.mean(shares):.0%} of the prompts, "
        f"{1 / n_candidates:.0%} if the order had no say"
    )


def _check_same_cohort(tokens_dir: Path, cohort_dir: Path) -> None:
    tokens, cohort = read_tokens_record(tokens_dir)["order_hash"], Cohort(cohort_dir).order_hash
    if tokens != cohort:
        raise InputError(
            f"{tokens_dir}: region order {tokens}, but {cohort_dir} has {cohort};"
            " give the tokens of this cohort"
        )
