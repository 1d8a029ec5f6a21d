"""A linear model chosen by folds of the training subjects."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.pipeline import Pipeline, make_pipeline

from fmri_descriptors.probing.folds import count_subjects

_LEAST = 1e-12  # a class that the training scans lack costs the same with every candidate


class SearchedModel(BaseEstimator):
    """Preprocessing, then the candidate that predicts held-out training subjects best.

    Parameters
    ----------
    prefix : Pipeline
        Preprocessing, fitted on the training part of each inner fold.
    candidates : sequence of Pipeline
        What may follow it.
    subjects : ndarray, (n,)
        Subject of each training scan.
    n_folds : int
        Inner folds. Where a class has fewer subjects, the middle candidate is taken.
    seed : int
        Seed of the inner folds.
    kind : str
        ``"category"``: by log loss; ``"number"``: by squared error.

    Attributes
    ----------
    chosen_ : int
        Number of the candidate.
    model_ : Pipeline
        Prefix and candidate, fitted on all training scans.
    """

    def __init__(
        self,
        prefix: Pipeline,
        candidates: Sequence[Pipeline],
        subjects: NDArray[Any],
        n_folds: int,
        seed: int,
        kind: str,
    ) -> None:
        self.prefix = prefix
        self.candidates = candidates
        self.subjects = subjects
        self.n_folds = n_folds
        self.seed = seed
        self.kind = kind

    def fit(self, X: NDArray[Any], y: NDArray[Any]) -> "SearchedModel":
        """Choose a candidate and fit it.

        Parameters
        ----------
        X : ndarray, (n, ...)
            Inputs of the training scans.
        y : ndarray, (n,)
            Their targets.
        """
        self.chosen_ = self._choose(X, y)
        chosen = clone(self.candidates[self.chosen_])
        self.model_ = make_pipeline(clone(self.prefix), chosen).fit(X, y)
        return self

    @property
    def classes_(self) -> NDArray[Any]:
        """Classes in the order of `predict_proba`."""
        return np.asarray(self.model_.classes_)

    def predict(self, X: NDArray[Any]) -> NDArray[Any]:
        """Predict targets, (n,)."""
        return np.asarray(self.model_.predict(X))

    def predict_proba(self, X: NDArray[Any]) -> NDArray[np.float64]:
        """Predict probabilities of `classes_`, (n, K)."""
        return np.asarray(self.model_.predict_proba(X))

    def _choose(self, X: NDArray[Any], y: NDArray[Any]) -> int:
        from sklearn.model_selection import StratifiedGroupKFold

        classes = y if self.kind == "category" else np.zeros(len(y))
        fewest = min(count_subjects(classes.tolist(), self.subjects.tolist()).values())
        if len(self.candidates) == 1 or fewest < self.n_folds:
            return len(self.candidates) // 2
        splitter = StratifiedGroupKFold(self.n_folds, shuffle=True, random_state=self.seed)
        losses = np.zeros(len(self.candidates))
        for learned, held_out in splitter.split(classes, classes, groups=self.subjects):
            losses += self._losses(X, y, learned, held_out)
        return int(losses.argmin())

    def _losses(
        self,
        X: NDArray[Any],
        y: NDArray[Any],
        learned: NDArray[np.intp],
        held_out: NDArray[np.intp],
    ) -> NDArray[np.float64]:
        prefix = clone(self.prefix).fit(X[learned])
        seen, unseen = prefix.transform(X[learned]), prefix.transform(X[held_out])
        loss = _log_loss if self.kind == "category" else _squared_error
        return np.array(
            [
                loss(clone(candidate).fit(seen, y[learned]), unseen, y[held_out])
                for candidate in self.candidates
            ]
        )


def _log_loss(model: Pipeline, X: Any, y: NDArray[Any]) -> float:
    of_true = (model.predict_proba(X) * (y[:, None] == model.classes_)).sum(axis=1)
    return float(-np.log(np.maximum(of_true, _LEAST)).sum())


def _squared_error(model: Pipeline, X: Any, y: NDArray[Any]) -> float:
    return float(((model.predict(X) - y) ** 2).sum())


class Strongest(TransformerMixin, BaseEstimator):
    """Columns with the strongest F test, all of them where there are no more.

    Parameters
    ----------
    test : callable
        ``f_classif`` or ``f_regression``.
    k : int
        Number of columns to keep.

    Attributes
    ----------
    kept_ : ndarray of int
        Numbers of the columns, ascending.
    """

    def __init__(self, test: Callable[..., Any], k: int) -> None:
        self.test = test
        self.k = k

    def fit(self, X: Any, y: NDArray[Any]) -> "Strongest":
        """Test every column of the training scans; a constant one comes last."""
        import warnings

        with warnings.catch_warnings(), np.errstate(divide="ignore", invalid="ignore"):
            warnings.simplefilter("ignore", UserWarning)  # tells of constant columns
            strength = np.nan_to_num(self.test(X, y)[0], nan=-1.0)
        self.kept_ = np.sort(np.argsort(-strength, kind="stable")[: self.k])
        return self

    def transform(self, X: Any) -> Any:
        """Keep the columns, (n, k)."""
        return X[:, self.kept_]
