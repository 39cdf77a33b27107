"""What killed writers leave is removed by the next writer of the same file; what living ones hold stays."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from repository import ROOT
from toolkit.system.files import remove_leftovers, write_atomically, write_text, write_with_sum

WRITER = """
import sys
from pathlib import Path
from toolkit.system.files import write_atomically

def write(file):
    file.write(b"half")
    file.flush()
    print("writing", flush=True)
    sys.stdin.readline()

write_atomically(Path(sys.argv[1]), write)
"""


def writer(path: Path) -> subprocess.Popen:
    """Another process in the midst of writing a file."""
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "writing\n"
    return process


def kill(process: subprocess.Popen) -> None:
    process.send_signal(signal.SIGKILL)
    process.communicate()


@pytest.mark.parametrize("name", ["out.csv", "a" * 200 + ".csv", "[x]*.csv", ".hidden"])
def test_what_a_killed_writer_left_goes_with_the_next_write(tmp_path, name):
    path = tmp_path / name
    kill(writer(path))
    (tmp_path / "other.tmp").touch()
    assert len(os.listdir(tmp_path)) == 2
    write_text(path, "whole")
    assert sorted(os.listdir(tmp_path)) == sorted([name, "other.tmp"]) and path.read_text() == "whole"


def test_beside_the_target_of_a_link_too(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    link = tmp_path / "out.csv"
    link.symlink_to("elsewhere/target.csv")
    kill(writer(link))
    assert len(os.listdir(tmp_path / "elsewhere")) == 1
    write_text(link, "whole")
    assert os.listdir(tmp_path / "elsewhere") == ["target.csv"] and link.read_text() == "whole"


def test_a_writer_at_work_loses_nothing(tmp_path):
    path = tmp_path / "out.csv"
    process = writer(path)
    write_text(path, "first")
    remove_leftovers(tmp_path)
    remove_leftovers(tmp_path, "out.csv")
    assert len(os.listdir(tmp_path)) == 2
    process.communicate("go on\n")
    assert process.returncode == 0
    assert path.read_text() == "half" and os.listdir(tmp_path) == ["out.csv"]


def test_writers_at_once_leave_one_whole_file(tmp_path):
    path = tmp_path / "out.csv"
    texts = [str(digit) * 1000 for digit in range(8)]

    def write(text):
        for _ in range(20):
            write_text(path, text)

    threads = [threading.Thread(target=write, args=(text,)) for text in texts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert path.read_text() in texts and os.listdir(tmp_path) == ["out.csv"]


def test_other_files_leftovers_stay_until_their_own_next_write(tmp_path):
    kill(writer(tmp_path / "one.csv"))
    write_text(tmp_path / "two.csv", "whole")
    assert len(os.listdir(tmp_path)) == 2
    remove_leftovers(tmp_path)
    assert os.listdir(tmp_path) == ["two.csv"]


def test_a_temporary_file_is_no_link_to_follow(tmp_path):
    (tmp_path / "precious").write_text("content")
    (tmp_path / ".out.csv.abc.tmp").symlink_to("precious")
    write_atomically(tmp_path / "out.csv", lambda file: file.write(b"x"))
    write_with_sum(tmp_path / "out.csv", lambda file: file.write(b"y"))
    assert (tmp_path / "precious").read_text() == "content"
