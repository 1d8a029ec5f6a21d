"""Whether a recording was filtered before: how much power is left at the ends of the spectrum."""

import numpy as np

from fmri_descriptors.features.spectra import amplitude_spectrum, band
from fmri_descriptors.scan import Scan

BAND = (0.01, 0.1)
"""What band-pass filters for resting-state fMRI keep, in Hz."""

LEAST_HIGH = 0.012
"""Power per Hz from `HIGH` on, over that in `BAND`, below which a recording was low-passed.

Recordings as they come have 0.10 to 1, autoregressive noise of order 1 has 0.04 or more, and slow
simulated courses without noise 0.017. Butterworth filters up to 0.1 Hz leave at most 0.009, and at
most 0.005 from the second order on.
"""

HIGH = (0.2, 0.25)

LEAST_LOW = 0.05
"""Power per Hz in `LOW`, over that from 0.05 to 0.1 Hz, below which a recording was high-passed.

Recordings as they come have 1 or more; high-passing at 0.01 Hz, which is usual, changes little.
"""

LOW = (0.01, 0.04)


def was_filtered(scan: Scan) -> bool:
    """Whether hardly any power is left above 0.2 Hz, or below 0.04 Hz.

    Regions count alike, whatever their amplitude. Where the Nyquist frequency is below 0.25 Hz,
    its upper fifth stands for the band from 0.2 Hz on.

    Parameters
    ----------
    scan : Scan
        Series (T, N).
    """
    series = scan.timeseries[:, scan.mask]
    frequencies, amplitudes = amplitude_spectrum(series / series.std(axis=0), scan.tr)
    power = (amplitudes**2).mean(axis=1)

    def density(low: float, high: float) -> float:
        inside = power[band(frequencies, low, high)]
        return float(inside.mean()) if inside.size else np.nan

    top = min(HIGH[1], 0.5 / scan.tr)
    high = density(top * HIGH[0] / HIGH[1], top) / density(*BAND)
    low = density(*LOW) / density(LOW[1] + 0.01, BAND[1])
    return bool(high < LEAST_HIGH or low < LEAST_LOW)
