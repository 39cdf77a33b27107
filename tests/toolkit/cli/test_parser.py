"""Every script at the top level: its help, --quiet, completion, colours, and errors that name the nearest."""

import importlib
import io
import os
import pty
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ops.errors import DataError, nearest
from toolkit.cli import parser as cli
from toolkit.cli.help import _fill
from toolkit.clips.tables import read_table
from toolkit.system import console
from toolkit.system.files import read_json
from toolkit.system.suggestions import nearest_path

ROOT = Path(__file__).resolve().parents[3]
SCRIPTS = sorted(path.stem for path in ROOT.glob("*.py"))


def help_of(script: str, capsys, monkeypatch, *group: str) -> str:
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit) as stopped:
        importlib.import_module(script).parse_args(["--help", *group])
    assert not stopped.value.code
    return capsys.readouterr().out


@pytest.mark.parametrize("script", SCRIPTS)
def test_help_fits_80_columns_and_a_screen_a_group(script, capsys, monkeypatch):
    text = help_of(script, capsys, monkeypatch)
    assert max(map(len, text.splitlines())) <= 80
    assert f"python {script}.py" in text, "an example"
    assert re.search(r"^  --quiet +\w", text, flags=re.MULTILINE)
    titles = re.findall(r"\n\n(\w+)[^:\n]*:\n  [-{]", text)
    assert "options" in titles
    for title in titles:
        group = help_of(script, capsys, monkeypatch, title)
        assert group.splitlines()[0] in text.splitlines()
        assert 1 < len(group.splitlines()) <= 24, f"--help {title} does not fit 24 lines"


@pytest.mark.parametrize("script", SCRIPTS)
def test_scripts_are_marked_for_completion_and_end_in_one_line(script):
    text = (ROOT / f"{script}.py").read_text()
    assert "PYTHON_ARGCOMPLETE_OK" in text[:1024]
    assert text.rstrip().endswith("cli.run_script(main)")


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


@pytest.mark.parametrize("script", SCRIPTS)
def test_unknown_flags_name_the_nearest(script, capsys):
    with pytest.raises(SystemExit) as stopped:
        importlib.import_module(script).parse_args(["--quite"])
    assert stopped.value.code == 2
    error = capsys.readouterr().err
    assert error.startswith("error: unknown flag --quite (nearest: '--quiet')") and error.count("\n") == 1


def test_an_unknown_group_names_the_groups(capsys):
    with pytest.raises(SystemExit) as stopped:
        importlib.import_module("train_2d_cnn").parse_args(["--help", "networks"])
    assert stopped.value.code == 2
    assert "options, data, folds, network, optimisation" in capsys.readouterr().err


def make_parser() -> cli.Parser:
    parser = cli.make_parser("Try.\n\n    python try.py --speed 1")
    parser.add_argument("--speed", required=True, type=cli.number(int, 1), help="clips a second")
    parser.add_argument("--kind", choices=("mel", "stft"), default="mel", help="front end")
    parser.add_argument("--share", type=cli.PROBABILITY, default=0, help="part")
    return parser


@pytest.mark.parametrize(
    "arguments, expected",
    [
        (["--speed=1", "--kind", "sftf"], "expected one of 'mel', 'stft', got 'sftf' (nearest: 'stft')"),
        (["--speed=1", "--kind", "xyz"], "got 'xyz' (see"),
        (["--sped=1"], "unknown flag --sped (nearest: '--speed'); the following arguments are required"),
        (["--speed=1", "--shar", "1", "--knd=2"], "unknown flags --shar (nearest: '--share'), --knd"),
        (["--speed=1", "left over"], "unrecognized arguments: left over"),
        (["--speed=1", "--\n"], "unknown flag --"),
    ],
)
def test_usage_errors_are_one_line_with_what_was_meant(arguments, expected, capsys):
    with pytest.raises(SystemExit) as stopped:
        make_parser().parse_args(arguments)
    assert stopped.value.code == 2
    error = capsys.readouterr().err
    assert expected in error and error.count("\n") == 1


def test_the_usage_names_what_must_be_given_and_defaults_are_shown(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    text = make_parser().format_help()
    assert re.match(r"usage: \S+ --speed N \[options\]\n", text)
    assert "front end (default: mel)" in text and "part (default: 0)" in text
    assert text.endswith("\n\n    python try.py --speed 1\n")


def test_long_commands_are_broken_between_flags():
    command = "python try.py --name 'two words' --table a.csv --last=b"
    expected = "    python try.py --name 'two words' \\\n        --table a.csv --last=b"
    assert _fill(command, 46) == expected
    assert _fill(command.replace("--table", "\\\n  --table"), 46) == expected
    assert _fill(f"    {command}\n    python b.py", 46) == f"{expected}\n    python b.py"
    assert _fill("  a  b\n  c  d", 6) == "  a  b\n  c  d"
    assert _fill("  a  b b b\n  c  d\n     e e e", 9) == "  a  b b\n     b\n  c  d e\n     e e"


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


def test_tab_completes_flags_and_choices(tmp_path):
    """argcomplete's protocol with the shell."""

    def complete(line: str) -> list[str]:
        found = tmp_path / "found"
        environment = {
            **os.environ,
            "_ARGCOMPLETE": "2",  # the words before the script's
            "_ARGCOMPLETE_IFS": "\n",
            "_ARGCOMPLETE_STDOUT_FILENAME": str(found),
            "COMP_LINE": line,
            "COMP_POINT": str(len(line)),
        }
        command = [sys.executable, str(ROOT / line.split()[1])]
        subprocess.run(command, env=environment, timeout=60, capture_output=True)
        return found.read_text().split("\n")

    assert complete("python create_class_map.py --tr") == ["--train_df "]
    assert complete("python train_2d_cnn.py --loss l") == ["lsep "]


def test_missing_files_name_the_nearest(tmp_path):
    (tmp_path / "train_curated.csv").write_text("fname\n1\n")
    for read in (lambda path: read_table(path, ["fname"]), lambda path: read_json(path, "JSON")):
        with pytest.raises(DataError, match=r"nearest: '.*/train_curated\.csv'"):
            read(tmp_path / "train_currated.csv")
    folder = tmp_path.with_name(tmp_path.name + "x")
    assert nearest_path(folder / "train_curated.csv") == f" (nearest: {str(tmp_path)!r})"
    assert nearest_path(tmp_path / "unlike.flac") == ""


def test_nearest_names():
    assert nearest("bark", ["Meow", "BARK"]) == " (nearest: 'BARK')"
    assert nearest("Brak", iter(["Meow", "Bark"])) == " (nearest: 'Bark')"
    assert nearest("Siren", ["Meow"]) == ""


@given(st.lists(st.text(), min_size=1, max_size=4))
def test_any_command_line_ends_in_one_line(words):
    parser, stderr = make_parser(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.stderr", stderr)
        patch.setattr("sys.stdout", io.StringIO())
        try:
            parser.parse_args(words)
        except SystemExit as stopped:
            assert stopped.code in (None, 0, 2)
    assert len(stderr.getvalue().splitlines()) <= 1
