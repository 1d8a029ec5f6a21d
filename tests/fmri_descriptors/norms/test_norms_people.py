"""A person counts once, and is not in the norms that their own scans are compared with."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.stats import t

from fmri_descriptors import CohortNorms, InputError
from fmri_descriptors.norms.chance import expected_outside

values = st.one_of(st.integers(-99, 99).map(float), st.just(np.nan), st.just(7.0))


def frame(rows):
    rows = np.asarray(rows, dtype=float)
    index = pd.Index([f"s{i:03d}" for i in range(len(rows))], name="scan_id")
    return pd.DataFrame(rows, index=index, columns=[f"f{i}" for i in range(rows.shape[1])])


@st.composite
def cohorts(draw):
    """Scans with gaps, of four to six people with one to three runs each."""
    runs = draw(st.lists(st.integers(1, 3), min_size=4, max_size=6))
    features = frame(draw(hnp.arrays(np.float64, (sum(runs), 3), elements=values)))
    people = [f"p{k}" for k, n in enumerate(runs) for _ in range(n)]
    return features, dict(zip(features.index, people, strict=True))


def refitted(features, subjects, **options):
    """Z-scores of each scan from norms that were fitted without its person."""
    rows = []
    for scan_id, person in subjects.items():
        others = [i for i, who in subjects.items() if who != person]
        norms = CohortNorms(**options).fit(features.loc[others], subjects=subjects)
        rows.append(norms.transform(features.loc[[scan_id]]))
    return pd.concat(rows)


@settings(deadline=None, max_examples=15, derandomize=True)
@given(cohorts(), st.booleans())
def test_leaving_a_person_out_equals_norms_fitted_without_them(cohort, robust):
    features, subjects = cohort
    norms = CohortNorms(robust=robust).fit(features, subjects=subjects)
    expected = refitted(features, subjects, robust=robust)
    got = norms.transform(features, leave_out=True)
    np.testing.assert_array_equal(np.isnan(got), np.isnan(expected))
    np.testing.assert_allclose(got, expected, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("robust", [False, True])
def test_an_outlier_does_not_hide_in_its_own_norms(robust):
    rng = np.random.default_rng(0)
    features = frame(rng.normal(size=(12, 2)))
    features.iloc[3] = 1e9
    norms = CohortNorms(robust=robust).fit(features)
    assert (norms.transform(features, leave_out=True).iloc[3] > 1e8).all()
    np.testing.assert_allclose(
        norms.transform(features, leave_out=True),
        refitted(features, {i: i for i in features.index}, robust=robust),
        rtol=1e-6,
    )


def test_new_scans_are_compared_with_everybody():
    rng = np.random.default_rng(0)
    features, new = frame(rng.normal(size=(12, 2))), frame(rng.normal(size=(5, 2)))
    norms = CohortNorms().fit(features)
    expected = (new - features.mean()) / features.std()
    # Of other people with the same ids, too.
    pd.testing.assert_frame_equal(norms.transform(new, leave_out=True), expected)


def test_leaving_out_keeps_to_the_site(tmp_path):
    rng = np.random.default_rng(0)
    features = frame(np.vstack([rng.normal(size=(9, 3)), rng.normal(30, 5, size=(8, 3))]))
    sites = {s: "A" if i < 9 else "B" for i, s in enumerate(features.index)}
    sites["s016"] = None
    norms = CohortNorms(site_aware=True, min_site_scans=5).fit(features, sites=sites)
    norms.save(tmp_path / "norms.json")
    got = CohortNorms.load(tmp_path / "norms.json").transform(features, sites, leave_out=True)
    for rows in (features[:9], features[9:16]):
        alone = CohortNorms().fit(rows).transform(rows, leave_out=True)
        pd.testing.assert_frame_equal(got.loc[rows.index], alone)
    pooled = CohortNorms().fit(features).transform(features, leave_out=True)
    pd.testing.assert_series_equal(got.loc["s016"], pooled.loc["s016"])


def test_norms_without_their_values_compare_every_scan_with_everybody(tmp_path):
    features = frame(np.random.default_rng(0).normal(size=(12, 2)))
    norms = CohortNorms().fit(features)
    norms.save(tmp_path / "norms.json", values=False)
    loaded = CohortNorms.load(tmp_path / "norms.json")
    pd.testing.assert_frame_equal(
        loaded.transform(features, leave_out=True), norms.transform(features)
    )


def test_runs_of_one_person_count_as_one_person():
    """Copies of a run change nothing; a second run counts by half."""
    rng = np.random.default_rng(0)
    once = frame(rng.normal(size=(6, 2)))
    thrice = frame(np.vstack([once, once.iloc[[0, 0]]]))
    subjects = {s: "s000" if i > 5 else s for i, s in enumerate(thrice.index)}
    pd.testing.assert_frame_equal(
        CohortNorms().fit(thrice, subjects=subjects).table_, CohortNorms().fit(once).table_
    )
    thrice.iloc[6] = [3.0, 5.0]
    table = CohortNorms().fit(thrice[:7], subjects=subjects).table_
    assert table["n"].tolist() == [6, 6]
    means = [*once.to_numpy()[1:], (once.to_numpy()[0] + [3.0, 5.0]) / 2]
    np.testing.assert_allclose(table["mean"], np.mean(means, axis=0))


def test_the_spread_is_that_of_one_scan_of_one_person():
    """Planted: SD 1 between people and 1 between the runs of a person make sqrt(2) a scan."""
    rng = np.random.default_rng(0)
    runs = rng.integers(1, 4, size=3000)
    people = np.repeat(np.arange(3000), runs)
    features = frame((rng.normal(size=3000)[people] + rng.normal(size=len(people)))[:, None])
    subjects = dict(zip(features.index, people.astype(str), strict=True))
    table = CohortNorms().fit(features, subjects=subjects).table_
    assert table.loc["f0", "sd"] == pytest.approx(np.sqrt(2), rel=0.03)


def test_training_and_new_scans_lie_outside_the_typical_range_equally_often():
    """Twelve people: with their own scan in the norms, no z can exceed 11 / sqrt(12) = 3.18."""
    rng = np.random.default_rng(0)
    features, new = frame(rng.normal(size=(12, 4000))), frame(rng.normal(size=(12, 4000)))
    norms = CohortNorms().fit(features)
    for bound in (1.0, 2.0):
        share = expected_outside([11], bound)
        training = norms.transform(features, leave_out=True).abs() >= bound
        assert training.to_numpy().mean() == pytest.approx(share, rel=0.06)
        held_out = norms.transform(new).abs() >= bound
        assert held_out.to_numpy().mean() == pytest.approx(expected_outside([12], bound), rel=0.06)
    itself = norms.transform(features).abs() >= 2
    assert itself.to_numpy().mean() < 0.5 * expected_outside([12], 2.0)


def test_the_expected_number_outside_follows_students_t():
    expected = 2 * t.sf(2 / np.sqrt(1.1), 9) + 2 * t.sf(2 / np.sqrt(1.05), 19)
    assert expected_outside([10, 20, 1, 0], 2.0) == pytest.approx(expected)


def test_people_survive_the_disk_and_a_merge(tmp_path):
    rng = np.random.default_rng(0)
    features = frame(rng.normal(size=(10, 2)))
    subjects = {s: f"p{i // 2}" for i, s in enumerate(features.index)}
    whole = CohortNorms().fit(features, subjects=subjects)
    sides = {"a.json": features[:5], "b.json": features[5:]}  # the third person is on both
    for name, side in sides.items():
        CohortNorms().fit(side, subjects=subjects).save(tmp_path / name)
    merged = CohortNorms.load(tmp_path / "a.json").merge(CohortNorms.load(tmp_path / "b.json"))
    pd.testing.assert_frame_equal(merged.table_, whole.table_, check_exact=True)
    assert merged.n_people_ == 5
    for name in sides:
        (tmp_path / name.replace(".json", "-values.npy")).unlink()
    with pytest.raises(InputError, match="subject 'p2' is in both, and would count twice"):
        CohortNorms.load(tmp_path / "a.json").merge(CohortNorms.load(tmp_path / "b.json"))


def test_a_site_counts_its_people():
    rng = np.random.default_rng(0)
    features = frame(rng.normal(size=(12, 2)))
    sites = {s: "A" if i < 6 else "B" for i, s in enumerate(features.index)}
    subjects = {s: s if i < 6 else f"p{i // 2}" for i, s in enumerate(features.index)}
    norms = CohortNorms(site_aware=True, min_site_scans=5)
    norms.fit(features, sites=sites, subjects=subjects)
    used = norms.reference(["s000", "s011"], sites)
    assert used["norms"].tolist() == ["A", "pooled"]
    assert used["n_people"].tolist() == [6, 9]
    assert used["reason"].iloc[1] == "site B has 3 of at least 5 training subjects"
