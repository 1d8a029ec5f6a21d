"""Where true answers come from: a column of answers, a z-score, or a number in bins."""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Discriminator, Tag, model_validator

from fmri_instruct.tasks.bins import Ascending, Bins, FittedBins
from fmri_instruct.tasks.entry import Entry, Names, Text, as_names
from fmri_vqtok.errors import InputError

_CLASHES = {
    "values": "a label with bins takes numbers as they are; drop `values` or `bins`",
    "thresholds": "give either `thresholds` or `bins: {edges: [...]}`",
    "subset": "numbers outside a range are left out by `missing` alone; drop `subset`",
}
"""By key of another kind of label, what to do where bins are given too."""


class PhenotypeLabel(Entry):
    """The answer is in a phenotype column of the cohort.

    Parameters
    ----------
    phenotype : str or tuple of str
        Column of the cohort's table, or its names in several releases; the first of them that the
        cohort has is taken.
    values : mapping of str to str
        Answer by column value, where the two differ; empty when the column holds the answers.
    subset : bool
        Whether scans with another value have no label; otherwise another value is an error.
    missing : tuple of str
        Values that stand for a missing one.
    """

    phenotype: Names
    values: Mapping[str, Text] = {}
    subset: bool = False
    missing: tuple[Text, ...] = ()

    @model_validator(mode="after")
    def _check(self) -> "PhenotypeLabel":
        both = [code for code in self.missing if code in self.values]
        if both:
            raise InputError(f"missing: '{both[0]}' is an answer under `values` too; drop one")
        return self


class ZScoreLabel(Entry):
    """The answer is the bin that a cohort z-score falls in.

    Parameters
    ----------
    zscore : str
        Column of ``zscores.parquet``.
    thresholds : tuple of float
        Ascending bin edges; n edges part n + 1 answers, given from low to high. A z-score on an
        edge belongs to the bin farther from zero, so that "above" means z >= 1 and "below" z <= -1.
    """

    zscore: Text
    thresholds: Ascending


class NumberLabel(Entry):
    """The answer is the bin that a number falls in, with bins fitted on the training subjects.

    Parameters
    ----------
    phenotype : str, tuple of str or None
        Column of numbers, or its names in several releases.
    zscore : str or None
        Column of ``zscores.parquet``, in place of `phenotype`.
    bins : Bins
        Where to cut.
    missing : tuple of str
        Numbers that stand for a missing one, such as -999.
    fitted : FittedBins or None
        What `fmri_instruct.tasks.fitting.fit_tasks` made of the bins.
    """

    phenotype: Names | None = None
    zscore: Text | None = None
    bins: Bins
    missing: tuple[Text, ...] = ()
    fitted: FittedBins | None = None

    @model_validator(mode="before")
    @classmethod
    def _refuse_clashes(cls, entry: Any) -> Any:
        for key in entry if isinstance(entry, dict) else ():
            if key in _CLASHES:
                raise InputError(f"{key}: {_CLASHES[key]}")
        return entry

    @model_validator(mode="after")
    def _check(self) -> "NumberLabel":
        for code in self.missing:
            try:
                float(code)
            except ValueError as error:
                raise InputError(
                    f"missing: '{code}'; give numbers, such as [-999]; cells without a number are "
                    "missing already"
                ) from error
        return self


def kind_of_label(entry: Any) -> str | None:
    """Which of the kinds of label an entry is, by its keys.

    Parameters
    ----------
    entry : mapping or Entry
        As it is in a file, or a label.

    Returns
    -------
    str or None
        ``phenotype``, ``zscore`` or ``number``; None where it names no source, or two.
    """
    given = entry if isinstance(entry, dict) else vars(entry) if isinstance(entry, Entry) else {}
    sources = [kind for kind in ("phenotype", "zscore") if given.get(kind) is not None]
    if len(sources) != 1:
        return None
    return "number" if "bins" in given else sources[0]


Label = Annotated[
    Annotated[PhenotypeLabel, Tag("phenotype")]
    | Annotated[ZScoreLabel, Tag("zscore")]
    | Annotated[NumberLabel, Tag("number")],
    Discriminator(
        kind_of_label,
        custom_error_type="label",
        custom_error_message="give either `phenotype: COLUMN` or `zscore: FEATURE`",
    ),
]


def source_names(label: PhenotypeLabel | ZScoreLabel | NumberLabel) -> tuple[str, ...]:
    """Names under which the column or the feature of a label may be found.

    Parameters
    ----------
    label : PhenotypeLabel, ZScoreLabel or NumberLabel
        Of a task.

    Returns
    -------
    tuple of str
    """
    if isinstance(label, ZScoreLabel):
        return (label.zscore,)
    if isinstance(label, NumberLabel) and label.zscore is not None:
        return (label.zscore,)
    return as_names(label.phenotype or ())
