"""What every reader gives: a list of recordings, each read only when asked for."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from fmri_descriptors.errors import InputError
from fmri_descriptors.parcellation.parcellation import Parcellation
from fmri_descriptors.readers.participants.subjects import (
    SESSION,
    canonical_label,
    one_spelling,
    spelling_notes,
)
from fmri_descriptors.readers.tables.columns import Column
from fmri_descriptors.scan import Scan

Phenotype = str | float | None


@dataclass(frozen=True)
class Recording:
    """One recording that is known but not read yet.

    Parameters
    ----------
    path : Path
        File that holds the series.
    name : str
        Path relative to the source, the same on every machine.
    scan_id, subject, session, site : str
        As in `Scan`; ``sub-`` and ``ses-`` are taken off.
    tr : float
        Repetition time, in seconds.
    read : callable
        Takes the path and the parcellation, returns the (T, N) series.
    phenotypes : mapping of str to str, float or None
        What else is known of the scan; None where it is missing.
    """

    path: Path
    name: str
    scan_id: str
    subject: str
    session: str | None
    site: str | None
    tr: float
    read: Callable[[Path, Parcellation], NDArray[np.float64]]
    phenotypes: Mapping[str, Phenotype] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "subject", canonical_label(self.subject))
        if self.session is not None:
            object.__setattr__(self, "session", canonical_label(self.session, SESSION))

    def scan(self, parcellation: Parcellation) -> Scan:
        """Read the file and check it.

        Raises
        ------
        InputError
            If the file cannot be read or the series cannot be used.
        """
        try:
            series = self.read(self.path, parcellation)
        except MemoryError as error:
            raise InputError(f"{self.path}: does not fit into memory; cut the scan") from error
        return Scan(
            series,
            self.tr,
            parcellation,
            self.scan_id,
            self.subject,
            session=self.session,
            site=self.site,
        )


@dataclass(frozen=True)
class Rejected:
    """A scan that was found and cannot be used.

    Parameters
    ----------
    path : str
        Path relative to the source, the same on every machine.
    reason : str
        One line: the thing, the value and the fix.
    scan_id : str, optional
        Name of the scan, where it is known.
    """

    path: str
    reason: str
    scan_id: str | None = None

    @property
    def message(self) -> str:
        """The reason with the file that it is about, named once."""
        return _message(self.path, self.reason)


@dataclass(frozen=True)
class LeftOut:
    """A file that was found and is not read, although nothing is wrong with it.

    Parameters
    ----------
    path : str
        Path relative to the source, the same on every machine.
    rule : str
        Name of the rule, one of `LEFT_OUT_RULES`.
    reason : str
        One line: how the rule applies to this file.
    scan_id : str, optional
        Name of the scan that it is of, where it is known.
    """

    path: str
    rule: str
    reason: str
    scan_id: str | None = None

    def __post_init__(self) -> None:
        if self.rule not in LEFT_OUT_RULES:
            raise ValueError(f"{self.rule!r} is no rule; name it in LEFT_OUT_RULES")

    @property
    def message(self) -> str:
        """The reason with the file that it is about, named once."""
        return _message(self.path, self.reason)


def _message(path: str, reason: str) -> str:
    named = reason.startswith((path, PurePosixPath(path).name))
    return reason if named else f"{path}: {reason}"


LEFT_OUT_RULES = {
    "other task": "its task is none of those that are read",
    "other space": "its recording is read in the space that the whole source is read in",
    "other description": "its recording is read as processed otherwise",
    "other parcellation": "its series are those of another parcellation",
    "joined runs": "its frames are those of the runs beside it",
    "single echo": "its recording is read from the image that combines the echoes",
    "other part": "it holds the phase of a complex image, or its real or imaginary part",
    "second copy": "its recording is read from a file of the same content",
    "not a series of means": "its values are no mean series of regions",
    "not a series": "it holds one volume by its name, such as a mask or an anatomical image",
    "other kind of file": "the layout is read from files of another kind",
}
"""By name: why a file that was found is not read."""


@dataclass(frozen=True, kw_only=True)
class ReadOptions:
    """What a user says about an input that its files may not say.

    Parameters
    ----------
    tr : float, optional
        Repetition time of every scan, in seconds; without it, the files must tell it.
    atlas : Path, optional
        Label image whose labels 1..N are the regions in the parcellation's order, for 4-D images;
        for an XCP-D folder with several parcellations, the name of one.
    confounds : str, optional
        Name of a strategy of `nilearn.interfaces.fmriprep.load_confounds_strategy`.
    phenotypes : Path, optional
        A table of people, visits or runs; see `with_phenotypes`.
    tasks : tuple of str
        Tasks that are read, as file names have them; if empty, those named ``rest...`` where there
        are several.
    space : str, optional
        Space that is read, such as ``MNI152NLin6Asym`` or ``MNI152NLin6Asym:res-2``; without it,
        that of most recordings.
    """

    tr: float | None = None
    atlas: Path | None = None
    confounds: str | None = None
    phenotypes: Path | None = None
    tasks: tuple[str, ...] = ()
    space: str | None = None


@dataclass(frozen=True)
class Source:
    """Where a cohort's recordings come from.

    Parameters
    ----------
    name : str
        Name of the source, without a path of this machine.
    recordings : tuple of Recording
        In a fixed order. All spellings of a subject become one, so that no split can part them.
    files : tuple of Path
        Every file that the cohort depends on.
    assumed_tr : mapping of str to str
        Site to the reason why its TR is an assumption; sites whose TR is documented are absent.
    rejected : tuple of Rejected
        Files that were found and cannot become a recording.
    left_out : tuple of LeftOut
        Files that were found and are not read under a named rule.
    unit : str
        What is counted: ``files``, or ``lines``, ``rows`` or ``series`` of files.
    choices : tuple of str
        What was chosen among several, one phrase each, such as ``"task rest of nback, rest"``.
    levels : mapping of str to mapping
        By phenotype, what the codes of a category mean, where somebody wrote it down.
    parcellation : str, optional
        Name of the parcellation of the series, where the source states it.
    columns : mapping of str to Column
        By phenotype, the column of the table that it comes from.
    dropped_columns : mapping of str to str
        By column that became no phenotype, why not.
    notes : tuple of str
        One line each: what was done about people, joins and columns that a user should know.
    """

    name: str
    recordings: tuple[Recording, ...]
    files: tuple[Path, ...]
    assumed_tr: Mapping[str, str] = field(default_factory=dict)
    rejected: tuple[Rejected, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    unit: str = "files"
    choices: tuple[str, ...] = ()
    levels: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    parcellation: str | None = None
    columns: Mapping[str, Column] = field(default_factory=dict)
    dropped_columns: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        spelling = one_spelling(recording.subject for recording in self.recordings)
        notes = spelling_notes(spelling)
        if notes:
            one = (replace(r, subject=spelling[r.subject]) for r in self.recordings)
            object.__setattr__(self, "recordings", tuple(one))
            object.__setattr__(self, "notes", (*notes, *self.notes))

    @property
    def n_found(self) -> int:
        """Number of all that was found: recordings, rejected and left out."""
        return len(self.recordings) + len(self.rejected) + len(self.left_out)
