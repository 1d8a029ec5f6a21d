"""What predicts a phenotype: text, features, connectome, and the baseline that looks at nothing."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fmri_descriptors.errors import InputError
from fmri_descriptors.probing.search import SearchedModel, Strongest
from fmri_descriptors.probing.settings import EvaluateDescriptorsSettings
from fmri_descriptors.probing.tables import Tables

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
    common = (tables, settings, seed)
    text = _searched(
        _words(settings.longest_phrase), settings.text_strengths, settings.keep_best, *common
    )
    table = _searched(
        _standardised(rotated=False), settings.table_strengths, settings.keep_best, *common
    )
    connectome = _searched(_standardised(rotated=True), settings.table_strengths, (0,), *common)
    texts = np.asarray(tables.captions, dtype=object)
    found = [
        Method("captions", f"TF-IDF of phrases, {model} regression", texts, text),
        Method("features", f"standardised, {model} regression", tables.features, table),
        Method(
            "connectome",
            f"Fisher z of region pairs, standardised, {model} regression",
            tables.connectomes,
            connectome,
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


def _searched(
    prefix: "Pipeline",
    strengths: Sequence[float],
    keep_best: Sequence[int],
    tables: Tables,
    settings: EvaluateDescriptorsSettings,
    seed: int,
) -> Callable[[NDArray[Any], NDArray[Any]], SearchedModel]:
    candidates = [_linear(tables.kind, c, keep) for keep in keep_best for c in sorted(strengths)]
    return lambda _, subjects: SearchedModel(
        prefix, candidates, subjects, settings.inner_folds, seed, kind=tables.kind
    )


def _words(longest_phrase: int) -> "Pipeline":
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.pipeline import make_pipeline

    return make_pipeline(
        TfidfVectorizer(ngram_range=(1, longest_phrase), token_pattern=_WORD, sublinear_tf=True)
    )


def _standardised(*, rotated: bool) -> "Pipeline":
    from sklearn.decomposition import PCA
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    # A column that no training scan has stays, as a constant.
    steps = [SimpleImputer(keep_empty_features=True), StandardScaler()]
    # All components: a rotation, which leaves an L2 penalty as it is and makes the regression as
    # small as the number of scans.
    return make_pipeline(*steps, *([PCA(svd_solver="full")] if rotated else []))


def _linear(kind: str, strength: float, keep_best: int) -> "Pipeline":
    from sklearn.feature_selection import f_classif, f_regression
    from sklearn.linear_model import LogisticRegression, Ridge
    from sklearn.pipeline import make_pipeline

    category = kind == "category"
    model = LogisticRegression(C=strength, max_iter=5000) if category else Ridge(alpha=1 / strength)
    if keep_best == 0:
        return make_pipeline(model)
    return make_pipeline(Strongest(f_classif if category else f_regression, keep_best), model)
