"""Memory and time of a thousand simulated scans, and two processes against one, in one run.

    OMP_NUM_THREADS=1 uv run python benchmarks/descriptors_scale.py [--scans 1000]

Prints, for one process, the time of each quarter of the scans while they are measured and the
memory of its own (without files that are only mapped) after the first hundred scans and at the end;
then the same work by two processes, the ratio of the two times, and whether both wrote the same
bytes.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import psutil

from fmri_descriptors import (
    CohortSettings,
    DescribeOptions,
    DescribeSettings,
    describe_cohort,
    open_source,
    write_cohort,
)
from fmri_descriptors.simulate import SimulateSettings, Site, write_simulation
from fmri_descriptors.utils.files import file_digest

WARM = 100  # scans after which memory should stay as it is
MB = 1e6


class Watch:
    """Memory of this process's own and seconds since the start, at each call of progress."""

    def __init__(self) -> None:
        self._process = psutil.Process()
        self._start = time.perf_counter()
        self.points: list[tuple[int, float, float]] = []

    def __call__(self, done: int, _total: int) -> None:
        """Note a number of scans done."""
        now = time.perf_counter() - self._start
        self.points.append((done, now, self._process.memory_full_info().uss / MB))

    def at(self, done: int) -> tuple[float, float]:
        """Seconds and MB when that many scans were done."""
        return next((seconds, mb) for n, seconds, mb in self.points if n >= done)

    @property
    def seconds(self) -> float:
        """Seconds until the last call."""
        return self.points[-1][1]


def watched(work: Callable[[Watch], object]) -> Watch:
    """Do work that reports to a watch."""
    watch = Watch()
    work(watch)
    return watch


def report_memory(name: str, watch: Watch, n_scans: int, first: int = 0) -> None:
    """Print memory after the first `WARM` scans, counted from `first`, and after all of them."""
    _, warm = watch.at(first + WARM)
    _, end = watch.at(first + n_scans)
    print(f"{name}: {warm:.0f} MB after {WARM} scans, {end:.0f} MB after {n_scans}")


def report_quarters(watch: Watch, n_scans: int, first: int) -> None:
    """Print the seconds that each quarter of the scans took to be measured."""
    marks = [watch.at(first + n_scans * i // 4)[0] for i in range(5)]
    quarters = ", ".join(f"{b - a:.1f}" for a, b in pairwise(marks))
    print(f"measuring, seconds a quarter: {quarters}")


def digests(directory: Path) -> dict[str, str]:
    """Digest of every file by name."""
    return {path.name: file_digest(path) for path in sorted(directory.iterdir())}


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scans", type=int, default=1000)
    parser.add_argument("--parcellation", default="tian3-schaefer400-7n")
    n_scans, parcellation = (vars(parser.parse_args())[k] for k in ("scans", "parcellation"))
    sites = (Site(name="one", tr=2.0, n_frames=160, noise=0.2),)
    with tempfile.TemporaryDirectory() as folder:
        places = {name: Path(folder) / name for name in ("simulated", "cohort", "one", "two")}
        for place in places.values():
            place.mkdir()
        simulated = SimulateSettings(n_subjects=n_scans, parcellation=parcellation, sites=sites)
        write_simulation(places["simulated"], simulated, seed=0, jobs=2)
        source = open_source(str(places["simulated"] / "scans.tsv"))
        settings = CohortSettings(parcellation=parcellation)
        cohort = watched(lambda w: write_cohort(source, places["cohort"], settings, 0, w))
        report_memory("cohort", cohort, n_scans)

        def described(name: str, jobs: int) -> Watch:
            options = DescribeOptions(jobs=jobs)
            arguments = (places["cohort"], places[name], DescribeSettings(), 0)
            return watched(lambda w: describe_cohort(*arguments, w, options))

        one = described("one", 1)
        # Every scan counts twice, a training scan once more, when the extractor sees it.
        first = one.points[-1][0] - 2 * n_scans
        report_memory("describe", one, n_scans, first)
        report_quarters(one, n_scans, first)
        two = described("two", 2)
        print(f"one process {one.seconds:.1f} s, two processes {two.seconds:.1f} s")
        print(f"ratio: {one.seconds / two.seconds:.2f}")
        print(f"same bytes: {digests(places['one']) == digests(places['two'])}")


if __name__ == "__main__":
    main()
