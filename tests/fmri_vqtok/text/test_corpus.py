import json
import tracemalloc

import pytest
from datasets import Dataset, DatasetDict

from fmri_vqtok.errors import InputError
from fmri_vqtok.library_logging import quiet_datasets
from fmri_vqtok.text.corpus import read_corpus

ROWS = {"text": ["first", "second\nline", None, "last"], "page": [1, 2, 3, 4]}
TEXTS = ["first", "second\nline", "last"]


def write(kind, folder):
    """Corpus of the rows above, in one of the forms that can be read."""
    table = Dataset.from_dict(ROWS)
    with quiet_datasets():
        if kind == "saved":
            table.save_to_disk(str(folder / "corpus"))
        elif kind == "splits":
            other = Dataset.from_dict({"text": ["not this"], "page": [0]})
            DatasetDict({"a": other, "train": table}).save_to_disk(str(folder / "corpus"))
        elif kind == "parquet":
            table.to_parquet(str(folder / "corpus"))
            (folder / "corpus").rename(folder / "corpus.parquet")
            return folder / "corpus.parquet"
        else:
            rows = Dataset.from_dict(ROWS).to_list()
            (folder / "corpus.jsonl").write_text("\n".join(map(json.dumps, rows)) + "\n\n")
            return folder / "corpus.jsonl"
    return folder / "corpus"


KINDS = ("saved", "splits", "parquet", "jsonl")


@pytest.mark.parametrize("kind", KINDS)
def test_the_texts_of_a_table_come_in_its_order_and_null_is_none(tmp_path, kind):
    assert list(read_corpus(write(kind, tmp_path))) == TEXTS


@pytest.mark.parametrize("kind", KINDS)
def test_a_table_without_the_column_is_refused_by_the_columns_it_has(tmp_path, kind):
    with pytest.raises(InputError, match=r"no column 'body' among text, page; .* text_column"):
        list(read_corpus(write(kind, tmp_path), "body"))


@pytest.mark.parametrize("kind", KINDS)
def test_a_column_that_holds_no_text_is_refused(tmp_path, kind):
    with pytest.raises(InputError, match="column 'page' holds a int; name the column"):
        list(read_corpus(write(kind, tmp_path), "page"))


def test_the_files_of_a_folder_are_read_in_the_order_of_their_names(tmp_path):
    for name, text in (("b.md", "second"), ("a.txt", "first"), ("c.py", "no prose")):
        (tmp_path / name).write_text(text)
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "e.jsonl").write_text('{"text": "third"}')
    assert list(read_corpus(tmp_path)) == ["first", "second", "third"]


def test_a_folder_named_like_a_text_is_not_read_as_one(tmp_path):
    (tmp_path / "chapter.txt").mkdir()
    (tmp_path / "chapter.txt" / "a.txt").write_text("words")
    assert list(read_corpus(tmp_path)) == ["words"]


def write_long(kind, folder, text):
    """Corpus that is one long text, in a text file or a row of a table."""
    if kind == "txt":
        (folder / "corpus.txt").write_text(text)
    else:
        (folder / "corpus.jsonl").write_text(json.dumps({"text": text}))
    return folder


@pytest.mark.parametrize("kind", ["txt", "jsonl"])
@pytest.mark.parametrize(
    ("unit", "ends"), [("line {} of a text\n", "\n"), ("word{} of", " of"), ("x{}", "")]
)
def test_a_long_text_comes_in_parts_cut_after_lines_else_before_spaces(tmp_path, kind, unit, ends):
    join = " " if unit == "word{} of" else ""
    text = join.join(unit.format(k) for k in range(30_000))
    parts = list(read_corpus(write_long(kind, tmp_path, text)))
    assert "".join(parts) == text
    assert len(parts) > 1
    assert max(map(len, parts)) <= 2**16
    if ends != " of":
        assert all(part.endswith(ends) for part in parts)
    else:
        assert all(part.startswith(" ") for part in parts[1:])


def test_memory_does_not_grow_with_a_text_file_of_one_line(tmp_path):
    (tmp_path / "long.txt").write_text("word " * 4_000_000)
    tracemalloc.start()
    n_characters = sum(map(len, read_corpus(tmp_path / "long.txt")))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert n_characters == 20_000_000
    assert peak < 2_000_000


def test_a_corpus_that_is_not_text_is_refused_by_the_name_of_the_file(tmp_path):
    (tmp_path / "a.txt").write_text("words")
    (tmp_path / "b.txt").write_bytes(b"\xff\xfe\xff")
    with pytest.raises(InputError) as refusal:
        list(read_corpus(tmp_path))
    assert str(refusal.value).startswith(f"{tmp_path / 'b.txt'}: cannot be read")
    assert str(refusal.value).endswith("give plain text in UTF-8")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("x.jsonl", '{"text": "a"}\n{"te', "x.jsonl: cannot be read .*one JSON mapping a line"),
        ("x.jsonl", "[1]\n", "x.jsonl, line 1: a list instead of a mapping"),
        ("x.parquet", "no table", "x.parquet: cannot be read .*whole Parquet file"),
        ("state.json", "{", "cannot be read .*save_to_disk"),
    ],
)
def test_a_broken_table_is_refused_by_its_name(tmp_path, name, content, message):
    (tmp_path / name).write_text(content)
    with pytest.raises(InputError, match=message):
        list(read_corpus(tmp_path))


def test_an_unavailable_data_set_of_the_hub_is_refused_with_a_workaround():
    with pytest.raises(InputError, match=r"data set nobody/nothing .*hub: cannot .*save_to_disk"):
        list(read_corpus("hf:nobody/nothing:plain"))


def test_a_data_set_is_streamed_from_its_training_split(tmp_path):
    # A folder in the layout of the hub is read by the same code, and needs no network.
    (tmp_path / "test.jsonl").write_text('{"text": "not this"}\n')
    (tmp_path / "train.jsonl").write_text('{"text": "first"}\n{"text": "second"}\n')
    assert list(read_corpus(f"hf:{tmp_path}")) == ["first", "second"]
    with pytest.raises(InputError, match="no column 'body' among text"):
        list(read_corpus(f"hf:{tmp_path}", "body"))
