"""A cohort is described to the same bytes by one process, by several, and after a kill."""

import os
import signal
import subprocess
import sys
import time

import pandas as pd
import pytest
from scipy.signal import butter, sosfiltfilt

from fmri_descriptors import (
    CohortNorms,
    CohortSettings,
    DescribeOptions,
    DescribeSettings,
    FeatureSettings,
    InputError,
    Scan,
    describe_cohort,
    open_source,
    write_cohort,
)
from fmri_descriptors.features.availability import FILTERED, TOO_SLOW

QUICK = DescribeSettings(features=FeatureSettings(louvain_runs=1, ica_components=10))
SCRIPT = """
from pathlib import Path
from fmri_descriptors import DescribeSettings, FeatureSettings, describe_cohort

describe_cohort(
    Path({cohort!r}),
    Path({out!r}),
    DescribeSettings(features=FeatureSettings(louvain_runs=1, ica_components=10)),
)
"""


@pytest.fixture(scope="module")
def quick_dir(cohort_dir, tmp_path_factory):
    directory = tmp_path_factory.mktemp("quick")
    describe_cohort(cohort_dir, directory, QUICK)
    return directory


def test_progress_reaches_its_total_without_stepping_back(cohort_dir, tmp_path):
    seen = []
    describe_cohort(cohort_dir, tmp_path, QUICK, progress=lambda *now: seen.append(now))
    done = [n for n, _ in seen]
    assert done == sorted(set(done))
    assert {total for _, total in seen} == {31}  # 12 scans twice, and 7 of them once more
    assert done[-1] == 31


def test_two_processes_write_the_same_bytes(cohort_dir, quick_dir, tmp_path, tree):
    describe_cohort(cohort_dir, tmp_path, QUICK, options=DescribeOptions(jobs=2))
    assert tree(tmp_path) == tree(quick_dir)


def test_two_workers_of_a_dask_cluster_write_the_same_bytes(cohort_dir, quick_dir, tmp_path, tree):
    from distributed import LocalCluster

    with LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
    ) as cluster:
        options = DescribeOptions(scheduler=cluster.scheduler_address)
        describe_cohort(cohort_dir, tmp_path, QUICK, options=options)
    assert tree(tmp_path) == tree(quick_dir)


def test_a_scheduler_that_is_not_there_is_told_in_one_line(cohort_dir, tmp_path):
    options = DescribeOptions(scheduler="tcp://127.0.0.1:9")
    with pytest.raises(InputError, match=r"tcp://127\.0\.0\.1:9 cannot be reached") as caught:
        describe_cohort(cohort_dir, tmp_path, QUICK, options=options)
    assert "\n" not in str(caught.value)


def test_killed_while_measuring_it_goes_on_and_ends_with_the_same_bytes(
    cohort_dir, quick_dir, tmp_path, tree
):
    script = SCRIPT.format(cohort=str(cohort_dir), out=str(tmp_path))
    with subprocess.Popen([sys.executable, "-c", script], env=os.environ) as process:
        deadline = time.monotonic() + 60
        while not list(tmp_path.glob(".parts-*/train-*.parquet")):
            assert time.monotonic() < deadline
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
    kept = next(tmp_path.glob(".parts-*/train-*.parquet"))
    before = kept.stat().st_mtime_ns
    seen = []
    describe_cohort(
        cohort_dir,
        tmp_path,
        QUICK,
        progress=lambda *_: seen.append(kept.stat().st_mtime_ns) if kept.is_file() else None,
    )
    assert set(seen) == {before}
    assert tree(tmp_path) == tree(quick_dir)


def test_parts_of_other_settings_are_not_taken_up(cohort_dir, quick_dir, tmp_path, tree):
    other = tmp_path / ".parts-0123456789ab"
    other.mkdir()
    (other / "train-0000000.parquet").write_bytes(b"of another run")
    describe_cohort(cohort_dir, tmp_path, QUICK)
    assert tree(tmp_path) == tree(quick_dir)


def test_a_template_of_the_user_s_own_is_used_and_a_broken_one_told_before_measuring(
    cohort_dir, tmp_path
):
    templates = tmp_path / "templates"
    templates.mkdir()
    (templates / "graph_modularity.jinja").write_text("Q lies {{ item.level_word }}.\n")
    out = tmp_path / "out"
    out.mkdir()
    describe_cohort(cohort_dir, out, QUICK, options=DescribeOptions(templates=templates))
    table = pd.read_parquet(out / "descriptors.parquet")
    texts = table.loc[table["name"] == "graph_modularity", "text"]
    assert texts.str.startswith("Q lies ").all()
    (templates / "graph_modularity.jinja").write_text("{{ itme }}\n")
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(InputError, match=r"graph_modularity\.jinja, line 1"):
        describe_cohort(cohort_dir, empty, QUICK, options=DescribeOptions(templates=templates))
    assert not list(empty.iterdir())


def test_site_aware_norms_say_what_each_scan_was_compared_with(cohort_dir, tmp_path):
    settings = DescribeSettings(features=QUICK.features, site_aware=True, min_site_scans=4)
    said = describe_cohort(cohort_dir, tmp_path, settings)
    used = pd.read_csv(tmp_path / "norms_used.tsv", sep="\t", index_col="scan_id")
    # Four of the training scans are of the one site, three of the other.
    assert used.loc["102816", "norms"] == "hcp"
    assert used.loc["NAP_001", "norms"] == "pooled"
    assert "3 of at least 4" in used.loc["NAP_001", "reason"]
    n_pooled = (used["norms"] == "pooled").sum()
    assert f"{n_pooled} scans compared with all sites, see norms_used.tsv" in said


def test_a_slow_and_a_filtered_scan_stop_nothing_and_are_told(simulate, table, tmp_path):
    """Their spectra are missing in features, norms and texts; everything else is there."""
    scans = [simulate(seed, n_frames=120) for seed in range(6)]
    band = butter(2, [0.01 / 0.25, 0.1 / 0.25], "bandpass", output="sos")
    odd = {"slow": (scans[4].timeseries, 5.0)}
    odd["filtered"] = (sosfiltfilt(band, scans[5].timeseries, axis=0), 2.0)
    aal2 = scans[0].parcellation
    scans[4:] = [Scan(x, tr, aal2, name, name, site="sim") for name, (x, tr) in odd.items()]
    settings = CohortSettings(parcellation="aal2", test_fraction=0, validation_fraction=0)
    for name in ("cohort", "out"):
        (tmp_path / name).mkdir()
    write_cohort(open_source(str(table(scans))), tmp_path / "cohort", settings)
    said = describe_cohort(tmp_path / "cohort", tmp_path / "out", QUICK)
    assert "2 scans without some features" in said
    told = pd.read_csv(tmp_path / "out" / "unavailable.tsv", sep="\t")
    assert dict(zip(told["scan_id"], told["reason"], strict=True)) == {
        "slow": TOO_SLOW,
        "filtered": FILTERED,
    }
    features = pd.read_parquet(tmp_path / "out" / "features.parquet")
    norms = CohortNorms.load(tmp_path / "out" / "norms.json").table_["n"]
    for column in features.filter(regex="spectral_ratio|falff"):
        assert set(features.index[features[column].isna()]) >= set(odd)
        assert norms[column] in {4, 0}  # 0 where no component stands for the network
    texts = pd.read_parquet(tmp_path / "out" / "descriptors.parquet").set_index(["scan_id", "name"])
    for scan_id, reason in (("slow", TOO_SLOW), ("filtered", FILTERED)):
        for name in ("ica_falff", "ica_spectral_ratio", "ica_overall_spectral_ratio"):
            assert texts.loc[(scan_id, name), "text"].count(reason) == 1
