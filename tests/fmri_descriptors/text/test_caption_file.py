"""A file of captions is read line by line, and a damaged one is reported with the line."""

import json

import pytest

from fmri_descriptors.errors import InputError
from fmri_descriptors.text.caption_file import read_caption_lines

CAPTION = {"scan_id": "s", "domain": "all", "text": "Modularity is 0.31."}


def written(tmp_path, content):
    path = tmp_path / "captions.jsonl"
    path.write_bytes(content)
    return path


def test_a_line_comes_as_it_was_written_with_its_further_keys(tmp_path):
    # Python's splitlines would end the line at U+2028, which JSON leaves as it is.
    captions = [CAPTION | {"text": "One\u2028Two"}, CAPTION | {"source": "rewritten"}]
    lines = [json.dumps(caption, ensure_ascii=False).encode() for caption in captions]
    assert list(read_caption_lines(written(tmp_path, b"\r\n\n".join(lines)))) == captions


@pytest.mark.parametrize(
    "damage",
    [b"{", b"[]", b'{"scan_id": 3}', b'{"scan_id": 3, "domain": "all", "text": ""}', b'"\xff"'],
)
def test_a_line_that_is_no_caption_is_named_by_its_number(tmp_path, damage):
    path = written(tmp_path, b"%s\n\n%s\n" % (json.dumps(CAPTION).encode(), damage))
    with pytest.raises(InputError, match=r"captions\.jsonl: line 3 is no caption; describe"):
        list(read_caption_lines(path))


@pytest.mark.parametrize("name", [".", "elsewhere.jsonl"])
def test_a_file_that_cannot_be_opened_is_one_line(tmp_path, name):
    with pytest.raises(InputError, match=r"cannot be read \(.+\); give the captions") as caught:
        list(read_caption_lines(tmp_path / name))
    assert "\n" not in str(caught.value)
