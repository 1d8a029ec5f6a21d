"""How fast a cohort is read back from the page cache, beside two other ways to read it.

Writes a cohort of random scans into a temporary folder, reads it once so that it is cached, and
then reads every sample of it, in turn, by

- `Cohort.stored`: views of the memory-mapped files,
- `numpy.load` of the same signals saved as one `.npy` file, memory-mapped,
- `datasets` in its default format, which makes Python lists.

    python benchmarks/cohort_read.py --scans 400
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
from datasets import load_from_disk
from numpy.typing import NDArray

from fmri_descriptors import CohortSettings, load_parcellation, read_cohort, write_cohort
from fmri_descriptors.parcellation.parcellation import Parcellation
from fmri_descriptors.readers import Recording, Source

REPEATS = 5
FEW = 8  # scans that the slow way is timed on
EVERYONE = CohortSettings(parcellation="aal2", test_fraction=0, validation_fraction=0)


def main() -> int:
    """Print gigabytes a second and ratios; fail below 1 GB/s."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scans", type=int, default=400)
    parser.add_argument("--frames", type=int, default=760)  # 450 x 160 values, on AAL2's regions
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        write(place, arguments.scans, arguments.frames)
        ours = speed(lambda: (scan.bold for scan in read_cohort(place / "cohort").stored("train")))
        plain = speed(lambda: np.load(place / "bold.npy", mmap_mode="r"))
        lists = speed(lambda: python_lists(place / "cohort"), repeats=1)
    print(f"Cohort.stored         {ours:6.2f} GB/s")
    print(f"numpy.load, mapped    {plain:6.2f} GB/s   ours is {ours / plain:.2f} of it")
    print(f"datasets, as lists    {lists:6.4f} GB/s   ours is {ours / lists:.0f} times it")
    return 0 if ours >= 1 else 1


def write(place: Path, n_scans: int, n_frames: int) -> None:
    """Write the cohort, and its signals once more as one array."""
    signal = place / "signal.npy"
    np.save(signal, np.random.default_rng(0).standard_normal((n_frames, 94)))
    recordings = tuple(recording(signal, i) for i in range(n_scans))
    (place / "cohort").mkdir()
    write_cohort(Source("random", recordings, (signal,)), place / "cohort", EVERYONE)
    n_regions = load_parcellation("aal2").n_regions
    shape = (n_scans, n_frames, n_regions)
    whole = np.lib.format.open_memmap(place / "bold.npy", "w+", np.float32, shape)
    for i, scan in enumerate(read_cohort(place / "cohort").stored("train")):
        whole[i] = scan.bold
    whole.flush()


def recording(signal: Path, i: int) -> Recording:
    """One of many scans that share a signal, each scaled by its number."""

    def read(path: Path, _: Parcellation) -> NDArray[np.float64]:
        return np.load(path) * (i + 1)

    return Recording(signal, f"{i}", f"{i}", f"{i}", None, None, 2.0, read)


def python_lists(cohort: Path) -> Iterable[NDArray[np.float32]]:
    """Signals of a few scans, the way `datasets` gives them unless asked otherwise."""
    rows = load_from_disk(str(cohort))["train"].select(range(FEW))
    return (np.asarray(row["bold"], dtype=np.float32) for row in rows)


def speed(signals: Callable[[], Iterable[NDArray[np.float32]]], repeats: int = REPEATS) -> float:
    """Gigabytes a second of the best repetition, every sample copied to where it can be used."""
    best = 0.0
    buffer = None
    for _ in range(repeats + 1):
        start, n_bytes = time.perf_counter(), 0
        for signal in signals():
            buffer = np.empty_like(signal) if buffer is None else buffer
            np.copyto(buffer, signal)
            n_bytes += signal.nbytes
        best = max(best, n_bytes / (time.perf_counter() - start) / 1e9)
    return best


if __name__ == "__main__":
    sys.exit(main())
