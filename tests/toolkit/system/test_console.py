"""Notes, warnings and progress: quiet, in files and pipes, in colours."""

import io
import os
import pty
import re
import subprocess
import sys
import time

import pytest

from command_lines import make_parser
from repository import ROOT
from toolkit.system import console


def test_progress_bars_and_notes_come_from_the_console_alone():
    """Else --quiet would not reach them."""
    for path in [
        *ROOT.glob("*.py"),
        *ROOT.glob("ops/**/*.py"),
        *ROOT.glob("toolkit/**/*.py"),
        *ROOT.glob("networks/*.py"),
    ]:
        if path.name != "console.py":
            assert not re.search(r"^\s*(from|import) tqdm", path.read_text(), flags=re.MULTILINE), path


def test_quiet_leaves_out_notes_and_bars_and_keeps_warnings(capsys, monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    try:
        make_parser().parse_args(["--speed=1", "--quiet"])
        console.note("a note")
        console.warn("a warning")
        assert list(console.progress([1, 2], desc="bar")) == [1, 2]
        out, err = capsys.readouterr()
        assert out == "" and err == "warning: a warning\n"
    finally:
        make_parser().parse_args(["--speed=1"])
    console.note("a note")
    list(console.progress([1, 2], desc="bar", mininterval=0))
    out, err = capsys.readouterr()
    assert out == "a note\n" and "bar" in err
    monkeypatch.setattr(sys.stderr, "isatty", lambda: False)  # a file or a pipe
    assert list(console.progress([1, 2], desc="bar", mininterval=0)) == [1, 2]
    assert capsys.readouterr().err == "", "a short job"


def test_processes_without_bars_still_print_notes(capsys, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    for variable in ("RANK", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.setenv(variable, "1")
    monkeypatch.setenv("WORLD_SIZE", "2")
    make_parser().parse_args(["--speed=1"])  # by the second of two processes
    console.note("a note")
    list(console.progress([1, 2], desc="bar", mininterval=0))
    assert capsys.readouterr() == ("a note\n", "")
    monkeypatch.setenv("RANK", "0")
    make_parser().parse_args(["--speed=1"])
    list(console.progress([1, 2], desc="bar", mininterval=0))
    assert "bar" in capsys.readouterr().err


def test_in_files_and_pipes_progress_is_a_line_a_minute(capsys, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: False)
    monkeypatch.setattr(console, "_LINE_SECONDS", 0.2)
    with console.progress(total=4, desc="fold 0", unit="clip") as bar:
        for number in range(4):
            time.sleep(0.12)
            bar.update()
            bar.set_postfix(loss=f"{number / 2:.1f}")
            console.note(f"note {number}")
    out, err = capsys.readouterr()
    assert out == "".join(f"note {number}\n" for number in range(4))
    lines = err.splitlines(keepends=True)
    assert 1 <= len(lines) <= 3
    for line in lines:
        assert re.fullmatch(r"fold 0: [234] of 4, \d\d:\d\d gone, \d\d:\d\d left(, loss=\d\.\d)?\n", line)


def test_a_quiet_script_prints_its_errors_alone(toy, run_script, tmp_path):
    flags = ["--train_df", toy.folder / "train_curated.csv", "--output_file", tmp_path / "map.json"]
    done = run_script("create_class_map.py", *flags, "--quiet")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "") and (tmp_path / "map.json").exists()
    done = run_script("create_class_map.py", "--train_df=no.csv", "--output_file=map.json", "--quiet")
    assert done.returncode == 1 and done.stderr.startswith("error: no.csv")


@pytest.mark.parametrize("no_color", [None, "1"])
def test_colours_on_a_terminal_unless_no_color(no_color, monkeypatch):
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    if no_color:
        monkeypatch.setenv("NO_COLOR", no_color)
    ours, theirs = pty.openpty()
    command = [sys.executable, str(ROOT / "create_class_map.py"), "--train_df=no.csv", "--output_file=m"]
    subprocess.run(command, stderr=theirs, timeout=60)
    text = os.read(ours, 10_000).decode()
    os.close(ours)
    os.close(theirs)
    assert text.startswith("error: no.csv" if no_color else "\033[31merror:\033[0m no.csv")
    assert console.paint("text", "bold", io.StringIO()) == "text"
