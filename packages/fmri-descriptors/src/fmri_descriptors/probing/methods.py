"""What predicts a phenotype: text, features, connectome, and a dummy that uses no input."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, clone
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.feature_extraction.text import CountVectorizer, TfidfTransformer
from sklearn.feature_selection import f_classif, f_regression
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from fmri_descriptors.errors import InputError
from fmri_descriptors.probing.search import SeenColumns, SelectUpToKBest, grid_search
from fmri_descriptors.probing.settings import EvaluateDescriptorsSettings
from fmri_descriptors.probing.tables import Tables

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
    common = (tables.kind, settings, seed)
    # Counting learns nothing; which phrases there are, and how rare, is learned with each model.
    phrases = CountVectorizer(ngram_range=(1, settings.longest_phrase), token_pattern=_WORD)
    found = [
        Method(
            "captions",
            f"TF-IDF of phrases, {model} regression",
            phrases.fit_transform(tables.captions).tocsr(),
            _searched(
                [SeenColumns(), TfidfTransformer(sublinear_tf=True)],
                settings.text_strengths,
                settings.keep_best,
                *common,
            ),
        ),
        Method(
            "features",
            f"standardised, {model} regression",
            tables.features,
            _searched(_standardised(), settings.table_strengths, settings.keep_best, *common),
        ),
        Method(
            "connectome",
            f"Fisher z of region pairs, standardised, {model} regression",
            tables.connectomes,
            _searched(_standardised(), settings.table_strengths, (0,), *common),
        ),
        _dummy(tables),
    ]
    if encoder is not None:
        found.insert(1, _encoder_method(tables, *encoder))
    return found


def _dummy(tables: Tables) -> Method:
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


def _standardised() -> list[Any]:
    # A column that no training scan has stays, as a constant.
    return [SimpleImputer(keep_empty_features=True), StandardScaler()]


def _searched(
    preprocessing: Sequence[Any],
    strengths: Sequence[float],
    keep_best: Sequence[int],
    kind: str,
    settings: EvaluateDescriptorsSettings,
    seed: int,
) -> Callable[[NDArray[Any], NDArray[Any]], BaseEstimator]:
    """Make a search over the number of columns and the penalty of a linear model."""
    category = kind == "category"
    steps = [(type(step).__name__, step) for step in preprocessing]
    steps.append(("best", SelectUpToKBest(f_classif if category else f_regression)))
    steps.append(("model", LogisticRegression(max_iter=5000) if category else Ridge()))
    # The last parameter by name varies fastest: all strengths of a number of columns, rising.
    rising = sorted(strengths)
    grid: dict[str, list[Any]] = {
        "best__k": [number or "all" for number in keep_best],
        "model__C" if category else "model__alpha": rising if category else [1 / c for c in rising],
    }
    return lambda y, subjects: grid_search(
        clone(Pipeline(steps)), grid, y, subjects, n_folds=settings.inner_folds, seed=seed
    )
