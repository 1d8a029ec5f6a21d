"""MATLAB files up to version 5: what scipy can read is read, and what it cannot is one line."""

import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

from fmri_descriptors import InputError
from fmri_descriptors.readers.layouts.arrays import read_mat

X = np.arange(1.0, 81.0).reshape(16, 5) / 7
FLIPS = Path(__file__).parents[1].joinpath("mat_flips.py")


@pytest.mark.parametrize("kind", ["plain", "compressed"])
def test_a_damaged_byte_is_one_line_or_changes_no_other_value(tmp_path, kind):
    command = [sys.executable, FLIPS, tmp_path / "x.mat", kind]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("kind", ["f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8"])
def test_every_kind_of_number_is_read_among_other_variables(tmp_path, kind, compressed):
    x = (X * 7).astype(kind)
    others = {"note": "hello", "cells": np.array([[1, "a"]], object)}
    others |= {"tree": {"x": X}, "flag": np.array([[True]]), "t": 2.0}
    savemat(tmp_path / "x.mat", others | {"x": x}, do_compression=compressed)
    found = read_mat(tmp_path / "x.mat")
    assert found.dtype == x.dtype
    np.testing.assert_array_equal(found, x)


def test_a_file_of_version_4_is_read(tmp_path):
    savemat(tmp_path / "x.mat", {"x": X}, format="4")
    np.testing.assert_array_equal(read_mat(tmp_path / "x.mat"), X)


def big_endian(name, stored, kind, values):
    """A file as MATLAB wrote it on other machines, with a double array in few bytes."""
    flags = struct.pack(">IIII", 6, 8, 6, 0)
    shape = struct.pack(">IIii", 5, 8, *values.shape)
    label = struct.pack(">I4s", len(name) << 16 | 1, name)
    raw = values.astype(stored).tobytes(order="F")
    held = flags + shape + label + struct.pack(">II", kind, len(raw)) + raw
    held += bytes(-len(held) % 8)
    head = b"MATLAB 5.0 MAT-file".ljust(124) + b"\x01\x00MI"
    return head + struct.pack(">II", 14, len(held)) + held


def test_doubles_that_matlab_stored_as_short_integers_are_read(tmp_path):
    (tmp_path / "x.mat").write_bytes(big_endian(b"bold", ">i2", 3, X * 7))
    np.testing.assert_array_equal(read_mat(tmp_path / "x.mat"), (X * 7).astype("i2"))


def test_a_variable_that_occurs_twice_is_refused(tmp_path):
    path = tmp_path / "x.mat"
    savemat(path, {"x": X})
    content = path.read_bytes()
    path.write_bytes(content + content[128:])
    with pytest.raises(InputError, match="a variable occurs twice"):
        read_mat(path)
