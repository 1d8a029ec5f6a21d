import json

import pytest

from fmri_descriptors import CohortSettings, InputError, open_source, write_cohort
from fmri_descriptors.readers import ReadOptions

from .. import planted

HEADER = "participant_id\tage\tsex\tsite"


@pytest.fixture
def join(tmp_path):
    """Open three planted scans with the given lines as their participants."""
    source = planted.xcpd(tmp_path / "xcpd")

    def make(*lines, header=HEADER, levels=None):
        path = tmp_path / "participants.tsv"
        path.write_text("\n".join([header, *lines]) + "\n", encoding="utf-8")
        if levels is not None:
            (tmp_path / "participants.json").write_text(json.dumps(levels))
        return open_source(source, ReadOptions(phenotypes=path))

    return make


def test_columns_are_joined_by_subject_with_and_without_sub(join):
    opened = join("sub-2\t33\tF\tn/a", "0\t31.5\tM\tnorth")
    found = {r.subject: (r.phenotypes["age"], r.phenotypes["sex"]) for r in opened.recordings}
    assert found == {"0": (31.5, "M"), "1": (None, None), "2": (33.0, "F")}


def test_a_site_column_tells_the_site(join):
    opened = join("sub-2\t33\tF\tsouth", "sub-0\t31.5\tM\tnorth")
    assert [r.site for r in opened.recordings] == ["north", None, "south"]
    assert "site" not in opened.recordings[0].phenotypes


def test_codes_with_levels_are_categories_whose_meanings_are_kept(join, tmp_path):
    meanings = {"1": "male", "2": {"Description": "female"}}
    opened = join(
        *(f"sub-{i}\t3{i}\t{1 + i % 2}\tx" for i in range(3)), levels={"sex": {"Levels": meanings}}
    )
    (tmp_path / "cohort").mkdir()
    write_cohort(opened, tmp_path / "cohort", CohortSettings(parcellation="aal2"))
    document = json.loads((tmp_path / "cohort" / "cohort.json").read_text())
    assert document["phenotypes"]["sex"] == {
        "kind": "category",
        "levels": {"1": "male", "2": "female"},
        "missing": 0,
        "values": ["1", "2"],
        "cells": {"number": 3, "bound": 0, "text": 0, "missing": 0},
    }
    assert document["phenotypes"]["age"]["kind"] == "number"


BAD = {
    "no match": (["sub-9\t1\tF\tx"], {}, "none of its 1 participant_id .*'sub-9'"),
    "two lines": (
        ["sub-0\t1\tF\tx", "0\t2\tF\tx"],
        {},
        "lines 2 and 3 are both of subject '0' and",
    ),
    "no lines": ([], {}, "lists no subject"),
    "no id": (["n/a\t1\tF\tx"], {}, "line 2 has no participant_id"),
    "no id column": (["sub-0"], {"header": "who"}, "no column 'participant_id'"),
    "short line": (["sub-0\t1"], {}, "line 2 has not 4 cells"),
    "reserved": (["0\t1"], {"header": "participant_id\ttr"}, "'tr' is a name of the cohort's"),
    "repeated": (["0\t1\t2"], {"header": "participant_id\tage\tage"}, "'age' occurs twice"),
    "broken levels": (["0\t1\tF\tx"], {"levels": ["sex"]}, "holds no JSON object"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_participants_table_is_one_clear_line(join, case):
    lines, options, message = BAD[case]
    with pytest.raises(InputError, match=message) as caught:
        join(*lines, **options)
    assert "participants." in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_column_that_the_scans_table_has_too_is_refused(tmp_path, simulate, table):
    scans = [simulate(0, n_frames=64)]
    path = table(scans, "path\tscan_id\tsubject\ttr\tage", ["sim-0.npy\tsim-0\tsim-0\t2\t30"])
    people = tmp_path / "participants.tsv"
    people.write_text("participant_id\tage\nsim-0\t31\n")
    with pytest.raises(InputError, match="'age' is in the scans' own table too"):
        open_source(path, ReadOptions(phenotypes=people))
