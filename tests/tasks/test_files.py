"""Files are written whole or not at all, and text is UTF-8 wherever it is read."""

import errno
import os
import stat

import pytest

from hrnet_fast.tasks.files import read_text, replacing


def test_a_file_appears_with_its_folder_when_it_is_whole(tmp_path):
    path = tmp_path / "a" / "b.txt"
    with replacing(path) as part:
        part.write_text("whole")
        assert not path.exists() and part.parent == path.parent
    assert path.read_text() == "whole" and os.listdir(path.parent) == ["b.txt"]


def test_others_may_read_it_as_any_new_file(tmp_path):
    with replacing(tmp_path / "new") as part:
        part.write_text("")
    (tmp_path / "plain").write_text("")
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == stat.S_IMODE((tmp_path / "plain").stat().st_mode)


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError], ids=lambda error: error.__name__)
def test_an_interrupt_leaves_what_was_there(tmp_path, error):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(error), replacing(path) as part:
        part.write_text("ne")
        raise error
    assert path.read_text() == "old" and os.listdir(tmp_path) == ["a.txt"]


def test_a_name_may_be_as_long_as_the_file_system_takes(tmp_path):
    with replacing(tmp_path / ("x" * 255)) as part:
        part.write_text("whole")
    assert os.listdir(tmp_path) == ["x" * 255]


def test_a_full_disk_is_told_with_the_name_of_the_file(tmp_path):
    path = tmp_path / "a.txt"
    with pytest.raises(OSError, match="No space left on device") as caught, replacing(path) as part:
        part.write_text("some")
        raise OSError(errno.ENOSPC, "No space left on device")
    assert (caught.value.errno, caught.value.filename) == (errno.ENOSPC, str(path))
    assert os.listdir(tmp_path) == []


def test_an_error_of_the_temporary_file_names_the_file(tmp_path):
    (tmp_path / "a").mkdir()
    with pytest.raises(IsADirectoryError) as caught, replacing(tmp_path / "a") as part:
        part.write_text("")
    assert caught.value.filename == str(tmp_path / "a")
    with pytest.raises(FileNotFoundError, match="another"), replacing(tmp_path / "b"):
        (tmp_path / "another").read_text()


def test_text_is_utf_8_with_or_without_a_byte_order_mark(tmp_path):
    path = tmp_path / "list.txt"
    for encoding in ("utf-8", "utf-8-sig"):
        path.write_text("straße.jpg 1\r\n", encoding=encoding, newline="")
        assert read_text(path) == "straße.jpg 1\n"
    path.write_text("a.jpg 1", encoding="utf-16")
    with pytest.raises(ValueError, match=r"list.txt is not text in UTF-8: invalid start byte at byte 0"):
        read_text(path)
