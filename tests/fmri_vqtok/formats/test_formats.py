"""Readers of the written formats: order, joins, and what is refused."""

import json

import numpy as np
import pytest
from datasets import Dataset, DatasetDict

from fmri_vqtok.errors import InputError
from fmri_vqtok.formats.captions import Sentence, read_captions
from fmri_vqtok.formats.cohort import Cohort, read_scan_table
from fmri_vqtok.formats.tokens import TokenTable


def test_windows_come_back_in_order_whatever_their_order_on_disk(tmp_path):
    rows = [
        {"scan_id": "a", "window": w, "codes": [[w, w]], "mask": [True, False]} for w in (2, 0, 1)
    ]
    DatasetDict({"test": Dataset.from_list(rows)}).save_to_disk(str(tmp_path))

    table = TokenTable.read(tmp_path, "test")

    assert table.windows("a").codes[:, 0, 0].tolist() == [0, 1, 2]
    assert table.windows("a", [2, 0]).codes[:, 0, 0].tolist() == [2, 0]
    assert table.windows("a").region_mask.tolist() == [True, False]
    assert len(TokenTable.read(tmp_path, "train")) == 0


@pytest.mark.parametrize(("written", "read"), [({"new": [False]}, False), ({}, True)])
def test_steps_with_frames_of_the_window_before_are_read_as_not_new(tmp_path, written, read):
    row = {"scan_id": "a", "window": 0, "codes": [[1, 2]], "mask": [True, True]}
    DatasetDict({"test": Dataset.from_list([row | written])}).save_to_disk(str(tmp_path))

    assert TokenTable.read(tmp_path, "test").windows("a").new.tolist() == [[read]]


def test_a_rewritten_caption_replaces_the_templates_unless_it_is_empty(tmp_path):
    rows = [
        {"scan_id": "a", "domain": "FC", "text": "New.", "source": "rewritten"},
        {"scan_id": "a", "domain": "FC", "text": "Old.", "source": "template"},
        {"scan_id": "a", "domain": "ICA", "text": "Old.", "source": "template"},
        {"scan_id": "a", "domain": "ICA", "text": " ", "source": "rewritten"},
    ]
    (tmp_path / "captions.jsonl").write_text("\n".join(map(json.dumps, rows)))

    assert read_captions(tmp_path / "captions.jsonl") == {"a": {"FC": "New.", "ICA": "Old."}}


def test_of_a_caption_without_sentences_only_the_first_is_known_to_stand_alone(tmp_path):
    row = {"scan_id": "a", "domain": "FC", "text": "It is 0.5 above. It is so."}
    (tmp_path / "captions.jsonl").write_text(json.dumps(row))

    caption = read_captions(tmp_path / "captions.jsonl")["a"]["FC"]

    assert caption.sentences == (
        Sentence("It is 0.5 above.", standalone=True),
        Sentence("It is so.", standalone=False),
    )


def write_cohort(directory, rows):
    splits = {split: Dataset.from_list(some) for split, some in rows.items()}
    DatasetDict(splits).save_to_disk(str(directory))
    document = {"schema": 1, "parcellation": "two", "order_hash": "h", "labels": ["x", "y"]}
    (directory / "cohort.json").write_text(json.dumps(document))
    return directory


def scan(scan_id, sub, **columns):
    signal = {"bold": np.eye(2).tolist(), "mean": [[0.0, 0.0]], "std": [[1.0, 1.0]]}
    return {"scan_id": scan_id, "sub": sub, "site": None, "tr": 2.0, "age": 30, **signal, **columns}


def test_the_table_of_a_cohort_has_phenotypes_and_splits_in_the_order_of_scan_ids(tmp_path):
    rows = {"test": [scan("b", "2", age=40)], "train": [scan("c", "3", age=50), scan("a", "1")]}

    table = read_scan_table(write_cohort(tmp_path, rows))

    assert table.index.tolist() == ["a", "b", "c"]
    assert table["split"].tolist() == ["train", "test", "train"]
    assert table["age"].tolist() == [30, 40, 50]
    assert not {"bold", "mean", "std"} & set(table.columns)


def test_a_subject_in_two_splits_is_refused(tmp_path):
    cohort = write_cohort(tmp_path, {"train": [scan("a", "1")], "test": [scan("b", "1")]})

    with pytest.raises(InputError, match="subject 1 is in test and train; split the cohort by"):
        read_scan_table(cohort)


@pytest.mark.parametrize("change", [{"scan_id": "b"}, {"bold": [[1.0, 0.0], [0.0, 2.0]]}])
def test_the_content_of_a_cohort_changes_with_a_name_and_with_a_signal(tmp_path, change):
    one, other = (
        list(Cohort(write_cohort(tmp_path / name, {"train": [row]})).content(["train"]))
        for name, row in (("one", scan("a", "1")), ("other", scan("a", "1") | change))
    )

    assert [np.array_equal(*pair) for pair in zip(one, other, strict=True)].count(False) == 1
