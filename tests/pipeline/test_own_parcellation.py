"""A parcellation of one's own through the command line."""

import json

import numpy as np
import pytest

from fmri_cli.main import main

NETWORKS = ("Motor", "Rest", "Sight")


@pytest.fixture
def lab(tmp_path):
    """Six scans of 12 regions and the table of the regions, with its folder."""
    for i in range(6):
        series = np.random.default_rng(i).standard_normal((120, 12))
        np.save(tmp_path / f"sub-{i}.npy", series)
    lines = ["scan_id\tsubject\ttr\tpath", *(f"s{i}\tp{i}\t2\tsub-{i}.npy" for i in range(6))]
    (tmp_path / "scans.tsv").write_text("\n".join(lines) + "\n")
    write_regions(tmp_path, NETWORKS)
    return tmp_path


def write_regions(folder, networks):
    lines = ["label\tnetwork", *(f"region {k}\t{networks[k % len(networks)]}" for k in range(12))]
    (folder / "mine.tsv").write_text("\n".join(lines) + "\n")


def make_cohort(lab):
    line = ["cohort", lab / "scans.tsv", "--out", lab / "run" / "cohort"]
    return main([str(word) for word in (*line, "--set", f"parcellation={lab / 'mine.tsv'}")])


def test_the_captions_speak_of_the_networks_of_the_table(lab):
    assert make_cohort(lab) == 0
    describe = ["describe", str(lab / "run/cohort"), "--out", str(lab / "run/descriptors")]
    assert main([*describe, "--set", "features.ica_components=4"]) == 0
    caption = (lab / "run/descriptors/captions.jsonl").read_text()
    assert all(network in caption for network in NETWORKS)


def test_a_cohort_is_made_anew_when_the_table_was_edited(lab, capsys):
    assert make_cohort(lab) == 0
    assert make_cohort(lab) == 0
    assert "up to date" in capsys.readouterr().out
    write_regions(lab, ("Motor", "Rest"))
    assert make_cohort(lab) == 0
    assert "runs again: input `settings.parcellation` changed" in capsys.readouterr().out
    document = json.loads((lab / "run/cohort/cohort.json").read_text())
    assert set(document["networks"]) == {"Motor", "Rest"}


def test_a_malformed_table_ends_in_one_line(lab, capsys):
    (lab / "mine.tsv").write_text("label\tnetwork\nregion 0\n")
    assert make_cohort(lab) == 1
    error = capsys.readouterr().err
    assert "mine.tsv: line 2 has 1 cells and the header 2" in error
    assert "Traceback" not in error
