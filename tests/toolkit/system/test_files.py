"""Files written whole or not at all, and JSON."""

import errno
import os
import stat
import threading

import pytest

from ops.errors import DataError
from toolkit.system.files import read_json, write_atomically, write_json, write_text


def test_written_whole(tmp_path):
    write_text(tmp_path / "a.txt", "first\nä\n")
    assert (tmp_path / "a.txt").read_bytes() == "first\nä\n".encode()
    write_text(str(tmp_path / "a.txt"), "")
    assert (tmp_path / "a.txt").read_bytes() == b""
    assert os.listdir(tmp_path) == ["a.txt"]


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left on device"), KeyError("bug")])
def test_a_failure_leaves_the_old_content_and_nothing_else(error, tmp_path):
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")

    def write(file):
        file.write(b"half")
        raise error

    expected = DataError if isinstance(error, OSError) else KeyError
    with pytest.raises(expected) as raised:
        write_atomically(path, write)
    assert path.read_bytes() == b"old" and os.listdir(tmp_path) == ["a.bin"]
    if expected is DataError:
        message = str(raised.value)
        assert str(path) in message and "No space left on device" in message
        assert len(message.splitlines()) == 1


def test_the_old_content_is_there_until_the_new_one_is_whole(tmp_path):
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")
    seen = []

    def write(file):
        file.write(b"new")
        file.flush()
        seen.append(path.read_bytes())

    write_atomically(path, write)
    assert seen == [b"old"] and path.read_bytes() == b"new"


def test_many_writers_leave_one_whole_file(tmp_path):
    path = tmp_path / "a.txt"
    texts = [str(digit) * 50_000 for digit in range(8)]
    writers = [threading.Thread(target=write_text, args=(path, text)) for text in texts]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert path.read_text() in texts and os.listdir(tmp_path) == ["a.txt"]


def test_permissions_are_those_of_any_new_file(tmp_path):
    (tmp_path / "plain").touch()
    write_text(tmp_path / "a.txt", "x")
    assert stat.S_IMODE((tmp_path / "a.txt").stat().st_mode) == stat.S_IMODE(
        (tmp_path / "plain").stat().st_mode
    )


@pytest.mark.parametrize("name", ["missing/a.txt", "file/a.txt", "a" * 256, "folder"])
def test_paths_that_cannot_be_written(name, tmp_path):
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    with pytest.raises(DataError) as raised:
        write_text(tmp_path / name, "x")
    assert name in str(raised.value) and len(str(raised.value).splitlines()) == 1
    assert sorted(os.listdir(tmp_path)) == ["file", "folder"] and os.listdir(tmp_path / "folder") == []


@pytest.mark.parametrize("name", ["a" * 255, "猫" * 85, "a b, 'c'.txt", ".hidden"])
def test_long_and_odd_names(name, tmp_path):
    write_text(tmp_path / name, "x")
    assert os.listdir(tmp_path) == [name] and (tmp_path / name).read_text() == "x"


def test_devices_and_pipes_are_not_replaced(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    link = tmp_path / "link"
    link.symlink_to("/dev/null")
    for path in (pipe, link):
        with pytest.raises(DataError, match="expected a file to write"):
            write_text(path, "x")
    assert stat.S_ISFIFO(pipe.stat().st_mode) and link.is_symlink()


def test_json_keeps_values_and_order(tmp_path):
    value = {"b": [1, 2.5, None, True, "ä\n"], "a": {"z": 0.1, "y": {}}, "": 10**30}
    write_json(tmp_path / "a.json", value)
    assert read_json(tmp_path / "a.json", "JSON") == value
    assert list(read_json(tmp_path / "a.json", "JSON")) == ["b", "a", ""]
    assert "ä" in (tmp_path / "a.json").read_text(encoding="utf-8")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), {1, 2}])
def test_what_json_has_not_is_refused_before_anything_is_written(value, tmp_path):
    with pytest.raises((ValueError, TypeError)):
        write_json(tmp_path / "a.json", {"x": value})
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    "content, words",
    [
        (b"", "no valid JSON"),
        (b"{'a': 1}", "no valid JSON"),
        (b'{"a": 1} x', "no valid JSON"),
        (b'{"a": 1, "b": {"c": 1, "c": 2}}', "key 'c' twice"),
        (b"\xff\xfe", "no valid JSON"),
        (b'"\xc3"', "no valid JSON"),
        (b"[" * 200_000, "no valid JSON"),
    ],
)
def test_what_is_no_json(content, words, tmp_path):
    path = tmp_path / "a.json"
    path.write_bytes(content)
    with pytest.raises(DataError) as raised:
        read_json(path, "the results")
    message = str(raised.value)
    assert message.startswith(f"{path}: expected the results, found ") and words in message
    assert len(message.splitlines()) == 1


def test_json_that_cannot_be_opened(tmp_path):
    with pytest.raises(DataError, match="expected the results, but it cannot be read"):
        read_json(tmp_path / "missing.json", "the results")
    with pytest.raises(DataError, match="Is a directory"):
        read_json(tmp_path, "the results")
