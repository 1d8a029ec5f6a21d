"""Parcellations from a table of one's own, whole and malformed."""

import json

import numpy as np
import pandas as pd
import pytest

from fmri_descriptors import (
    CohortSettings,
    InputError,
    load_parcellation,
    open_source,
    read_cohort,
    write_cohort,
)

WHOLE = (
    "label\themisphere\tnetwork\tx\ty\tz\n"
    "left one\tL\tMotor\t-10\t2.5\t3\n"
    "right one\tR\tMotor\t10\t2.5\t3\n"
    "middle\tB\tRest\t0\t-40\t7e1\n"
)


@pytest.fixture
def table(tmp_path):
    def write(content, name="mine.tsv"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


def test_every_column_of_a_table_is_read(table):
    mine = load_parcellation(table(WHOLE))
    assert mine.name == "mine"
    assert mine.labels == ("left one", "right one", "middle")
    assert mine.networks == ("Motor", "Motor", "Rest")
    assert mine.hemispheres == ("L", "R", "B")
    assert mine.centroids == ((-10.0, 2.5, 3.0), (10.0, 2.5, 3.0), (0.0, -40.0, 70.0))


def test_names_and_networks_suffice(table):
    mine = load_parcellation(str(table("network\tlabel\nRest\ta\nMotor\tb\n")))
    assert (mine.labels, mine.networks) == (("a", "b"), ("Rest", "Motor"))
    assert (mine.hemispheres, mine.centroids) == (("B", "B"), None)


@pytest.mark.parametrize(
    "content",
    [
        b"\xef\xbb\xbf" + WHOLE.encode(),
        WHOLE.replace("\n", "\r\n"),
        WHOLE.rstrip("\n"),
        WHOLE + "\n\n",
    ],
    ids=["byte-order mark", "Windows lines", "no last line end", "blank lines at the end"],
)
def test_how_an_editor_saves_a_table_makes_no_difference(table, content):
    assert load_parcellation(table(content)) == load_parcellation(table(WHOLE))


def test_other_columns_are_ignored(table):
    lines = [f"{line}\tx{number}" for number, line in enumerate(WHOLE.splitlines())]
    assert load_parcellation(table("\n".join(lines))) == load_parcellation(table(WHOLE))


def test_quotes_are_part_of_a_name(table):
    mine = load_parcellation(table('label\tnetwork\n"a\tRest\nb"\tRest\n'))
    assert mine.labels == ('"a', 'b"')


def test_an_edited_table_is_read_anew(table):
    before = load_parcellation(table(WHOLE))
    after = load_parcellation(table(WHOLE.replace("middle", "centre")))
    assert before.order_hash != after.order_hash


@pytest.mark.parametrize("head", ["name", "region", "ROI", "Label"])
def test_a_table_may_head_its_labels_otherwise(table, head):
    mine = load_parcellation(table(f"index\t{head}\tNetwork\n1\tNA\tRest\n2\tb\tMotor\n"))
    assert (mine.labels, mine.networks) == (("NA", "b"), ("Rest", "Motor"))


def test_a_column_label_goes_before_its_synonyms(table):
    mine = load_parcellation(table("name\tlabel\tnetwork\nlong\ta\tRest\nlong\tb\tMotor\n"))
    assert mine.labels == ("a", "b")


MALFORMED = {
    "no bytes": ("", "empty; give a header line"),
    "blank lines only": ("\n\n", "empty; give a header line"),
    "header only": ("label\tnetwork\n", "no region under the header"),
    "no label": ("index\tnetwork\n1\tRest\n", "no column 'label' among index, network"),
    "unknown network": ("label\tnetwork\na\tR\nb\t?\n", "line 3 has the network '?', which na"),
    "missing network": ("label\tnetwork\na\tn/a\n", "line 2 has the network 'n/a'"),
    "no network": ("label\themisphere\na\tL\n", "no column 'network'"),
    "commas": ("label,network\na,Rest\n", "no column 'label' among label,network"),
    "column twice": ("label\tnetwork\tlabel\na\tRest\tb\n", "column 'label' occurs twice"),
    "label twice": ("label\tnetwork\na\tR\nb\tR\na\tR\n", "lines 2 and 4 are both 'a'"),
    "label twice but for spaces": ("label\tnetwork\na\tR\na \tR\n", "lines 2 and 3 are both 'a'"),
    "empty label": ("label\tnetwork\na\tR\n \tR\n", "line 3 has no label"),
    "empty network": ("label\tnetwork\na\t\n", "line 2 has no network"),
    "short line": ("label\tnetwork\na\tR\nb\n", "line 3 has 1 cells and the header 2"),
    "long line": ("label\tnetwork\na\tR\tL\n", "line 2 has 3 cells and the header 2"),
    "blank line within": ("label\tnetwork\na\tR\n\nb\tR\n", "line 3 has 1 cells"),
    "hemisphere word": (WHOLE.replace("\tL\t", "\tleft\t"), "line 2 has hemisphere 'left'"),
    "hemisphere empty": (WHOLE.replace("\tB\t", "\t\t"), "line 4 has hemisphere ''"),
    "coordinate word": (WHOLE.replace("7e1", "up"), "line 4 has z 'up'; give a number of mm"),
    "coordinate comma": (WHOLE.replace("-10", "-10,5"), "line 2 has x '-10,5'"),
    "coordinate empty": (WHOLE.replace("\t-40", "\t"), "line 4 has y ''"),
    "coordinate nan": (WHOLE.replace("-40", "nan"), "line 4 has y 'nan'"),
    "coordinate infinite": (WHOLE.replace("-40", "inf"), "line 4 has y 'inf'"),
    "two coordinates": ("label\tnetwork\tx\ty\na\tR\t1\t2\n", "no column 'z'"),
    "Latin-1": ("label\tnetwork\nCortex préfrontal\tR\n".encode("latin-1"), "not UTF-8 text"),
    "UTF-16": (WHOLE.encode("utf-16"), "not UTF-8 text"),
    "compressed": (b"\x1f\x8b\x08\x00\xff\xfe", "not UTF-8 text"),
}


@pytest.mark.parametrize(("content", "message"), MALFORMED.values(), ids=MALFORMED)
def test_a_malformed_table_gives_one_line_that_names_the_file(table, content, message):
    path = table(content)
    with pytest.raises(InputError) as caught:
        load_parcellation(path)
    assert str(caught.value).startswith(f"{path}: {message}")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("make", [lambda path: None, lambda path: path.mkdir()])
def test_a_path_that_is_no_file_is_named(tmp_path, make):
    path = tmp_path / "mine.tsv"
    make(path)
    with pytest.raises(InputError, match=r"mine\.tsv: cannot be read \("):
        load_parcellation(path)


def test_a_table_may_not_bear_the_name_of_other_regions(table):
    with pytest.raises(InputError, match="'aal2' is the name of a parcellation that ships"):
        load_parcellation(table(WHOLE, "aal2.tsv"))


def test_a_shipped_parcellation_may_be_given_other_networks(table, aal2):
    lines = [f"{label}\tOne" for label in aal2.labels]
    path = table("\n".join(["label\tnetwork", *lines]), "aal2.tsv")
    assert load_parcellation(path).network_names == ("One",)


def test_a_cohort_of_ones_own_regions_knows_them_without_the_table(table, tmp_path):
    path = table(WHOLE)
    rng = np.random.default_rng(0)
    scans = [
        {"scan_id": f"s{k}", "subject": f"p{k}", "tr": 2.0, "path": f"{k}.npy"} for k in range(5)
    ]
    for scan in scans:
        np.save(tmp_path / scan["path"], rng.standard_normal((30, 3)))
    pd.DataFrame(scans).to_csv(tmp_path / "scans.tsv", sep="\t", index=False)
    (tmp_path / "cohort").mkdir()
    settings = CohortSettings(parcellation=str(path))
    write_cohort(open_source(str(tmp_path / "scans.tsv")), tmp_path / "cohort", settings)
    mine = load_parcellation(path)
    path.unlink()
    assert read_cohort(tmp_path / "cohort").parcellation == mine
    assert json.loads((tmp_path / "cohort/cohort.json").read_text())["parcellation"] == "mine"
