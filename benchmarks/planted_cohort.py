"""What a language model reads of scans with planted effects, beside the best classical method.

A simulated cohort has sex planted in couplings and a diagnosis in amplitude and slowness. The
stages of a run make a tokenizer, tokens and a language model from its training scans, with the
first layers of SmolLM2-135M-Instruct as the base. On the held-out scans it is printed:

- questions whether a measure is above or below average (AUC), and captions found among all, each
  with the scan itself, with another person's, and with none;
- sex and diagnosis as the tuned model answers them, beside the baselines of `fmri evaluate`;
- sex and diagnosis from the model's own hidden state at the end of a prompt (logistic regression,
  whose penalty validation scans choose), beside the connectome of the recordings, that of the
  codes, and the z-scores of the descriptors.

    OMP_NUM_THREADS=2 python benchmarks/planted_cohort.py --out planted
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import sklearn
import torch
from language_model_speed import cut_base
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fmri_llm import FMRILM, TokenWindows
from fmri_llm.brain_input.scans import scan_covariance
from fmri_llm.data.examples import scans_of
from fmri_vqtok.formats.cohort import Cohort, read_scan_table
from fmri_vqtok.formats.zscores import read_zscores

SPLITS = ("train", "validation", "test")
POSITIVE = {"sex": "male", "diagnosis": "patient"}
EFFECTS = (
    "[{kind: pair, networks: [Default Mode, Frontoparietal], phenotype: sex, size: 1.6},"
    " {kind: coupling, networks: [Visual], phenotype: sex, size: -1.6},"
    " {kind: integration, phenotype: sex, size: 1.6},"
    " {kind: pair, networks: [Somatomotor, Dorsal Attention], phenotype: sex, size: -1.6},"
    " {kind: amplitude, networks: [Visual], phenotype: diagnosis, size: 1.2},"
    " {kind: slowness, phenotype: diagnosis, size: 1.2}]"
)
LAYERS = "[q_proj, k_proj, v_proj, o_proj, gate_proj, up_proj, down_proj]"
TASKS = """
schema: 1
tasks:
  sex:
    title: sex
    answers: [female, male]
    label: {phenotype: sex}
    questions: ["Is this person female or male?", "What is the sex of this person?"]
    statements: ["The person is {answer}."]
  diagnosis:
    title: diagnosis
    answers: [control, patient]
    label: {phenotype: diagnosis}
    questions: ["Which group is this person of?", "Which group does this scan suggest?"]
    statements: ["The person is a {answer}."]
"""
PENALTIES = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)
PROMPT = "Is this person female or male, healthy or ill?"
Features = dict[str, NDArray[np.float64]]


def fmri(settings: dict[str, object], *arguments: object) -> None:
    """Run a stage, with settings."""
    sets = [part for name, value in settings.items() for part in ("--set", f"{name}={value}")]
    command = [sys.executable, "-m", "fmri_cli", *map(str, arguments), *sets]
    subprocess.run(command, check=True)  # noqa: S603 - our own command


def make_run(out: Path, options: argparse.Namespace) -> None:
    """All stages up to the language model."""
    base = out / "base"
    if not base.is_dir():
        cut_base(options.layers, base)
    text = Path(sklearn.__file__).parent / "datasets" / "descr"
    seed = ("--seed", options.seed)
    of_simulation = {
        "n_subjects": options.subjects,
        "parcellation": options.parcellation,
        "effects": EFFECTS,
        "sites": "[{name: one, tr: 2.0, n_frames: 160, noise: 0.2}]",
    }
    fmri(of_simulation, "simulate", "--out", out / "simulation", *seed)
    of_cohort = {
        "parcellation": options.parcellation,
        "test_fraction": 0.4,
        "validation_fraction": 0.08,
    }
    table = out / "simulation" / "scans.tsv"
    fmri(of_cohort, "cohort", table, "--out", out / "cohort", *seed)
    fmri({}, "describe", out / "cohort", "--out", out / "descriptors", *seed)
    texts = ("--text", text, "--language-model", base.resolve(), *seed)
    of_tokenizer = {
        "n_codes": 512,
        "training.steps": 60,
        "training.batch_size": 16,
        "training.learning_rate": 3e-4,
    }
    described = ("--descriptors", out / "descriptors")
    fmri(
        of_tokenizer,
        "fit-tokenizer",
        out / "cohort",
        "--out",
        out / "tokenizer",
        *described,
        *texts,
    )
    fmri({}, "tokenize", out / "cohort", out / "tokenizer", "--out", out / "tokens", *seed)
    of_model = {
        "loop.steps": options.steps,
        "loop.batch_size": 4,
        "loop.learning_rate": 3e-3,
        "loop.evaluate_every": options.steps,
        "loop.checkpoint_every": 50,
        # Questions alone: captions and plain text would take most of the time.
        "weights.f2f": 0,
        "weights.f2t": 0,
        "weights.t2t": 0,
        "text_tokens": 64,
        "corpus_tokens": 32,
        "perplexity_tokens": 64,
        "dependence_scans": 24,
        "dependence_questions": 40,
        # The first layers of a base write no text by themselves: all of their layers are adapted.
        "lora.rank": 32,
        "lora.targets": LAYERS,
        "n_questions": 16,
    }
    folders = (out / "tokens", out / "tokenizer", out / "descriptors")
    fmri(of_model, "fit-llm", *folders, "--out", out / "language-model", *texts)
    ask(out, options, seed)


def ask(out: Path, options: argparse.Namespace, seed: tuple[object, ...]) -> None:
    """Tune the model on sex and diagnosis, and score its answers."""
    tasks = out / "tasks.yaml"
    tasks.write_text(TASKS)
    cohort, tokens, instructions = (out / name for name in ("cohort", "tokens", "instructions"))
    asked = (cohort, out / "descriptors", "--tasks", tasks, "--out", instructions, *seed)
    fmri({"paradigms": "[single]"}, "make-instructions", *asked)
    of_tuning = {
        "loop.steps": options.tuning_steps,
        "loop.batch_size": 16,
        "loop.learning_rate": 2e-3,
        "loop.evaluate_every": options.tuning_steps,
        "loop.checkpoint_every": 50,
        "conversations": 2,
        "validation_examples": 48,
    }
    given = (out / "language-model", tokens, instructions)
    fmri(of_tuning, "tune", *given, "--out", out / "tuned-model", *seed)
    given = (out / "tuned-model", tokens, instructions, cohort)
    # One wording: hundreds of people in four take most of an hour.
    of_evaluation = {"wordings": 1, "prior": "none"}
    fmri(of_evaluation, "evaluate", *given, "--out", out / "evaluation", *seed)


def features_of(out: Path) -> dict[str, Features]:
    """Compute what sex and diagnosis are predicted from, by method and split."""
    cohort, z = Cohort(out / "cohort"), read_zscores(out / "descriptors")
    upper = np.triu_indices(cohort.n_regions, 1)
    model = FMRILM.from_pretrained(out / "language-model")
    tokenizer = model.brain_tokenizer
    windows = {split: TokenWindows.read(out / "tokens", split) for split in SPLITS}

    def connectome(covariance: NDArray[np.float64]) -> NDArray[np.float64]:
        deviations = np.sqrt(np.maximum(np.diag(covariance), 1e-6))
        r = covariance / np.outer(deviations, deviations)
        return np.arctanh(np.clip(r, -0.999, 0.999))[upper]

    def from_codes(split: str) -> NDArray[np.float64]:
        names = windows[split].scan_ids
        found = [
            scan_covariance(tokenizer, scans_of([windows[split].scan(name)]))[0] for name in names
        ]
        return np.stack([connectome(each.double().numpy()) for each in found])

    def hidden(split: str) -> NDArray[np.float64]:
        names = windows[split].scan_ids
        found = [
            model.hidden_states(scans_of([windows[split].scan(name)]), PROMPT)[0, -1]
            for name in names
        ]
        return torch.stack(found).double().numpy()

    methods: dict[str, Callable[[str], NDArray[np.float64]]] = {
        "connectome of the recordings": lambda split: np.stack(
            [connectome(np.cov(scan.bold.T)) for scan in cohort.scans(split)]
        ),
        "connectome of the codes": from_codes,
        "z-scores of the descriptors": lambda split: (
            z.loc[windows[split].scan_ids].drop(columns="split").fillna(0.0).to_numpy()
        ),
        "hidden state of the language model": hidden,
    }
    return {name: {split: method(split) for split in SPLITS} for name, method in methods.items()}


def auc(features: Features, labels: dict[str, NDArray[np.bool_]]) -> float:
    """AUC on test scans of a logistic regression whose penalty validation scans choose."""

    def fitted(penalty: float) -> LogisticRegression:
        regression = LogisticRegression(C=penalty, max_iter=2000)
        return make_pipeline(StandardScaler(), regression).fit(features["train"], labels["train"])

    def score(penalty: float, split: str) -> float:
        scores = fitted(penalty).decision_function(features[split])
        return float(roc_auc_score(labels[split], scores))

    best = max(PENALTIES, key=lambda penalty: score(penalty, "validation"))
    return score(best, "test")


def main() -> None:
    """Make the run, as far as it is not there yet, and print both tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--parcellation", default="schaefer100-7n")
    parser.add_argument("--subjects", type=int, default=600)
    parser.add_argument("--layers", type=int, default=2)
    parser.add_argument("--steps", type=int, default=160)
    parser.add_argument("--tuning-steps", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    out = options.out
    out.mkdir(exist_ok=True)
    make_run(out, options)
    found = json.loads((out / "language-model" / "scan-dependence.json").read_text())
    for condition, by_domain in found["question_auc"].items():
        figures = ", ".join(f"{name} {value:.3f}" for name, value in by_domain.items())
        loss = found["caption_loss"][condition]
        print(f"{condition:9} questions AUC: {figures}; caption loss {loss:.3f}")
    print(f"retrieval {found['retrieval']:.2f} (chance {found['retrieval_chance']:.2f})")
    for task, entry in json.loads((out / "evaluation" / "scores.json").read_text())[
        "tasks"
    ].items():
        for row in entry["rows"]:
            figures = ", ".join(
                f"{name} {row[name]['value']:.3f} [{row[name]['low']:.3f}, {row[name]['high']:.3f}]"
                for name in ("accuracy", "auc")
                if row.get(name)
            )
            print(f"{task:10} {row['method']:36} {figures}")
    table = read_scan_table(out / "cohort")
    ids = {split: TokenWindows.read(out / "tokens", split).scan_ids for split in SPLITS}
    for method, features in features_of(out).items():
        scores = {}
        for phenotype, positive in POSITIVE.items():
            labels = {
                split: (table.loc[ids[split], phenotype] == positive).to_numpy() for split in SPLITS
            }
            scores[phenotype] = auc(features, labels)
        print(f"{method:36}", ", ".join(f"{name} {value:.3f}" for name, value in scores.items()))


if __name__ == "__main__":
    main()
