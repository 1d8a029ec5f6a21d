"""What predicts a phenotype: text, features, connectome, and the baseline that looks at nothing."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fmri_descriptors.errors import InputError
from fmri_descriptors.informative.folds import count_subjects
from fmri_descriptors.informative.settings import EvaluateDescriptorsSettings
from fmri_descriptors.informative.tables import Tables

if TYPE_CHECKING:
    from sklearn.pipeline import Pipeline

TextClassifier = Callable[[], Any]
"""Makes a fresh classifier of texts: ``fit(texts, y)``, ``predict_proba(texts)``, ``classes_``."""

_WORD = r"(?u)\b[^\W\d][\w-]+\b"  # numbers are left out: TF-IDF cannot tell that 1.9 is near 2.0


@dataclass(frozen=True)
class Method:
    """One way to predict a phenotype.

    Parameters
    ----------
    name : str
        How tables call it.
    note : str
        What it does, in a few words.
    inputs : sequence
        What it looks at, one entry a scan; arrays and lists of texts alike.
    make : callable
        Takes targets and subjects of the training scans, returns an estimator that is not fitted.
    """

    name: str
    note: str
    inputs: Any
    make: Callable[[NDArray[Any], NDArray[Any]], Any]


def methods(
    tables: Tables,
    settings: EvaluateDescriptorsSettings,
    seed: int,
    encoder: tuple[str, TextClassifier] | None = None,
) -> list[Method]:
    """Return every method that a target of this kind is predicted with.

    Parameters
    ----------
    tables : Tables
        What to predict from.
    settings : EvaluateDescriptorsSettings
        Penalties to choose from.
    seed : int
        Seed of the inner folds.
    encoder : (str, callable), optional
        Name of a text encoder, and what makes a fresh classifier.

    Raises
    ------
    InputError
        If a text encoder is given for a number.
    """
    model = "logistic" if tables.kind == "category" else "ridge"
    text, table = (
        _searched(make, grid, settings.inner_folds, tables.kind, seed)
        for make, grid in (
            (_text_pipeline(tables.kind, settings.longest_phrase), settings.text_strengths),
            (_table_pipeline(tables.kind), settings.table_strengths),
        )
    )
    texts = np.asarray(tables.captions, dtype=object)
    found = [
        Method("captions", f"TF-IDF of phrases, {model} regression", texts, text),
        Method("features", f"standardised, {model} regression", tables.features, table),
        Method(
            "connectome",
            f"Fisher z of region pairs, standardised, {model} regression",
            tables.connectomes,
            table,
        ),
        _blind(tables),
    ]
    if encoder is not None:
        found.insert(1, _encoder_method(tables, *encoder))
    return found


def _blind(tables: Tables) -> Method:
    from sklearn.dummy import DummyClassifier, DummyRegressor

    blank = np.zeros((len(tables.captions), 1))
    if tables.kind == "category":
        note = "most frequent class of the training scans"
        return Method("majority", note, blank, lambda *_: DummyClassifier(strategy="prior"))
    return Method("mean", "mean of the training scans", blank, lambda *_: DummyRegressor())


def _encoder_method(tables: Tables, name: str, make: TextClassifier) -> Method:
    if tables.kind != "category":
        raise InputError(
            f"text encoder {name}: predicts classes, but the target is a number; leave it out, or "
            "use target_kind: category"
        )
    texts = np.asarray(tables.captions, dtype=object)
    return Method("text encoder", f"{name}, fine-tuned on the captions", texts, lambda *_: make())


def _text_pipeline(kind: str, longest_phrase: int) -> Callable[[float], "Pipeline"]:
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.pipeline import make_pipeline

    def make(strength: float) -> "Pipeline":
        words = TfidfVectorizer(
            ngram_range=(1, longest_phrase), token_pattern=_WORD, sublinear_tf=True
        )
        return make_pipeline(words, _linear(kind, strength))

    return make


def _table_pipeline(kind: str) -> Callable[[float], "Pipeline"]:
    from sklearn.decomposition import PCA
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    def make(strength: float) -> "Pipeline":
        return make_pipeline(
            # A column that no training scan has stays, as a constant.
            SimpleImputer(keep_empty_features=True),
            StandardScaler(),
            # All components: a rotation, which leaves an L2 penalty as it is and makes the
            # regression as small as the number of scans.
            PCA(svd_solver="full"),
            _linear(kind, strength),
        )

    return make


def _linear(kind: str, strength: float) -> Any:
    from sklearn.linear_model import LogisticRegression, Ridge

    if kind == "category":
        return LogisticRegression(C=strength, max_iter=5000)
    return Ridge(alpha=1 / strength)


def _searched(
    make: Callable[[float], "Pipeline"],
    strengths: Sequence[float],
    n_folds: int,
    kind: str,
    seed: int,
) -> Callable[[NDArray[Any], NDArray[Any]], Any]:
    """Pipeline whose penalty is chosen by folds of the training subjects."""

    def build(y: NDArray[Any], subjects: NDArray[Any]) -> Any:
        from sklearn.model_selection import GridSearchCV, StratifiedGroupKFold

        classes = y if kind == "category" else np.zeros(len(y))
        fewest = min(count_subjects(classes.tolist(), subjects.tolist()).values())
        middle = sorted(strengths)[len(strengths) // 2]
        if fewest < n_folds or len(strengths) == 1:
            return make(middle)
        splitter = StratifiedGroupKFold(n_folds, shuffle=True, random_state=seed)
        pipeline = make(middle)
        last = pipeline.steps[-1][0]
        grid = (
            {f"{last}__C": sorted(strengths)}
            if kind == "category"
            else {f"{last}__alpha": sorted((1 / c for c in strengths), reverse=True)}
        )
        return GridSearchCV(
            pipeline,
            grid,
            scoring="balanced_accuracy" if kind == "category" else "neg_mean_squared_error",
            cv=list(splitter.split(classes, classes, groups=subjects)),
        )

    return build
