import json

import numpy as np
import pandas as pd
import pytest
from scipy.stats import median_abs_deviation, zscore

from fmri_descriptors import CohortNorms, InputError


def frame(values, start=0):
    values = np.asarray(values, dtype=float)
    index = pd.Index([f"s{i}" for i in range(start, start + len(values))], name="scan_id")
    return pd.DataFrame(values, index=index, columns=[f"f{i}" for i in range(values.shape[1])])


@pytest.fixture
def features():
    return frame(np.random.default_rng(0).normal(5, 2, (20, 4)))


def test_statistics_equal_numpy_and_scipy(features):
    table = CohortNorms().fit(features).table_
    values = features.to_numpy()
    np.testing.assert_allclose(table["mean"], values.mean(axis=0))
    np.testing.assert_allclose(table["sd"], values.std(axis=0, ddof=1))
    np.testing.assert_allclose(table["median"], np.median(values, axis=0))
    np.testing.assert_allclose(table["mad"], median_abs_deviation(values))


def test_z_scores_of_the_cohort_itself_equal_scipys(features):
    z = CohortNorms().fit(features).transform(features)
    np.testing.assert_allclose(z, zscore(features.to_numpy(), ddof=1))


def test_robust_z_ignores_an_outlier(features):
    spoilt = features.copy()
    spoilt.iloc[0] = 1e6
    norms = CohortNorms(robust=True).fit(spoilt)
    scale = median_abs_deviation(spoilt.to_numpy(), scale="normal")
    expected = (features - np.median(spoilt, axis=0)) / scale
    np.testing.assert_allclose(norms.transform(features), expected, rtol=1e-4)


def test_missing_values_do_not_count(features):
    features.iloc[:5, 0] = np.nan
    row = CohortNorms().fit(features).table_.loc["f0"]
    assert row["n"] == 15
    assert row["mean"] == pytest.approx(features["f0"][5:].mean())


def test_a_feature_without_spread_gives_no_z(features):
    features["f1"] = 0.1
    z = CohortNorms().fit(features).transform(features)
    assert z["f1"].isna().all()


def test_saving_and_loading_gives_the_same_z_and_the_same_merge(features, tmp_path):
    norms = CohortNorms().fit(features.iloc[:10])
    norms.save(tmp_path / "norms.json")
    loaded = CohortNorms.load(tmp_path / "norms.json")
    pd.testing.assert_frame_equal(loaded.transform(features), norms.transform(features))
    rest = CohortNorms().fit(features.iloc[10:])
    pd.testing.assert_frame_equal(loaded.merge(rest).table_, norms.merge(rest).table_)
    assert loaded.fitted_on_ == [f"s{i}" for i in sorted(range(10), key=str)]


def test_the_file_lists_each_statistic_and_the_scans(features, tmp_path):
    CohortNorms().fit(features).save(tmp_path / "norms.json")
    document = json.loads((tmp_path / "norms.json").read_text())
    assert set(document["features"]["f0"]) == {"n", "mean", "sd", "median", "mad"}
    assert document["features"]["f0"]["n"] == 20
    assert len(document["fitted_on"]) == 20


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "cannot be read as JSON"),
        ("[]", "holds no JSON object"),
        ('{"schema": 4}', "schema 4, but this version reads 3; upgrade"),
        ('{"schema": 3}', "no norms"),
        ('{"schema": 2}', "no norms"),
        ('{"schema": 1, "features": {"f": {"n": 1}}, "fitted_on": []}', "no norms"),
        ('{"schema": 1, "features": 3, "fitted_on": []}', "no norms"),
    ],
)
def test_a_damaged_file_is_one_clear_line(tmp_path, content, message):
    (tmp_path / "norms.json").write_text(content)
    with pytest.raises(InputError, match=message) as caught:
        CohortNorms.load(tmp_path / "norms.json")
    assert "\n" not in str(caught.value)


def test_features_of_another_kind_or_order_are_refused(features):
    features.attrs["order_hash"] = "one"
    norms = CohortNorms().fit(features)
    with pytest.raises(InputError, match="feature 'f3' is on one side only"):
        norms.transform(features.drop(columns="f3"))
    other = features.copy()
    other.attrs["order_hash"] = "two"
    with pytest.raises(InputError, match="region order one, but the other side has two"):
        norms.transform(other)


def test_norms_of_the_first_schema_are_still_read(features, tmp_path):
    norms = CohortNorms().fit(features)
    norms.save(tmp_path / "norms.json")
    document = json.loads((tmp_path / "norms.json").read_text())
    kept = ("parcellation", "order_hash", "fitted_on", "features")
    old = {"schema": 1} | {key: document[key] for key in kept}
    (tmp_path / "old.json").write_text(json.dumps(old))
    loaded = CohortNorms.load(tmp_path / "old.json")
    pd.testing.assert_frame_equal(loaded.transform(features), norms.transform(features))


def test_norms_are_loaded_as_robust_as_they_were_saved(features, tmp_path):
    norms = CohortNorms(robust=True).fit(features)
    norms.save(tmp_path / "norms.json")
    loaded = CohortNorms.load(tmp_path / "norms.json")
    pd.testing.assert_frame_equal(loaded.transform(features), norms.transform(features))
    assert not CohortNorms.load(tmp_path / "norms.json", robust=False).robust


def test_the_columns_of_z_scores_keep_the_order_of_the_features(features, tmp_path):
    turned = features[features.columns[::-1]]
    CohortNorms().fit(features).save(tmp_path / "norms.json")
    z = CohortNorms.load(tmp_path / "norms.json").transform(turned)
    assert list(z) == list(turned)


@pytest.mark.parametrize("rows", [0, 1])
def test_too_few_scans_are_refused(features, rows):
    with pytest.raises(InputError, match="at least 2 are needed"):
        CohortNorms().fit(features.iloc[:rows])


def test_a_repeated_scan_is_refused(features):
    with pytest.raises(InputError, match="a scan id occurs twice"):
        CohortNorms().fit(pd.concat([features, features]))
