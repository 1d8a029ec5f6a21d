"""A user's spatial maps: tables, images, and the features that come of them."""

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from fmri_descriptors import FeatureExtractor, FeatureSettings, InputError, Parcellation
from fmri_descriptors.features.ica.spatial_maps import (
    read_spatial_maps,
    region_maps,
    voxelwise_time_courses,
    write_spatial_maps,
)


@pytest.fixture(scope="module")
def scans(simulate):
    return [simulate(seed) for seed in range(3)]


@pytest.fixture
def fitted(scans):
    """The group ICA that scans fitted on themselves have."""
    return FeatureExtractor(FeatureSettings(louvain_runs=1)).fit(scans)


@pytest.fixture
def write(tmp_path, aal2):
    """Write maps as a table and return its path."""

    def make(maps, networks, names=None):
        path = tmp_path / "maps.tsv"
        names = names or [f"c{i}" for i in range(len(maps))]
        write_spatial_maps(maps, names, networks, aal2, path)
        return path

    return make


@pytest.fixture
def outlines(aal2):
    """One map a network: its regions, and a little noise that makes it a map."""
    noise = np.random.default_rng(0).standard_normal((9, 94))
    return aal2.membership + 0.1 * noise


def _features(scans, path):
    settings = FeatureSettings(ica_maps=str(path), louvain_runs=1)
    return FeatureExtractor(settings).fit(scans).transform(scans)


def test_the_group_icas_own_maps_as_a_table_give_its_features(scans, fitted, write, aal2):
    groups = fitted.group_maps_
    networks = [*aal2.network_names, *[""] * (len(groups.maps) - 9)]
    given = _features(scans, write(groups.maps, networks))
    pd.testing.assert_frame_equal(given, fitted.transform(scans), rtol=1e-9)


def test_the_scale_of_a_users_maps_changes_no_feature(scans, write, outlines, aal2):
    plain = _features(scans, write(outlines, aal2.network_names))
    scaled = outlines * np.arange(1, 10)[:, None] + 5
    pd.testing.assert_frame_equal(
        _features(scans, write(scaled, aal2.network_names)), plain, rtol=1e-8
    )


def test_two_components_of_a_network_are_averaged(scans, write, outlines, aal2):
    """Rows in any order: the second visual component first."""
    extra = np.random.default_rng(1).standard_normal(94) + 2 * aal2.membership[0]
    names = aal2.network_names
    both = _features(scans, write(np.vstack([extra, outlines]), [names[0], *names]))
    first = _features(scans, write(np.vstack([extra, outlines]), ["", *names]))
    second = _features(scans, write(np.vstack([extra, outlines]), [*names[:1], "", *names[1:]]))
    for column in (f"ica.falff.{names[0]}", f"ica.fnc.{names[0]}-{names[1]}"):
        np.testing.assert_allclose(both[column], (first[column] + second[column]) / 2)


def test_a_network_without_component_is_not_available(scans, write, outlines, aal2):
    features = _features(scans, write(outlines[1:], aal2.network_names[1:]))
    own = [c for c in features if c.startswith("ica.") and aal2.network_names[0] in c]
    assert features[own].isna().all(axis=None)
    assert features.drop(columns=own).notna().all(axis=None)


def test_regions_that_maps_do_not_cover_take_no_part(scans, write, outlines, aal2):
    outlines[:, 5] = np.nan
    groups = read_spatial_maps(write(outlines, aal2.network_names), aal2)
    assert np.flatnonzero(np.isnan(groups.maps).any(axis=0)).tolist() == [5]


def test_a_saved_extractor_needs_the_table_no_more(scans, write, outlines, aal2, tmp_path):
    path = write(outlines, aal2.network_names)
    settings = FeatureSettings(ica_maps=str(path), louvain_runs=1)
    extractor = FeatureExtractor(settings).fit(scans)
    extractor.save(tmp_path)
    expected = extractor.transform(scans)
    path.unlink()
    pd.testing.assert_frame_equal(FeatureExtractor.load(tmp_path).transform(scans), expected)
    assert str(tmp_path) not in (tmp_path / "extractor.json").read_text()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.drop(columns="network"), "no column 'network'"),
        (lambda t: t.iloc[:, :-1], "no column 'Temporal_Pole_Mid_R'|no column '"),
        (lambda t: t.iloc[:0], "no row; give a row a component"),
        (lambda t: t.assign(network="SC"), "network 'SC' is not one of 'aal2'"),
        (lambda t: t.assign(network=""), "no component has a network"),
        (lambda t: t.assign(Precentral_L="high"), "could not convert string to float: 'high'"),
        (lambda t: t.assign(Precentral_L=["", *["1"] * 8]), "'c1' covers other regions than the"),
    ],
)
def test_a_table_that_cannot_be_used_says_why(write, outlines, aal2, change, message):
    path = write(outlines, aal2.network_names)
    table = pd.read_csv(path, sep="\t", dtype=str, keep_default_na=False)
    change(table).to_csv(path, sep="\t", index=False)
    with pytest.raises(InputError, match=message):
        read_spatial_maps(path, aal2)


def test_a_constant_map_is_refused(write, outlines, aal2):
    outlines[3] = 1.0
    with pytest.raises(InputError, match="component 'c3' is constant"):
        read_spatial_maps(write(outlines, aal2.network_names), aal2)


def test_a_missing_table_is_named(aal2, tmp_path):
    with pytest.raises(InputError, match=r"ica_maps: .*none\.tsv cannot be read"):
        read_spatial_maps(tmp_path / "none.tsv", aal2)


@pytest.fixture
def three():
    return Parcellation("three", ["a", "b", "c"], ["A", "A", "B"], ["L", "R", "B"])


@pytest.fixture
def atlas():
    """Two regions of the three; the third has no voxel."""
    values = np.zeros((6, 6, 6), dtype=np.int16)
    values[:3], values[3:, :, :4] = 1, 2
    return nib.Nifti1Image(values, np.eye(4))


@pytest.fixture
def maps_img():
    values = np.random.default_rng(0).standard_normal((6, 6, 6, 4))
    return nib.Nifti1Image(values, np.eye(4))


def test_region_maps_are_means_of_voxels_and_empty_where_there_is_none(atlas, maps_img, three):
    found = region_maps(maps_img, atlas, three)
    values, labels = maps_img.get_fdata(), np.asarray(atlas.dataobj)
    np.testing.assert_allclose(found[:, 0], values[labels == 1].mean(axis=0), atol=1e-6)
    np.testing.assert_allclose(found[:, 1], values[labels == 2].mean(axis=0), atol=1e-6)
    assert np.isnan(found[:, 2]).all()


def test_maps_on_another_grid_are_resampled_to_the_atlas(atlas, three):
    """A map that is linear in space keeps its regional means on a grid of half the step."""
    x = np.arange(12)[:, None, None, None] * 0.5 * np.ones((1, 12, 12, 2))
    fine = nib.Nifti1Image(x, np.diag([0.5, 0.5, 0.5, 1.0]))
    coarse = nib.Nifti1Image(x[::2, ::2, ::2], np.eye(4))
    found = region_maps(fine, atlas, three)[:, :2]
    np.testing.assert_allclose(found, region_maps(coarse, atlas, three)[:, :2], atol=0.02)


def test_an_atlas_of_other_regions_is_refused(atlas, maps_img, aal2, three):
    values = np.asarray(atlas.dataobj).copy()
    values[0] = 95
    with pytest.raises(InputError, match="atlas: value 95, but 'aal2' has regions 1 to 94"):
        region_maps(maps_img, nib.Nifti1Image(values, np.eye(4)), aal2)


def test_images_of_the_wrong_dimensions_are_refused(atlas, maps_img, three):
    with pytest.raises(InputError, match=r"maps: an image of shape \(6, 6, 6\); give a 4-D image"):
        region_maps(atlas, atlas, three)
    with pytest.raises(InputError, match="scan: an image of shape"):
        voxelwise_time_courses(atlas, maps_img)


def test_voxelwise_courses_are_least_squares_of_the_frames_on_the_maps(maps_img):
    rng = np.random.default_rng(1)
    planted = rng.standard_normal((30, 4))
    maps = maps_img.get_fdata()
    noise = 0.1 * rng.standard_normal((6, 6, 6, 30))
    scan = nib.Nifti1Image(maps @ planted.T + noise + 1000, np.eye(4))
    values = scan.get_fdata().reshape(-1, 30)
    values = values - values.mean(axis=1, keepdims=True)
    expected = np.linalg.lstsq(maps.reshape(-1, 4), values, rcond=None)[0].T
    found = voxelwise_time_courses(scan, maps_img)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert np.corrcoef(found[:, 2], planted[:, 2])[0, 1] > 0.99
