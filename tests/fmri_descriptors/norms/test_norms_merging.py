"""Norms of two machines together equal those of one."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from fmri_descriptors import CohortNorms, InputError

values = st.one_of(st.floats(-1e3, 1e3), st.just(np.nan))


def frame(rows, columns=4):
    index = pd.Index([f"s{i:02d}" for i in range(len(rows))], name="scan_id")
    return pd.DataFrame(rows, index=index, columns=[f"f{i}" for i in range(columns)])


@pytest.fixture
def features():
    return frame(np.random.default_rng(0).normal(5, 2, (20, 4)))


def without_values(norms, tmp_path, name):
    """The norms as another machine gets them when only the JSON is sent."""
    norms.save(tmp_path / name, values=False)
    return CohortNorms.load(tmp_path / name)


@st.composite
def splits(draw):
    """A cohort with gaps, and which of two machines has each scan (at least two each)."""
    n_scans = draw(st.integers(4, 12))
    cohort = frame(draw(hnp.arrays(np.float64, (n_scans, 4), elements=values)))
    free = draw(st.lists(st.booleans(), min_size=n_scans - 4, max_size=n_scans - 4))
    first = np.array([True, True, False, False, *free])
    return cohort, first[draw(st.permutations(range(n_scans)))]


@settings(deadline=None, max_examples=40)
@given(splits())
def test_merged_norms_with_their_values_equal_one_fit_bit_for_bit(split):
    cohort, first = split
    merged = CohortNorms().fit(cohort[first]).merge(CohortNorms().fit(cohort[~first]))
    pd.testing.assert_frame_equal(merged.table_, CohortNorms().fit(cohort).table_, check_exact=True)
    assert merged.fitted_on_ == sorted(cohort.index)


@settings(deadline=None, max_examples=40)
@given(split=splits())
def test_merged_summaries_alone_equal_one_fit_to_1e_10(split, tmp_path_factory):
    cohort, first = split
    folder = tmp_path_factory.mktemp("norms")
    a, b = (
        without_values(CohortNorms().fit(cohort[side]), folder, name)
        for side, name in ((first, "a.json"), (~first, "b.json"))
    )
    merged, whole = a.merge(b).table_, CohortNorms().fit(cohort).table_
    assert (merged["n"] == whole["n"]).all()
    np.testing.assert_allclose(merged["mean"], whole["mean"], rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(merged["sd"], whole["sd"], rtol=1e-10, atol=1e-10)


@settings(deadline=None, max_examples=20)
@given(splits(), st.lists(st.sampled_from(["A", "B", None]), min_size=12, max_size=12))
def test_merged_norms_by_site_equal_one_fit_too(split, sites):
    cohort, first = split
    sites = dict(zip(cohort.index, sites, strict=False))
    norms = CohortNorms(site_aware=True, min_site_scans=2)
    halves = [
        CohortNorms(site_aware=True, min_site_scans=2).fit(cohort[side], sites=sites)
        for side in (first, ~first)
    ]
    pd.testing.assert_frame_equal(
        halves[0].merge(halves[1]).transform(cohort, sites),
        norms.fit_transform(cohort, sites=sites),
        check_exact=True,
    )


def test_summaries_by_site_merge_site_by_site(features, tmp_path):
    sites = {scan_id: "AB"[i % 2] for i, scan_id in enumerate(features.index)}
    norms = [CohortNorms(site_aware=True, min_site_scans=2) for _ in range(3)]
    halves = [
        without_values(norms[i].fit(features[i::2][j::2], sites=sites), tmp_path, f"{i}{j}.json")
        for i in range(2)
        for j in range(2)
    ]
    merged = halves[0].merge(halves[1]).merge(halves[2]).merge(halves[3])
    whole = norms[2].fit(features, sites=sites)
    assert merged.site_counts_ == whole.site_counts_ == {"A": 10, "B": 10}
    np.testing.assert_allclose(
        merged.transform(features, sites), whole.transform(features, sites), rtol=1e-10, atol=1e-10
    )


def test_values_survive_the_disk_so_that_medians_still_merge(features, tmp_path):
    for i, name in ((0, "a.json"), (10, "b.json")):
        CohortNorms(robust=True).fit(features.iloc[i : i + 10]).save(tmp_path / name)
    merged = CohortNorms.load(tmp_path / "a.json").merge(CohortNorms.load(tmp_path / "b.json"))
    pd.testing.assert_frame_equal(
        merged.transform(features), CohortNorms(robust=True).fit_transform(features)
    )


def test_without_the_values_robust_statistics_are_refused_in_one_line(features, tmp_path):
    halves = [
        without_values(CohortNorms(robust=True).fit(half), tmp_path, f"{i}.json")
        for i, half in enumerate((features[:10], features[10:]))
    ]
    with pytest.raises(InputError, match="merged norms have no median and MAD") as caught:
        halves[0].merge(halves[1]).transform(features)
    assert "\n" not in str(caught.value)


def test_the_summary_alone_still_gives_robust_z_scores(features, tmp_path):
    norms = CohortNorms(robust=True).fit(features)
    loaded = without_values(norms, tmp_path, "norms.json")
    pd.testing.assert_frame_equal(loaded.transform(features), norms.transform(features))


def test_values_of_another_fit_are_refused(features, tmp_path):
    for name, rows in (("a.json", features[:10]), ("b.json", features[10:])):
        CohortNorms().fit(rows).save(tmp_path / name)
    (tmp_path / "a-values.npy").write_bytes((tmp_path / "b-values.npy").read_bytes())
    with pytest.raises(InputError, match=r"a-values.npy: not the values that the norms"):
        CohortNorms.load(tmp_path / "a.json").merge(CohortNorms.load(tmp_path / "b.json"))


def test_merging_where_one_side_lacks_a_feature_keeps_the_other_side(features, tmp_path):
    first, second = features.iloc[:10].copy(), features.iloc[10:]
    first["f0"] = np.nan
    a, b = (
        without_values(CohortNorms().fit(side), tmp_path, name)
        for side, name in ((first, "a.json"), (second, "b.json"))
    )
    merged = a.merge(b).table_.loc["f0"]
    assert merged["n"] == 10
    assert merged["mean"] == pytest.approx(second["f0"].mean())
    assert merged["sd"] == pytest.approx(second["f0"].std())


def test_merging_in_any_order_gives_the_same(features):
    parts = [CohortNorms().fit(features.iloc[i : i + 5]) for i in (0, 5, 10)]
    left = parts[0].merge(parts[1]).merge(parts[2]).table_
    right = parts[2].merge(parts[0].merge(parts[1])).table_
    pd.testing.assert_frame_equal(left, right, check_exact=True)


def test_merged_summaries_can_be_saved_and_loaded(features, tmp_path):
    a, b = (
        without_values(CohortNorms().fit(side), tmp_path, name)
        for side, name in ((features[:10], "a.json"), (features[10:], "b.json"))
    )
    a.merge(b).save(tmp_path / "norms.json")
    assert not (tmp_path / "norms-values.npy").exists()
    loaded = CohortNorms.load(tmp_path / "norms.json")
    np.testing.assert_allclose(
        loaded.transform(features), CohortNorms().fit(features).transform(features)
    )


def test_norms_with_other_options_are_not_merged(features):
    pooled = CohortNorms().fit(features[:10])
    with pytest.raises(InputError, match="robust is False on one side and True on the other"):
        pooled.merge(CohortNorms(robust=True).fit(features[10:]))
