import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from threadpoolctl import threadpool_limits

from fmri_descriptors import FeatureExtractor, FeatureSettings, InputError, Parcellation, Scan
from fmri_descriptors.registry import DESCRIPTORS, feature_columns


@pytest.fixture(scope="module")
def scans(simulate):
    return [simulate(seed, n_frames=150) for seed in range(4)]


@pytest.fixture(scope="module")
def extractor(scans):
    return FeatureExtractor().fit(scans)


@pytest.fixture(scope="module")
def features(extractor, scans):
    return extractor.transform(scans)


def test_there_are_23_descriptors_in_the_papers_four_domains():
    domains = [row.domain for row in DESCRIPTORS]
    counts = {domain: domains.count(domain) for domain in dict.fromkeys(domains)}
    assert counts == {"FC": 2, "gradients": 9, "ICA": 8, "graph": 4}


def test_descriptor_names_are_unique():
    assert len({row.name for row in DESCRIPTORS}) == 23


def test_column_names_are_stable(aal2):
    columns = feature_columns(aal2)
    assert len(columns) == len(set(columns)) == 165
    assert set(columns) >= {
        "fc.Visual-Visual",
        "fc.Sensorimotor-Visual",
        "gradient1.Visual",
        "gradient1.range",
        "gradient3.variance",
        "ica.amplitude.Visual",
        "ica.variability.Cingulo-insular",
        "ica.spectral_ratio.Medial temporal",
        "ica.falff.Visual",
        "ica.fnc.Visual-Parietal",
        "ica.overall_amplitude",
        "ica.overall_variability",
        "ica.overall_spectral_ratio",
        "graph.network_strength.Visual",
        "graph.modularity",
        "graph.global_efficiency",
        "graph.mean_clustering",
    }


def test_a_frame_has_one_finite_row_a_scan(extractor, features, scans, aal2):
    frame = features
    assert list(frame.columns) == feature_columns(aal2) == list(extractor.get_feature_names_out())
    assert list(frame.index) == [scan.scan_id for scan in scans]
    assert np.isfinite(frame.to_numpy()).all()
    assert frame.attrs["order_hash"] == aal2.order_hash


def test_scans_may_come_from_a_generator(features, scans):
    again = FeatureExtractor().fit(scan for scan in scans)
    pd.testing.assert_frame_equal(again.transform(scan for scan in scans), features)


def test_a_scans_features_do_not_depend_on_the_others(extractor, features, scans):
    pd.testing.assert_frame_equal(extractor.transform([scans[2]]), features.iloc[[2]])


def test_the_number_of_threads_changes_no_byte(features, scans):
    with threadpool_limits(limits=2):
        again = FeatureExtractor().fit(scans).transform(scans)
    assert again.to_numpy().tobytes() == features.to_numpy().tobytes()


def test_another_seed_changes_neither_connectivity_nor_gradients(features, scans):
    other = FeatureExtractor(seed=5).fit(scans).transform(scans[:1])
    fixed = [column for column in features if column.startswith(("fc.", "gradient"))]
    pd.testing.assert_frame_equal(other[fixed], features[fixed].iloc[:1])


def test_features_do_not_change_with_the_unit_except_the_amplitudes(
    extractor, features, scans, aal2
):
    scan = scans[0]
    scaled = Scan(7 * scan.timeseries, scan.tr, aal2, scan.scan_id, scan.subject)
    ratio = extractor.transform([scaled]).iloc[0] / features.iloc[0]
    amplitudes = ratio.index.str.contains("amplitude")
    np.testing.assert_allclose(ratio[amplitudes], 7, rtol=1e-8)
    np.testing.assert_allclose(ratio[~amplitudes], 1, rtol=1e-6)


def test_saving_and_loading_gives_the_same_features(extractor, features, scans, tmp_path):
    extractor.save(tmp_path)
    loaded = FeatureExtractor.load(tmp_path)
    assert loaded.fitted_on_ == extractor.fitted_on_
    pd.testing.assert_frame_equal(loaded.transform(scans), features)


def test_saving_twice_writes_the_same_bytes(extractor, tmp_path, tree):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        extractor.save(tmp_path / name)
    assert tree(tmp_path / "a") == tree(tmp_path / "b")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda d: (d / "extractor.npz").unlink(), "extractor.npz: cannot be read"),
        (lambda d: (d / "extractor.npz").write_bytes(b"PK\x03\x04 cut"), "cannot be read"),
        (lambda d: (d / "extractor.json").unlink(), "extractor.json: cannot be read"),
        (lambda d: (d / "extractor.json").write_text("{}"), "schema None, but this version"),
        (lambda d: (d / "extractor.json").write_text('{"schema": 3}'), "upgrade"),
        (lambda d: (d / "extractor.json").write_text('{"schema": 1}'), "describe the cohort again"),
    ],
)
def test_a_damaged_extractor_is_one_clear_line(extractor, tmp_path, damage, message):
    extractor.save(tmp_path)
    damage(tmp_path)
    with pytest.raises(InputError, match=message):
        FeatureExtractor.load(tmp_path)


def test_it_is_a_scikit_learn_estimator(extractor):
    settings = FeatureSettings(louvain_runs=2)
    copy = clone(FeatureExtractor(settings, seed=3))
    assert copy.get_params() == {"settings": settings, "seed": 3}
    with pytest.raises(NotFittedError):
        copy.transform([])


def test_a_masked_region_leaves_every_feature_of_its_network_in_place(extractor, scans, aal2):
    series = scans[0].timeseries.copy()
    series[:, 4] = np.nan
    features = extractor.transform([Scan(series, 2.0, aal2, "m", "m")])
    assert np.isfinite(features.to_numpy()).all()


def test_a_masked_network_has_nan_and_the_others_have_values(extractor, scans, aal2):
    series = scans[0].timeseries.copy()
    series[:, aal2.membership[aal2.network_names.index("Subcortical")]] = np.nan
    row = extractor.transform([Scan(series, 2.0, aal2, "m", "m")]).iloc[0]
    lost = {column for column in row.index if "Subcortical" in column}
    assert set(row.index[row.isna()]) == lost


def test_a_region_that_one_training_scan_lacks_is_still_learned(scans, aal2):
    series = scans[0].timeseries.copy()
    series[:, 4] = np.nan
    fitted = FeatureExtractor().fit([Scan(series, 2.0, aal2, "m", "m"), *scans[1:]])
    assert np.isfinite(fitted.template_).all()
    assert np.isfinite(fitted.group_maps_.maps).all()


def test_a_region_that_every_training_scan_lacks_is_left_out_later(scans, aal2):
    lacking = []
    for scan in scans:
        series = scan.timeseries.copy()
        series[:, 4] = np.nan
        lacking.append(Scan(series, 2.0, aal2, scan.scan_id, scan.subject))
    fitted = FeatureExtractor().fit(lacking)
    assert np.isnan(fitted.template_[4]).all()
    assert np.isfinite(fitted.transform(scans[:1]).to_numpy()).all()


def test_another_region_order_is_refused(extractor, scans, aal2):
    turned = Parcellation("mine", aal2.labels[::-1], aal2.networks[::-1], aal2.hemispheres[::-1])
    scan = Scan(scans[0].timeseries, 2.0, turned, "t", "t")
    with pytest.raises(InputError, match=r"t: regions are in the order of 'mine'"):
        extractor.transform([scan])


def test_no_scan_to_fit_on_is_refused():
    with pytest.raises(InputError, match="no scan to fit on"):
        FeatureExtractor().fit([])


def test_a_scan_given_twice_is_refused(extractor, scans):
    with pytest.raises(InputError, match="given twice"):
        extractor.transform([scans[0], scans[0]])


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"gradient_template": "schaefer400"}, "has no regions of 'aal2'"),
        ({"ica_maps": "none.tsv"}, "ica_maps: none.tsv cannot be read"),
    ],
)
def test_settings_of_other_regions_are_refused_at_the_first_scan(scans, setting, message):
    waiting = iter(scans)
    with pytest.raises(InputError, match=message):
        FeatureExtractor(FeatureSettings(**setting)).fit(waiting)
    assert len(list(waiting)) == len(scans) - 1
