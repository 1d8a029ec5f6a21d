"""Scores of a model on held-out scans, each beside those of the baselines (paper, section 4.2)."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fmri_instruct.answers.orders import (
    Choice,
    choose_in_turn_over_orders,
    choose_over_orders,
)
from fmri_instruct.answers.parsing import parse_answers
from fmri_instruct.answers.probabilities import ModelReader, ScanReader, most_probable
from fmri_instruct.evaluation.answer_table import ScanAnswer
from fmri_instruct.evaluation.baseline_answers import baseline_methods, read_connectomes
from fmri_instruct.evaluation.number_metrics import expected_value
from fmri_instruct.evaluation.pairs import score_pairs
from fmri_instruct.evaluation.scores import Method, score_task
from fmri_instruct.evaluation.shuffled import shuffled_between_people
from fmri_instruct.prompts.context import with_context
from fmri_instruct.prompts.instructions import (
    Instruction,
    read_instructions,
    read_numbers,
    read_tasks,
)
from fmri_instruct.prompts.paraphrases import PromptBank
from fmri_instruct.settings import EvaluateSettings
from fmri_instruct.tasks.definitions import Task
from fmri_instruct.tasks.kinds import METRIC_NAMES
from fmri_instruct.tasks.labels import fitted_bins
from fmri_llm.data.token_windows import TokenWindows
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
    """

    answers: list[ScanAnswer]
    scores: dict[str, Any]
    pairs: list[dict[str, Any]]

    def write(self, directory: Path) -> None:
        """Write ``answers.jsonl``, ``pairs.jsonl`` and ``scores.json``.

        Parameters
        ----------
        directory : Path
            An existing folder.
        """
        write_json_lines(map(asdict, self.answers), directory / "answers.jsonl")
        write_json_lines(self.pairs, directory / "pairs.jsonl")
        write_json(self.scores, directory / "scores.json")

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
    return evaluate_reader(
        ModelReader(model),
        tokens_dir,
        instructions_dir,
        cohort_dir,
        settings,
        seed=seed,
        progress=progress,
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
    numbers = read_numbers(instructions_dir, tasks)
    connectomes = read_connectomes(cohort_dir)
    subjects = {scan.scan_id: scan.subject for scan in connectomes}
    windows = TokenWindows.read(tokens_dir, "test")
    given = _answers(reader, held_out, tasks, windows, subjects, settings, progress)
    by_name = {task.name: task for task in tasks}
    answers = [_with_number(answer, by_name[answer.task], numbers) for answer in given]
    table, pairs = {}, list[dict[str, Any]]()
    for task in tasks:
        baselines = baseline_methods(
            task, train, held_out, connectomes, settings, seed, numbers.get(task.name)
        )
        methods = [*_model_methods(task, answers), *baselines]
        table[task.name] = score_task(task, methods, settings, seed)
        if compared := score_pairs(task, methods, settings, seed):
            table[task.name]["pairs"] = compared.scores
            pairs += compared.predictions
    bootstrap = {"resamples": settings.resamples, "unit": "subject", "level": settings.level}
    scores = {"schema": 1, "tasks": table, "bootstrap": bootstrap}
    return Results(answers=answers, scores=scores, pairs=pairs)


def _answers(
    reader: ScanReader,
    instructions: Sequence[Instruction],
    tasks: Sequence[Task],
    windows: TokenWindows,
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
            if scan_id not in windows.by_scan or scan_id not in subjects:
                raise InputError(f"{scan_id}: asked about, but has no test tokens; tokenize it")
            scan = reader.read(windows.scan(scan_id))
        truth = instruction.answer
        for task, answer in _ask(reader, scan, instruction, by_name, settings):
            yield ScanAnswer(
                scan_id=instruction.scan_id,
                subject=subjects[instruction.scan_id],
                task=task,
                truth=truth if isinstance(truth, str) else truth[task],
                **{"paradigm": instruction.paradigm, **answer},
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
        if instruction.context:
            told = choose_over_orders(
                reader,
                scan,
                lambda order: with_context(write_one(order), instruction.context),
                options[names[0]],
            )
            yield names[0], {"paradigm": "context", **_chosen(told)}
    else:
        write_all = partial(bank.multi, asked)
        found = choose_in_turn_over_orders(reader, scan, write_all, options)
    for name, choice in found.items():
        yield name, _chosen(choice)


def _chosen(choice: Choice) -> dict[str, Any]:
    return {
        "answer": most_probable(choice.probabilities),
        "probabilities": choice.probabilities,
        "first_named": choice.first_named,
    }


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
        notes = [_order_note(own, len(task.candidates))]
        notes += [TOLD_NOTE] if paradigm == "context" else []
        yield Method(name=name, answers=own, note="; ".join(filter(None, notes)) or None)
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
