"""Kinds of tasks, and the scores that each kind has."""

from typing import Literal, get_args

Kind = Literal["binary", "categorical", "ordinal", "continuous"]
KINDS: tuple[Kind, ...] = get_args(Kind)

CLASS_METRICS = ("accuracy", "balanced_accuracy", "macro_f1", "auc")
"""Scores of chosen answers."""

CALIBRATION_METRICS = ("ece",)
"""Whether the probabilities are right; they do not say which of two methods knows more."""

NUMBER_METRICS = ("mae", "pearson", "spearman")
"""Scores of predicted numbers."""

METRIC_NAMES = {
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "macro_f1": "macro F1",
    "auc": "AUC",
    "ece": "expected calibration error",
    "mae": "MAE",
    "pearson": "Pearson r",
    "spearman": "Spearman rho",
}
"""How a sentence calls each score."""


def metrics_of(kind: Kind) -> tuple[str, ...]:
    """Scores that answers to a task of this kind have, its usual main score first.

    Parameters
    ----------
    kind : str
        One of `KINDS`.

    Returns
    -------
    tuple of str
        Of a continuous task those of the expected value, then those of the bin that was chosen.

    Examples
    --------
    >>> metrics_of("continuous")[0]
    'mae'
    """
    if kind == "continuous":
        return (*NUMBER_METRICS, "accuracy", "balanced_accuracy")
    return CLASS_METRICS
