"""Read a MATLAB file with one byte after another damaged; run apart, as scipy may crash."""

import sys
from pathlib import Path

import numpy as np
from scipy.io import savemat

from fmri_descriptors import InputError
from fmri_descriptors.readers.layouts.arrays import read_mat

N_BYTES = 300
STORAGE_TYPE = {176, 177}  # an unknown type of the values' storage crashes scipy itself
VALUES_FROM = 184  # the first byte of the values of a variable called x
X = np.arange(1.0, 81.0).reshape(16, 5) / 7


def held(content):
    """The array of an uncompressed file, by its bytes."""
    return np.frombuffer(content, "<f8", X.size, VALUES_FROM).reshape(X.shape, order="F")


def unless_refused(path):
    try:
        return read_mat(path)
    except InputError:
        return None


def main(path, compressed):
    savemat(path, {"x": X}, do_compression=compressed)
    whole = path.read_bytes()
    for i in sorted(set(range(N_BYTES)) - (set() if compressed else STORAGE_TYPE)):
        for damage in {0, whole[i] ^ 1, whole[i] ^ 0xFF}:
            content = bytearray(whole)
            content[i] = damage
            path.write_bytes(content)
            found = unless_refused(path)
            expected = X if compressed or i < VALUES_FROM else held(content)
            if found is not None and not np.array_equal(found, expected, equal_nan=True):
                sys.exit(f"byte {i} as {damage}: other values")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2] == "compressed")
