"""Labels that the way of recording gives away, and scans cropped to one length."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import settings as examples
from hypothesis import strategies as st
from scipy.stats import chi2_contingency, mannwhitneyu
from sklearn.metrics import roc_auc_score

from fmri_descriptors import (
    CohortSettings,
    InputError,
    Parcellation,
    Recording,
    Source,
    read_cohort,
    write_cohort,
)
from fmri_descriptors.cohort.confounding import (
    _of_ranks,
    _of_shares,
    acquisition_confounds,
    confound_notes,
)
from fmri_descriptors.cohort.convert import Crop

REGIONS = Parcellation("four", ("a", "b", "c", "d"), ("N",) * 4, ("B",) * 4)


def scan(subject, label, *, n_frames=40, tr=2.0, site=None, session=None, entities=""):
    def read(path, parcellation):
        return np.random.default_rng(len(subject)).normal(size=(n_frames, 4))

    name = f"sub-{subject}{entities}"
    return Recording(Path(name), name, name, subject, session, site, tr, read, {"group": label})


def confounds(scans, n_frames=40):
    lengths = n_frames if isinstance(n_frames, list) else [n_frames] * len(scans)
    return acquisition_confounds(scans, lengths)


def people(n=20):
    return [(f"p{i:02d}", "patient" if i % 2 else "control") for i in range(n)]


@pytest.mark.parametrize(
    ("fact", "of_patients"),
    [
        ("tr", {"tr": 1.5}),
        ("site", {"site": "north"}),
        ("session", {"session": "2"}),
        ("run", {"entities": "_run-2"}),
        ("task", {"entities": "_task-rest"}),
    ],
)
def test_a_fact_that_only_patients_share_gives_the_group_away(fact, of_patients):
    of_controls = {"site": {"site": "south"}, "session": {"session": "1"}} | {
        "run": {"entities": "_run-1"},
        "task": {"entities": "_task-film"},
    }
    scans = [
        scan(who, label, **(of_patients if label == "patient" else of_controls.get(fact, {})))
        for who, label in people()
    ]
    assert confounds(scans)["group"][fact] == {"auc": 1.0, "value": "control"}


def test_the_area_of_many_lengths_is_that_of_their_ranks():
    rng = np.random.default_rng(3)
    scans = [scan(who, label) for who, label in people(40)]
    is_patient = np.array([each.phenotypes["group"] == "patient" for each in scans])
    lengths = [int(n) for n in 200 + 20 * is_patient + rng.normal(0, 12, 40)]
    found = confounds(scans, lengths)["group"]["n_frames"]["auc"]
    assert found == pytest.approx(roc_auc_score(is_patient, lengths), abs=1e-4)


def test_facts_that_have_nothing_to_do_with_a_label_are_not_suspected():
    rng = np.random.default_rng(0)
    for seed in range(20):
        labels = rng.permutation([label for _, label in people(40)])
        scans = [
            scan(f"p{i:02d}", label, site=rng.choice(["n", "s"]), session=str(seed % 2))
            for i, label in enumerate(labels)
        ]
        assert confounds(scans, [int(n) for n in rng.integers(180, 220, 40)]) == {}


def test_ages_of_one_site_above_the_others_are_given_away_by_it():
    from dataclasses import replace

    scans = [
        replace(scan(who, "x", site="old" if i > 9 else "young"), phenotypes={"age": 20.0 + i})
        for i, (who, _) in enumerate(people())
    ]
    assert confounds(scans)["age"]["site"]["auc"] == 1.0


def test_runs_of_one_person_that_agree_count_once():
    scans = [
        scan("anna", "patient", n_frames=50, entities=f"_run-{i}_task-rest") for i in range(20)
    ]
    scans += [scan("bert", "control", entities=f"_run-{i}_task-rest") for i in range(20)]
    assert confounds(scans, [50] * 20 + [40] * 20) == {}


@examples(max_examples=60, deadline=None, derandomize=True)
@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=2, max_size=8))
def test_areas_and_p_values_are_those_of_scipy(counts):
    label, others = (np.array(column) for column in zip(*counts, strict=True))
    kept = label + others > 0
    label, others = label[kept], others[kept]
    assume(len(label) > 1 and label.any() and others.any())
    places = np.arange(len(label))
    first, second = np.repeat(places, label), np.repeat(places, others)
    expected = mannwhitneyu(first, second, use_continuity=False, method="asymptotic")
    area, p = _of_ranks(label, others)
    share = expected.statistic / (len(first) * len(second))
    assert area == pytest.approx(max(share, 1 - share))
    assert p == pytest.approx(expected.pvalue)
    _, p = _of_shares(label, others)
    assert p == pytest.approx(chi2_contingency([label, others], correction=False).pvalue)


@pytest.mark.parametrize(
    ("trs", "lengths", "setting"),
    [((2.0, 2.0), (60, 50), "crop_frames"), ((2.0, 0.7), (60, 143), "crop_seconds")],
)
def test_the_warning_names_a_crop_after_which_length_tells_nothing(tmp_path, trs, lengths, setting):
    scans = []
    for who, label in people(12):
        group = label == "patient"
        scans.append(scan(who, label, tr=trs[group], n_frames=lengths[group]))
    source = Source("made", tuple(scans), (), parcellation="four")
    table = tmp_path / "four.tsv"
    table.write_text("label\tnetwork\n" + "".join(f"{name}\tN\n" for name in "abcd"))
    said = write_cohort(source, tmp_path, CohortSettings(parcellation=str(table)))
    key, _, value = said.partition("--set ")[2].split(" ")[0].partition("=")
    assert key == setting
    length = int(value) if key == "crop_frames" else float(value)
    cropped = CohortSettings(parcellation=str(table), **{key: length})
    assert "equally long" not in write_cohort(source, tmp_path, cropped)
    cohort = read_cohort(tmp_path)
    left = [each for split in ("train", "validation", "test") for each in cohort.scans(split)]
    seconds = [each.n_frames * each.tr for each in left]
    assert len(left) == 12
    assert max(seconds) - min(seconds) < 2.0
    assert cohort.document["confounds"].get("group", {}).keys() <= {"tr", "n_frames"}


@pytest.mark.parametrize(
    ("crop", "kept"),
    [(Crop(), 50), (Crop(frames=30), 30), (Crop(seconds=36.0), 50), (Crop(seconds=14.4), 20)],
)
def test_a_crop_keeps_the_first_frames(crop, kept):
    whole = scan("anna", "x", tr=0.72, n_frames=50).scan(REGIONS)
    np.testing.assert_array_equal(crop(whole).timeseries, whole.timeseries[:kept])


@pytest.mark.parametrize(
    ("seconds", "message"),
    [
        (120.0, "50 frames of 2 s, but crop_seconds keeps 60; lower it"),
        (20.0, "crop_seconds keeps 10 frames of 2 s, but at least 16 are needed; raise it"),
    ],
)
def test_a_crop_that_a_scan_cannot_take_rejects_it_with_both_numbers(seconds, message):
    whole = scan("anna", "x", n_frames=50).scan(REGIONS)
    with pytest.raises(InputError, match=message):
        Crop(seconds=seconds)(whole)


@pytest.mark.parametrize(
    "settings",
    [{"crop_frames": 0}, {"crop_seconds": -1.0}, {"crop_frames": 20, "crop_seconds": 9.0}],
)
def test_a_crop_that_means_nothing_is_refused(settings):
    with pytest.raises(InputError, match="crop_"):
        CohortSettings(**settings)


def test_labels_that_the_same_facts_give_away_share_a_line():
    scans = [scan(w, label, site="n" if label == "patient" else "s") for w, label in people()]
    found = {"a": {"site": {"auc": 1.0, "value": "x"}}, "b": {"site": {"auc": 1.0, "value": "y"}}}
    assert confound_notes(found, scans, [40] * 20) == (
        "a, b are given away by site (AUC up to 1.00), without the brain",
    )
