"""What each quantizer loses of held-out real scans at 9 bits a token.

Recordings, held-out subjects and error as in `rate_distortion.py`; everything but the quantizer is
the same. Prints the error right after the start from data (one training step) and after training.

    python benchmarks/quantizers.py --edges line
"""

import argparse
import sys
from typing import Any

from rate_distortion import PADDING, recordings, tokenizer_quality

QUANTIZERS: dict[str, dict[str, Any]] = {
    "vq, running mean": {},
    "vq, gradient": {"vq": {"update": "gradient"}},
    "vq, cosine": {"vq": {"distance": "cosine"}},
    "fsq [8, 4, 4, 4]": {"quantizer": "fsq", "fsq": {"levels": (8, 4, 4, 4)}},
    "fsq [8, 8, 8]": {"quantizer": "fsq", "fsq": {"levels": (8, 8, 8)}},
    "residual [32, 16]": {"quantizer": "residual", "residual": {"stages": (32, 16)}},
    "trellis": {"quantizer": "trellis"},
    "external SimVQ": {
        "quantizer": "external",
        "external": {"name": "SimVQ", "options": {"codebook_size": 512}},
    },
}


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--edges", choices=sorted(PADDING), default="line")
    parser.add_argument("--steps", type=int, default=100)
    arguments = parser.parse_args()
    series = recordings(PADDING[arguments.edges])
    print("quantizer             start   trained   codes used   perplexity")
    for name, choice in QUANTIZERS.items():
        start = tokenizer_quality(series, 512, 0, 1, **choice)
        trained = tokenizer_quality(series, 512, 0, arguments.steps, **choice)
        print(
            f"{name:20s}  {start['normalised_mse']:.3f}   {trained['normalised_mse']:.3f}     "
            f"{trained['codes_used']:4d}         {trained['perplexity']:4.0f}",
            flush=True,
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
