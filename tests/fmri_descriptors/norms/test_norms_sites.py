"""Norms that look at the site, and what they do where a site is too small or unknown."""

import json

import numpy as np
import pandas as pd
import pytest

from fmri_descriptors import CohortNorms, InputError
from fmri_descriptors.norms.cohort_norms import POOLED


def cohort(n_scans, offset=0.0, scale=1.0, start=0, seed=0):
    rng = np.random.default_rng(seed + start)
    index = pd.Index([f"s{i}" for i in range(start, start + n_scans)], name="scan_id")
    values = rng.normal(5 + offset, 2 * scale, (n_scans, 3))
    return pd.DataFrame(values, index=index, columns=["a", "b", "c"])


@pytest.fixture
def two_sites():
    """Forty scans at each of two scanners, the second 30 higher with thrice the spread."""
    features = pd.concat([cohort(40), cohort(40, offset=30, scale=3, start=40)])
    return features, {s: "Ulm" if i < 40 else "Bonn" for i, s in enumerate(features.index)}


@pytest.mark.parametrize("robust", [False, True])
def test_a_planted_site_offset_and_scale_are_gone(two_sites, robust):
    features, sites = two_sites
    norms = CohortNorms(robust=robust, site_aware=True)
    z = norms.fit_transform(features, sites=sites).groupby(sites)
    centre = z.median() if robust else z.mean()
    spread = z.agg(lambda x: 1.4826 * (x - x.median()).abs().median()) if robust else z.std()
    np.testing.assert_allclose(centre, 0, atol=1e-9)
    np.testing.assert_allclose(spread, 1, atol=1e-9)


def test_pooled_norms_keep_the_site_offset(two_sites):
    features, sites = two_sites
    z = CohortNorms().fit_transform(features).groupby(sites).mean()
    assert (z.loc["Bonn"] - z.loc["Ulm"] > 1).all()


def test_a_planted_subject_effect_stays_at_every_site(two_sites):
    features, sites = two_sites
    norms = CohortNorms(site_aware=True).fit(features, sites=sites)
    planted = features.copy()
    for scan_id, unit in (("s0", 2.0), ("s40", 6.0)):  # one standard deviation of the site each
        planted.loc[scan_id, "a"] += 3 * unit
    moved = norms.transform(planted, sites) - norms.transform(features, sites)
    assert moved.loc[["s0", "s40"], "a"].to_numpy() == pytest.approx([3, 3], rel=0.3)
    assert np.count_nonzero(moved) == 2


def test_z_scores_at_a_site_are_those_of_norms_of_that_site_alone(two_sites):
    features, sites = two_sites
    z = CohortNorms(site_aware=True).fit_transform(features, sites=sites)
    pd.testing.assert_frame_equal(z[:40], CohortNorms().fit_transform(features[:40]))


def test_one_sites_cohort_gives_the_pooled_z_scores():
    features = cohort(25)
    sites = dict.fromkeys(features.index, "Ulm")
    pd.testing.assert_frame_equal(
        CohortNorms(site_aware=True).fit_transform(features, sites=sites),
        CohortNorms().fit_transform(features),
    )


@pytest.fixture
def mixed():
    """A site with enough scans, one with too few, scans without a site."""
    features = pd.concat([cohort(30), cohort(5, offset=9, start=30), cohort(2, start=35)])
    sites = pd.Series("Ulm", index=features.index, dtype=object)
    sites[30:35], sites[35:] = "Bonn", None
    return CohortNorms(site_aware=True).fit(features, sites=sites), features, sites


def test_a_small_an_unseen_and_no_site_are_compared_with_the_pooled_norms(mixed):
    norms, features, sites = mixed
    sites = sites.copy()
    sites["s36"] = "Mars"
    z = norms.transform(features, sites)
    pooled = CohortNorms().fit(features).transform(features)
    pd.testing.assert_frame_equal(z[30:], pooled[30:])
    assert not np.allclose(z[:30], pooled[:30])


def test_the_reference_says_what_each_scan_was_compared_with_and_why(mixed):
    norms, _, sites = mixed
    sites = sites.copy()
    sites["s36"] = "Mars"
    table = norms.reference(["s0", "s30", "s35", "s36"], sites)
    assert table["norms"].tolist() == ["Ulm", POOLED, POOLED, POOLED]
    assert table["n_scans"].tolist() == [30, 37, 37, 37]
    assert table["pooled_features"].tolist() == [0, 3, 3, 3]
    assert table["reason"].tolist() == [
        "",
        "site Bonn has 5 of at least 20 training subjects",
        "no site given",
        "site Mars was not seen in training",
    ]


def test_a_feature_with_too_few_values_at_a_site_is_pooled_and_counted():
    features = pd.concat([cohort(30), cohort(30, offset=9, start=30)])
    features.loc[features.index[:15], "b"] = np.nan
    sites = {s: "Ulm" if i < 30 else "Bonn" for i, s in enumerate(features.index)}
    norms = CohortNorms(site_aware=True).fit(features, sites=sites)
    z = norms.transform(features, sites)
    pooled = CohortNorms().fit_transform(features)
    pd.testing.assert_series_equal(z["b"][:30], pooled["b"][:30])
    assert norms.site_tables_["Ulm"]["n"].to_dict() == {"a": 30, "b": 15, "c": 30}
    row = norms.reference(["s0"], sites).loc["s0"]
    assert (row["norms"], row["pooled_features"]) == ("Ulm", 1)
    assert row["reason"] == "fewer than 20 values at the site"


def test_the_file_records_which_sites_have_norms_of_their_own(mixed, tmp_path):
    norms, features, sites = mixed
    norms.save(tmp_path / "norms.json")
    written = json.loads((tmp_path / "norms.json").read_text())["sites"]
    assert {site: entry["own_norms"] for site, entry in written.items()} == {
        "Ulm": True,
        "Bonn": False,
    }
    assert written["Bonn"]["features"]["a"]["n"] == written["Bonn"]["n_scans"] == 5
    loaded = CohortNorms.load(tmp_path / "norms.json")
    pd.testing.assert_frame_equal(
        loaded.transform(features, sites), norms.transform(features, sites)
    )


def test_norms_that_look_at_sites_ask_for_them(mixed):
    norms, features, _ = mixed
    for use in (CohortNorms(site_aware=True).fit, norms.transform):
        with pytest.raises(InputError, match="site_aware, but no sites; give the site of each"):
            use(features)


def test_pooled_norms_say_that_they_do_not_look_at_sites():
    norms = CohortNorms().fit(cohort(4))
    assert norms.reference(["x"]).loc["x", "reason"] == "norms do not look at sites"


def test_a_site_of_one_scan_cannot_have_norms():
    with pytest.raises(InputError, match="min_site_scans: 1; give at least 2"):
        CohortNorms(min_site_scans=1).fit(cohort(4))
