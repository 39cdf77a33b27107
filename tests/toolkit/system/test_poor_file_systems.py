"""File systems without locks, permissions or flushes; locks that others hold; limits of a file's size."""

import errno
import fcntl
import os
import resource
import subprocess
import sys

import pytest

from ops.errors import DataError
from repository import ROOT
from toolkit.runs import experiment
from toolkit.runs.experiment import Experiment
from toolkit.system.files import write_text
from toolkit.system.locks import lock_file, take_lock


def refusing(number: int, kind=None, function=None):
    """A system call that raises what the kernel would; with `function` only for folders."""

    def call(descriptor, *arguments):
        if kind == "folder" and not os.path.isdir(f"/proc/self/fd/{descriptor}"):
            return function(descriptor, *arguments)
        raise OSError(number, os.strerror(number))

    return call


@pytest.mark.parametrize("number", [errno.EPERM, errno.ENOTSUP, errno.ENOSYS])
def test_permissions_that_cannot_be_set_are_no_error(tmp_path, monkeypatch, number, capsys):
    monkeypatch.setattr(os, "fchmod", refusing(number))
    write_text(tmp_path / "a.txt", "x")
    assert (tmp_path / "a.txt").read_text() == "x" and capsys.readouterr().err == ""


@pytest.mark.parametrize("number", [errno.EINVAL, errno.ENOTSUP, errno.ENOSYS])
def test_a_file_system_that_cannot_flush_is_told_of_once(tmp_path, monkeypatch, number, capsys):
    monkeypatch.setattr(os, "fsync", refusing(number))
    for name in ("a.txt", "b.txt"):
        write_text(tmp_path / name, "x")
        assert (tmp_path / name).read_text() == "x"
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and f"{tmp_path}: files are written there, but cannot be flushed" in error


@pytest.mark.parametrize("number", [errno.EIO, errno.ENOSPC])
def test_a_flush_that_fails_leaves_the_old_content_and_one_of_the_folder_the_new_one(
    tmp_path, monkeypatch, number, capsys
):
    """What is there is never said to be not written."""
    path, fsync = tmp_path / "a.txt", os.fsync
    path.write_text("old")
    monkeypatch.setattr(os, "fsync", refusing(number))
    with pytest.raises(DataError, match="a.txt: cannot be written"):
        write_text(path, "new")
    assert path.read_text() == "old" and os.listdir(tmp_path) == ["a.txt"]
    monkeypatch.setattr(os, "fsync", refusing(number, "folder", fsync))
    write_text(path, "new")
    assert path.read_text() == "new" and "cannot be flushed to disk" in capsys.readouterr().err


def test_names_that_are_no_utf8_are_escaped(tmp_path):
    write_text(tmp_path / "a.txt", os.fsdecode(b"caf\xe9"))
    assert (tmp_path / "a.txt").read_bytes() == b"caf\\udce9"


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS])
def test_a_file_system_without_locks_is_told_of_once(tmp_path, monkeypatch, number, capsys):
    monkeypatch.setattr(fcntl, "flock", refusing(number))
    for _ in range(2):
        with lock_file(tmp_path / ".lock") as file:
            assert take_lock(file, file.name)
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and f"{tmp_path}: its file system has no locks" in error


def test_a_lock_that_cannot_be_taken_for_another_reason_is_an_error(tmp_path, monkeypatch):
    monkeypatch.setattr(fcntl, "flock", refusing(errno.EIO))
    with lock_file(tmp_path / ".lock") as file, pytest.raises(DataError, match=".lock: cannot be locked"):
        take_lock(file, file.name)


def test_a_lock_that_another_process_keeps_is_not_awaited_for_ever(tmp_path, monkeypatch):
    monkeypatch.setattr(experiment, "PATIENCE_SECONDS", 0.2)
    code = "import fcntl, sys; file = open(sys.argv[1], 'a'); fcntl.flock(file, fcntl.LOCK_EX)\n"
    code += "print(flush=True); sys.stdin.read()"
    command = [sys.executable, "-c", code, str(tmp_path / ".lock")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        holder.stdout.readline()
        with pytest.raises(DataError, match=r"\.lock: another process has held this lock for") as raised:
            with Experiment(tmp_path, None).locked():
                pass
        assert len(str(raised.value).splitlines()) == 1
        holder.stdin.close()
    with Experiment(tmp_path, None).locked():
        pass


def test_a_limit_of_a_files_size_is_named(tmp_path):
    code = (
        "from toolkit.cli.parser import run_script; from toolkit.system.files import write_text; import sys\n"
    )
    code += "run_script(lambda: write_text(sys.argv[1], 'x' * 100_000))"
    (tmp_path / "a.txt").write_text("old")

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))

    command = [sys.executable, "-c", code, str(tmp_path / "a.txt")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, preexec_fn=limit)
    assert done.returncode == 1 and done.stderr.count("\n") == 1
    assert "a.txt: cannot be written (File too large)" in done.stderr and "ulimit -f" in done.stderr
    assert (tmp_path / "a.txt").read_text() == "old" and os.listdir(tmp_path) == ["a.txt"]
