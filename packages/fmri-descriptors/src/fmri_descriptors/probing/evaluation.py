"""Out-of-fold predictions of a phenotype, their scores, and the files that hold them."""

import csv
import itertools
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from fmri_descriptors.probing.folds import Folds, make_folds
from fmri_descriptors.probing.intervals import Interval, Statistic, bootstrap, exact_where_few
from fmri_descriptors.probing.methods import Method, TextClassifier, methods
from fmri_descriptors.probing.report import markdown
from fmri_descriptors.probing.scores import (
    class_bounds,
    class_statistics,
    mean_of,
    number_statistics,
)
from fmri_descriptors.probing.settings import EvaluateDescriptorsSettings
from fmri_descriptors.probing.tables import Tables, read_tables
from fmri_descriptors.utils.files import write_json

SCHEMA = 2
"""Version of ``evaluation.json``."""

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Row:
    """One method's scores.

    Parameters
    ----------
    method, note : str
        Its name, and what it does.
    scores : dict of str to Interval
        By the score's name; means over the repeats.
    by_repeat : dict of str to tuple of float
        By the score's name, its value with the folds of each repeat.
    """

    method: str
    note: str
    scores: dict[str, Interval]
    by_repeat: dict[str, tuple[float, ...]]


@dataclass(frozen=True)
class Repeat:
    """Folds, and what was predicted with them.

    Parameters
    ----------
    folds : Folds
        Which fold each scan was held out in.
    predictions : dict of str to ndarray
        By method: probabilities (n, K), or predicted numbers (n, 1), of models that did not see
        the scan's subject.
    """

    folds: Folds
    predictions: dict[str, NDArray[np.float64]]


@dataclass(frozen=True)
class Evaluation:
    """How well a phenotype is predicted.

    Parameters
    ----------
    target : str
        Name of the phenotype.
    tables : Tables
        What was predicted, and from what.
    classes : tuple of str
        Classes in the order of the probabilities; empty for a number.
    rows : tuple of Row
        One a method.
    repeats : tuple of Repeat
        One for each time that the folds were drawn.
    settings : EvaluateDescriptorsSettings
        How it was done.
    """

    target: str
    tables: Tables
    classes: tuple[str, ...]
    rows: tuple[Row, ...]
    repeats: tuple[Repeat, ...]
    settings: EvaluateDescriptorsSettings

    @property
    def folds(self) -> Folds:
        """Folds of the first repeat."""
        return self.repeats[0].folds

    @property
    def predictions(self) -> dict[str, NDArray[np.float64]]:
        """Predictions of the first repeat, by method."""
        return self.repeats[0].predictions

    def score(self, method: str, name: str) -> Interval:
        """Return one score of one method."""
        return next(row for row in self.rows if row.method == method).scores[name]

    def to_dict(self) -> dict[str, Any]:
        """Return what ``evaluation.json`` holds."""
        scans = self.tables.scans
        return {
            "schema": SCHEMA,
            "target": self.target,
            "kind": self.tables.kind,
            "classes": {name: int((scans["target"] == name).sum()) for name in self.classes},
            "n_scans": len(scans),
            "n_subjects": int(scans["subject"].nunique()),
            "n_without_target": self.tables.n_missing,
            "folds": self.folds.n_folds,
            "repeats": len(self.repeats),
            "stratified_by": list(self.folds.stratified_by),
            "rows": [
                {
                    "method": row.method,
                    "note": row.note,
                    **{
                        name: _plain(interval) | {"by_repeat": _known(row.by_repeat[name])}
                        for name, interval in row.scores.items()
                    },
                }
                for row in self.rows
            ],
            "bootstrap": {
                "resamples": self.settings.bootstrap_resamples,
                "unit": "subject",
                "level": self.settings.interval,
            },
        }

    def write(self, directory: Path) -> None:
        """Write ``evaluation.json``, ``evaluation.md`` and ``predictions.tsv``.

        Parameters
        ----------
        directory : Path
            An existing directory.
        """
        document = self.to_dict()
        write_json(document, Path(directory) / "evaluation.json")
        (Path(directory) / "evaluation.md").write_text(markdown(document), encoding="utf-8")
        self._write_predictions(Path(directory) / "predictions.tsv")

    def summary(self) -> str:
        """Return one line with the first score of every method."""
        name = next(iter(self.rows[0].scores))
        scores = ", ".join(f"{row.method} {row.scores[name].value:.3f}" for row in self.rows)
        scans = self.tables.scans
        return (
            f"{self.target}, {name.upper()} over {scans['subject'].nunique()} subjects in "
            f"{self.folds.n_folds} folds{self._spread(name)}: {scores}"
        )

    def _spread(self, name: str) -> str:
        """Largest difference that drawing the folds anew made to a score, if they were."""
        if len(self.repeats) == 1:
            return ""
        widest = max(max(row.by_repeat[name]) - min(row.by_repeat[name]) for row in self.rows)
        return f" drawn {len(self.repeats)} times (which moves it by up to {widest:.3f})"

    def _write_predictions(self, path: Path) -> None:
        columns = self.classes or ("prediction",)
        with path.open("w", encoding="utf-8", newline="") as file:
            rows = csv.writer(file, delimiter="\t", lineterminator="\n")
            rows.writerow(["scan_id", "subject", "repeat", "fold", "truth", "method", *columns])
            for number, repeat in enumerate(self.repeats, start=1):
                for method, values in repeat.predictions.items():
                    for scan, fold, line in zip(
                        self.tables.scans.itertuples(), repeat.folds.number, values, strict=True
                    ):
                        known = [scan.Index, scan.subject, number, fold + 1, scan.target, method]
                        rows.writerow([*known, *(repr(float(value)) for value in line)])


def evaluate_descriptors(
    cohort_dir: Path,
    descriptors_dir: Path,
    target: str,
    settings: EvaluateDescriptorsSettings | None = None,
    seed: int = 0,
    *,
    encoder: tuple[str, TextClassifier] | None = None,
    progress: Progress = lambda *_: None,
) -> Evaluation:
    """Predict a phenotype of a described cohort from captions, features and connectomes.

    Every scan is predicted by models that saw no scan of its subject; vocabulary, scaling,
    imputation, rotation and penalty belong to the model and are learned from its training scans.

    Parameters
    ----------
    cohort_dir, descriptors_dir : Path
        What `write_cohort` and `describe_cohort` wrote.
    target : str
        Phenotype of the cohort.
    settings : EvaluateDescriptorsSettings, optional
        How it is predicted.
    seed : int
        Seed of folds and resamples.
    encoder : (str, callable), optional
        Name of a text encoder, and what makes a fresh classifier of texts (see
        `find_text_classifier`).
    progress : callable
        Called with (models done, models in all).

    Raises
    ------
    InputError
        If the target is no phenotype, has too few subjects a class, or the two folders do not
        belong together.
    """
    settings = settings or EvaluateDescriptorsSettings()
    tables = read_tables(
        cohort_dir, descriptors_dir, target, kind=settings.target_kind, domain=settings.domain
    )
    return evaluate_tables(tables, target, settings, seed, encoder=encoder, progress=progress)


def evaluate_tables(
    tables: Tables,
    target: str,
    settings: EvaluateDescriptorsSettings | None = None,
    seed: int = 0,
    *,
    encoder: tuple[str, TextClassifier] | None = None,
    progress: Progress = lambda *_: None,
) -> Evaluation:
    """Predict a phenotype from tables at hand; parameters as in `evaluate_descriptors`."""
    settings = settings or EvaluateDescriptorsSettings()
    truth = tables.scans["target"].to_numpy()
    classes = tuple(sorted(set(truth))) if tables.kind == "category" else ()
    compared = methods(tables, settings, seed, encoder)
    drawn = [_folds(tables, settings, seed, number) for number in range(settings.repeats)]
    total = len(compared) * sum(folds.n_folds for folds in drawn)
    fitted = itertools.count(1)
    repeats = [Repeat(folds, {}) for folds in drawn]
    with threadpool_limits(limits=1):  # the same bits whatever the number of cores
        for repeat in repeats:
            for method in compared:
                repeat.predictions[method.name] = _out_of_fold(
                    method, tables, repeat.folds, classes, lambda: progress(next(fitted), total)
                )
    rows = tuple(_row(method, tables, classes, repeats, settings, seed) for method in compared)
    return Evaluation(target, tables, classes, rows, tuple(repeats), settings)


def _folds(tables: Tables, settings: EvaluateDescriptorsSettings, seed: int, number: int) -> Folds:
    """Folds of one repeat; those of the first are drawn with the run's own seed."""
    state = np.random.SeedSequence([seed, number]).generate_state(1)
    return make_folds(
        tables.scans["target"].tolist(),
        tables.scans["site"].tolist(),
        tables.scans["subject"].tolist(),
        kind=tables.kind,
        n_folds=settings.folds,
        seed=int(state[0]) if number else seed,
    )


def _out_of_fold(
    method: Method,
    tables: Tables,
    folds: Folds,
    classes: tuple[str, ...],
    advance: Callable[[], None],
) -> NDArray[np.float64]:
    """Prediction of each scan by the model of its fold, (n, K) or (n, 1)."""
    truth, subjects = (tables.scans[name].to_numpy() for name in ("target", "subject"))
    predicted = np.zeros((len(truth), max(len(classes), 1)))
    for fold in range(folds.n_folds):
        held_out = folds.number == fold
        y = truth[~held_out].astype(str if classes else np.float64)
        model = method.make(y, subjects[~held_out]).fit(method.inputs[~held_out], y)
        if classes:
            # A class that no training scan has keeps probability 0.
            columns = [classes.index(str(name)) for name in model.classes_]
            predicted[np.ix_(held_out, columns)] = model.predict_proba(method.inputs[held_out])
        else:
            predicted[held_out, 0] = model.predict(method.inputs[held_out])
        advance()
    return predicted


def _row(
    method: Method,
    tables: Tables,
    classes: tuple[str, ...],
    repeats: list[Repeat],
    settings: EvaluateDescriptorsSettings,
    seed: int,
) -> Row:
    each = [_statistics(repeat, method.name, tables, classes) for repeat in repeats]
    everything = np.arange(len(tables.scans))
    by_repeat = {name: tuple(one[name](everything) for one in each) for name in each[0]}
    subjects = tables.scans["subject"].to_numpy()
    found = bootstrap(
        {name: mean_of([one[name] for one in each]) for name in each[0]},
        subjects,
        resamples=settings.bootstrap_resamples,
        level=settings.interval,
        seed=seed,
    )
    if classes:
        probabilities = np.mean([repeat.predictions[method.name] for repeat in repeats], axis=0)
        exact = class_bounds(
            _numbered(tables, classes), probabilities, subjects, found["auc"].value
        )
        found = exact_where_few(found, exact, len(set(subjects)), settings.interval)
    return Row(method.name, method.note, found, by_repeat)


def _numbered(tables: Tables, classes: tuple[str, ...]) -> NDArray[np.intp]:
    truth = tables.scans["target"].to_numpy()
    return np.searchsorted(np.asarray(classes), truth.astype(str))


def _statistics(
    repeat: Repeat, method: str, tables: Tables, classes: tuple[str, ...]
) -> dict[str, Statistic]:
    folds, predicted = repeat.folds, repeat.predictions[method]
    if classes:
        return class_statistics(_numbered(tables, classes), predicted, folds.number)
    numbers = tables.scans["target"].to_numpy().astype(np.float64)
    means = np.array([numbers[folds.number != k].mean() for k in range(folds.n_folds)])
    return number_statistics(numbers, predicted[:, 0], means[folds.number])


def _plain(interval: Interval) -> dict[str, Any]:
    return {
        name: value if isinstance(value, str) or math.isfinite(value) else None
        for name, value in asdict(interval).items()
    }


def _known(values: tuple[float, ...]) -> list[float | None]:
    return [value if math.isfinite(value) else None for value in values]
