"""Every script's help: its width, its groups, its examples."""

import importlib
import re

import pytest

from command_lines import SCRIPTS, make_parser
from toolkit.cli.help import fill


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


def test_an_unknown_group_names_the_groups(capsys):
    with pytest.raises(SystemExit) as stopped:
        importlib.import_module("train_2d_cnn").parse_args(["--help", "networks"])
    assert stopped.value.code == 2
    assert "options, preset, data, folds, network, optimisation" in capsys.readouterr().err


def test_the_usage_names_what_must_be_given_and_defaults_are_shown(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    text = make_parser().format_help()
    assert re.match(r"usage: \S+ --speed N \[options\]\n", text)
    assert "front end (default: mel)" in text and "part (default: 0)" in text
    assert text.endswith("\n\n    python try.py --speed 1\n")


def test_long_commands_are_broken_between_flags():
    command = "python try.py --name 'two words' --table a.csv --last=b"
    expected = "    python try.py --name 'two words' \\\n        --table a.csv --last=b"
    assert fill(command, 46) == expected
    assert fill(command.replace("--table", "\\\n  --table"), 46) == expected
    assert fill(f"    {command}\n    python b.py", 46) == f"{expected}\n    python b.py"


def test_prose_is_broken_anywhere_and_lists_stay_as_they_are():
    assert fill("one two\nthree-four\n\nfive", 10) == "one two\nthree-four\n\nfive"
    assert fill("  a  b\n  c  d", 4) == "  a  b\n  c  d"
