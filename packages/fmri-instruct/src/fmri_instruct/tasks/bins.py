"""Ordinal bins of a number: how they are asked for, and what they are after fitting."""

import itertools
from collections.abc import Sequence
from typing import Annotated, Any

import numpy as np
from annotated_types import Ge
from numpy.typing import NDArray
from pydantic import AfterValidator, BeforeValidator, StrictFloat, StrictInt, model_validator

from fmri_instruct.tasks.entry import Entry
from fmri_vqtok.errors import InputError


def ascending(values: tuple[float, ...]) -> tuple[float, ...]:
    """Pass finite numbers on that rise; pydantic turns the error into one line.

    Parameters
    ----------
    values : tuple of float
        At least one.

    Returns
    -------
    tuple of float

    Raises
    ------
    ValueError
        If they do not rise, or one is not finite.
    """
    rising = all(a < b for a, b in itertools.pairwise(values))
    if not values or not rising or not np.isfinite(values).all():
        raise ValueError("give ascending numbers, such as [-1, 1]")
    return values


def _both_sides(value: Any) -> Any:
    """`1` as the multiples -1 and 1."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        if not value > 0:
            raise ValueError("give a number above 0, or ascending multiples such as [-1, 1]")
        return (-float(value), float(value))
    return value


Ascending = Annotated[tuple[StrictFloat, ...], AfterValidator(ascending)]


class Bins(Entry):
    """Where a number is cut into answers; exactly one of the three is given.

    Parameters
    ----------
    edges : tuple of float or None
        Fixed edges, ascending; n edges part n + 1 answers.
    quantiles : int or None
        Number of bins that hold equally many training subjects.
    sd : tuple of float or None
        Edges at the training mean plus these multiples of the standard deviation; one number k
        stands for -k and k.
    """

    edges: Ascending | None = None
    quantiles: Annotated[StrictInt, Ge(2)] | None = None
    sd: Annotated[Ascending, BeforeValidator(_both_sides)] | None = None

    @model_validator(mode="after")
    def _one_way(self) -> "Bins":
        given = [name for name in ("edges", "quantiles", "sd") if getattr(self, name) is not None]
        if len(given) != 1:
            raise InputError(
                f"bins: {' and '.join(given) or 'nothing'} given; give one of `edges: [30, 60]`, "
                "`quantiles: 3` and `sd: 1`"
            )
        return self

    @property
    def n_bins(self) -> int:
        """Number of bins, and so of answers."""
        if self.quantiles is not None:
            return self.quantiles
        return len(self.edges or self.sd or ()) + 1


class FittedBins(Entry):
    """Bins after fitting on training subjects, one value a subject.

    Parameters
    ----------
    edges : tuple of float
        Ascending; a number on an edge belongs to the bin above it.
    bin_means : tuple of float
        By bin, the mean of its training subjects: the number that its answer stands for.
    mean : float
        Mean of all training subjects.
    n_subjects : int
        Training subjects that have a value.
    """

    edges: tuple[float, ...]
    bin_means: tuple[float, ...]
    mean: float
    n_subjects: int


def fit_bins(bins: Bins, numbers: Sequence[float], answers: Sequence[str]) -> FittedBins:
    """Fit bins on the numbers of the training subjects.

    Parameters
    ----------
    bins : Bins
        Where to cut.
    numbers : sequence of float, (n,)
        One value a training subject; none missing.
    answers : sequence of str
        Answers from low to high, as many as bins.

    Returns
    -------
    FittedBins

    Raises
    ------
    InputError
        If an answer would have no training subject.
    """
    values = np.asarray(numbers, dtype=np.float64)
    if not len(values):
        raise InputError("no training subject has a value; name another column, or drop the task")
    edges = _edges(bins, values)
    places = np.searchsorted(edges, values, side="right")
    empty = [answer for k, answer in enumerate(answers) if not (places == k).any()]
    if empty:
        shown = ", ".join(f"{edge:g}" for edge in edges)
        raise InputError(
            f"no training subject falls into '{empty[0]}': their {len(values)} values lie between "
            f"{values.min():g} and {values.max():g}, the edges at {shown}; give fewer bins, or "
            "`bins: {edges: [...]}` within these values"
        )
    return FittedBins(
        edges=tuple(map(float, edges)),
        bin_means=tuple(float(values[places == k].mean()) for k in range(len(answers))),
        mean=float(values.mean()),
        n_subjects=len(values),
    )


def bin_number(number: float, edges: Sequence[float]) -> int:
    """Find the bin that a number falls in, counted from the lowest.

    Parameters
    ----------
    number : float
        Finite.
    edges : sequence of float
        Ascending; a number on an edge belongs to the bin above it.

    Returns
    -------
    int

    Examples
    --------
    >>> [bin_number(age, (30.0, 60.0)) for age in (29.9, 30.0, 60.0)]
    [0, 1, 2]
    """
    return int(np.searchsorted(edges, number, side="right"))


def _edges(bins: Bins, values: NDArray[np.float64]) -> NDArray[np.float64]:
    if bins.edges is not None:
        return np.asarray(bins.edges)
    if bins.quantiles is not None:
        return np.quantile(values, np.arange(1, bins.quantiles) / bins.quantiles)
    spread = values.std(ddof=1) if len(values) > 1 else 0.0
    return values.mean() + np.asarray(bins.sd) * spread
