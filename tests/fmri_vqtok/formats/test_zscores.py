import numpy as np
import pandas as pd
import pytest

from fmri_vqtok.errors import InputError
from fmri_vqtok.formats.zscores import read_zscores


@pytest.fixture
def path(tmp_path):
    table = pd.DataFrame(
        {"fc.a": [0.5, np.nan, 2.0], "gradient1.range": [1.0, -1.5, 7.0], "split": ["train"] * 3},
        index=pd.Index(["s1", "s2", "s3"], name="scan_id"),
    )
    table.to_parquet(tmp_path / "zscores.parquet")
    return tmp_path / "zscores.parquet"


def test_z_scores_come_in_the_order_of_the_scans_and_unknown_ones_are_nan(path):
    found = read_zscores(path.parent, ["s3", "s2"]).drop(columns="split")
    np.testing.assert_array_equal(found, [[2.0, 7.0], [np.nan, -1.5]])
    assert read_zscores(path.parent).index.tolist() == ["s1", "s2", "s3"]


def test_a_scan_without_z_scores_is_named(path):
    with pytest.raises(InputError, match=r"zscores.parquet: no z-scores of scan s9; describe"):
        read_zscores(path.parent, ["s1", "s9"])


def test_a_missing_or_broken_table_is_one_line(tmp_path):
    with pytest.raises(InputError, match=r"no zscores.parquet; give the folder"):
        read_zscores(tmp_path, ["s1"])
    (tmp_path / "zscores.parquet").write_bytes(b"PAR1")
    with pytest.raises(InputError, match=r"zscores.parquet: cannot be read .*; give the folder"):
        read_zscores(tmp_path, ["s1"])
