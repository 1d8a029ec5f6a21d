import numpy as np
import pyarrow as pa
import pytest

from fmri_descriptors.utils.arrow_arrays import matrices

VALUES = np.arange(4 * 3 * 2.0).reshape(4, 3, 2)
SIZE_FIXED = pa.list_(pa.list_(pa.float32(), 2), 3)
WIDTH_FIXED = pa.list_(pa.list_(pa.float32(), 2))
LARGE = pa.large_list(pa.list_(pa.float32()))


@pytest.mark.parametrize("kind", [SIZE_FIXED, WIDTH_FIXED, LARGE])
@pytest.mark.parametrize("part", [slice(0, 4), slice(1, 3), slice(3, 4)])
def test_any_slice_of_any_kind_of_list_gives_its_own_cells(kind, part):
    column = pa.chunked_array([pa.array(VALUES.tolist(), kind)[part]])
    np.testing.assert_array_equal(list(matrices(column)), VALUES[part])


def test_rows_are_found_across_chunks():
    cells = pa.array(VALUES.tolist(), WIDTH_FIXED)
    column = pa.chunked_array([cells[:2], cells[2:]])
    for row in range(4):
        np.testing.assert_array_equal(next(matrices(column.slice(row, 1))), VALUES[row])
