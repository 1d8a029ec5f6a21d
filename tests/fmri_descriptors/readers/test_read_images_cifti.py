"""CIFTI series: parcels by name, grayordinates over a label file."""

import numpy as np
import pytest

from fmri_descriptors.errors import InputError
from fmri_descriptors.readers.base import ReadOptions
from fmri_descriptors.readers.layouts.cifti import cifti_source

from ..image_files import REGIONS, T, brain_models, courses, parcels, save_cifti, save_dlabel

KEYS = [1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 0, 4, 4, 4, 4]  # twelve vertices, then four voxels


def grayordinates(series):
    """Values whose label means are the series: each label's patterns sum to nothing."""
    data = np.random.default_rng(3).standard_normal((len(series), len(KEYS)))
    for key in range(1, 5):
        of = np.array(KEYS) == key
        data[:, of] += series[:, [key - 1]] - data[:, of].mean(axis=1, keepdims=True)
    return data


@pytest.fixture
def dlabel(tmp_path):
    return save_dlabel(tmp_path / "atlas.dlabel.nii", KEYS, brain_models())


def read(path, **options):
    found = cifti_source(path, ReadOptions(**options))
    assert not found.rejected
    (recording,) = found.recordings
    return recording.read(recording.path, REGIONS)


def test_parcels_come_back_as_they_are(tmp_path):
    file = save_cifti(tmp_path / "s.ptseries.nii", courses(), parcels())
    np.testing.assert_array_equal(read(file), courses())


def test_the_series_axis_tells_the_repetition_time(tmp_path):
    file = save_cifti(tmp_path / "s.ptseries.nii", courses(), parcels(), tr=0.72)
    assert cifti_source(file, ReadOptions()).recordings[0].tr == 0.72


def test_a_series_axis_in_hertz_is_rejected(tmp_path):
    file = save_cifti(tmp_path / "s.ptseries.nii", courses(), parcels(), unit="HERTZ")
    (rejected,) = cifti_source(file, ReadOptions()).rejected
    assert "HERTZ" in rejected.reason


def test_a_given_repetition_time_that_disagrees_is_rejected_with_both(tmp_path):
    file = save_cifti(tmp_path / "s.ptseries.nii", courses(), parcels(), tr=0.72)
    (rejected,) = cifti_source(file, ReadOptions(tr=2.0)).rejected
    assert "0.72 s" in rejected.reason
    assert "2 s" in rejected.reason


def test_parcels_in_another_order_are_refused(tmp_path):
    file = save_cifti(tmp_path / "s.ptseries.nii", courses(), parcels(("b", "a", "c", "d")))
    with pytest.raises(InputError, match="another order; parcellate with"):
        read(file)


def test_other_parcels_are_refused_by_name(tmp_path):
    file = save_cifti(tmp_path / "s.ptseries.nii", courses(), parcels(("a", "b", "c", "x")))
    with pytest.raises(InputError, match="'d' is missing"):
        read(file)


def test_label_means_come_back(tmp_path, dlabel):
    file = save_cifti(tmp_path / "s.dtseries.nii", grayordinates(courses()), brain_models())
    np.testing.assert_allclose(read(file, atlas=dlabel), courses(), rtol=1e-12)


@pytest.mark.parametrize("kind", ["ptseries", "dtseries"])
def test_reading_a_sound_file_logs_no_warning(tmp_path, dlabel, caplog, kind):
    """Not even numpy's, of nibabel's arrays that know no `copy`."""
    if kind == "ptseries":
        read(save_cifti(tmp_path / "s.ptseries.nii", courses(), parcels()))
    else:
        models = brain_models()
        file = save_cifti(tmp_path / "s.dtseries.nii", grayordinates(courses()), models)
        read(file, atlas=dlabel)
    assert caplog.messages == []


def test_blocks_of_grayordinates_give_the_same_means(tmp_path, dlabel, monkeypatch):
    file = save_cifti(tmp_path / "s.dtseries.nii", grayordinates(courses()), brain_models())
    monkeypatch.setattr("fmri_descriptors.readers.layouts.cifti._BLOCK_VALUES", 3 * T)
    np.testing.assert_allclose(read(file, atlas=dlabel), courses(), rtol=1e-12)


def test_labels_are_matched_by_name_not_by_key(tmp_path):
    atlas = save_dlabel(tmp_path / "t.dlabel.nii", KEYS, brain_models(), ("d", "c", "b", "a"))
    file = save_cifti(tmp_path / "s.dtseries.nii", grayordinates(courses()), brain_models())
    np.testing.assert_allclose(read(file, atlas=atlas), courses()[:, ::-1], rtol=1e-12)


def test_grayordinates_are_matched_by_vertex_where_the_atlas_has_others(tmp_path):
    keys = [*KEYS[:12], 0, *KEYS[12:]]
    atlas = save_dlabel(tmp_path / "full.dlabel.nii", keys, brain_models(13))
    file = save_cifti(tmp_path / "s.dtseries.nii", grayordinates(courses()), brain_models())
    np.testing.assert_allclose(read(file, atlas=atlas), courses(), rtol=1e-12)


def test_a_label_without_a_grayordinate_keeps_its_column_as_nan(tmp_path, dlabel):
    models = brain_models()[:12]  # the cortex alone
    file = save_cifti(tmp_path / "s.dtseries.nii", grayordinates(courses())[:, :12], models)
    series = read(file, atlas=dlabel)
    assert np.isnan(series).all(axis=0).tolist() == [False, False, False, True]


def test_an_atlas_on_another_surface_is_refused(tmp_path, dlabel):
    from nibabel import cifti2

    models = cifti2.BrainModelAxis.from_surface(range(16), 20, "CIFTI_STRUCTURE_CORTEX_LEFT")
    file = save_cifti(tmp_path / "s.dtseries.nii", grayordinates(courses()), models)
    with pytest.raises(InputError, match="20 vertices, but 16"):
        read(file, atlas=dlabel)


def test_dense_series_without_an_atlas_are_refused(tmp_path):
    file = save_cifti(tmp_path / "s.dtseries.nii", grayordinates(courses()), brain_models())
    with pytest.raises(InputError, match="need an atlas"):
        cifti_source(file, ReadOptions())


def test_a_series_file_is_no_atlas(tmp_path):
    file = save_cifti(tmp_path / "s.dtseries.nii", grayordinates(courses()), brain_models())
    with pytest.raises(InputError, match=r"is no \.dlabel\.nii file"):
        cifti_source(file, ReadOptions(atlas=file))


def test_an_infinite_grayordinate_is_refused(tmp_path, dlabel):
    data = grayordinates(courses())
    data[4, 5] = np.inf
    file = save_cifti(tmp_path / "s.dtseries.nii", data, brain_models())
    with pytest.raises(InputError, match="region b has infinite values"):
        read(file, atlas=dlabel)


def test_a_grayordinate_that_is_nan_at_times_is_refused(tmp_path, dlabel):
    data = grayordinates(courses())
    data[4, 9] = np.nan
    file = save_cifti(tmp_path / "s.dtseries.nii", data, brain_models())
    with pytest.raises(InputError, match="region c has points that are NaN in some frames"):
        read(file, atlas=dlabel)
