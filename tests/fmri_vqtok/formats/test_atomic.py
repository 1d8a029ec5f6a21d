"""An interrupted write leaves the old content under its name, and nothing of the new."""

import pytest

from fmri_vqtok.formats.atomic import whole_file, whole_folder


def fail_in(context, write):
    """Fail after a part is written."""
    with context as part:
        write(part)
        raise OSError("disk full")


def test_a_file_has_its_new_content_only_when_all_of_it_is_written(tmp_path):
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")
    with whole_file(path) as file:
        file.write(b"new")
        file.flush()
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_whose_writing_fails_is_as_it_was(tmp_path):
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")
    with pytest.raises(OSError, match="disk full"):
        fail_in(whole_file(path), lambda file: file.write(b"new"))
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_is_replaced_only_when_the_new_one_is_filled(tmp_path):
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "old").touch()
    with pytest.raises(OSError, match="disk full"):
        fail_in(whole_folder(folder), lambda part: part.mkdir())
    assert [path.name for path in folder.iterdir()] == ["old"]
    with whole_folder(folder) as part:
        part.mkdir()
        (part / "new").touch()
    assert [path.name for path in folder.iterdir()] == ["new"]
    assert list(tmp_path.iterdir()) == [folder]
