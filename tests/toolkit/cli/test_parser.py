"""Every script's command line: errors of one line that name the nearest, completion, outputs."""

import argparse
import ast
import importlib
import inspect
import io
import os
import subprocess
import sys

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import create_class_map
import relabel_noisy_data
import score_predictions
from command_lines import SCRIPTS, make_parser, usage_error
from repository import ROOT
from toolkit.cli.parser import Parser, run_script


@pytest.mark.parametrize("script", SCRIPTS)
def test_scripts_are_marked_for_completion_and_end_in_one_line(script):
    text = (ROOT / f"{script}.py").read_text()
    assert "PYTHON_ARGCOMPLETE_OK" in text[:1024]
    assert text.rstrip().endswith("run_script(main)")


def test_argparse_is_used_by_its_public_names_alone():
    """Its private ones change from one Python to the next."""
    classes = [kind for _, kind in inspect.getmembers(argparse, inspect.isclass)]
    private = {name for kind in [argparse, *classes] for name in dir(kind) if name.startswith("_")}
    private |= {name for name in vars(argparse.ArgumentParser()) if name.startswith("_")}
    private = {name for name in private if not name.startswith("__")}
    for path in (ROOT / "toolkit" / "cli" / "parser.py", ROOT / "toolkit" / "cli" / "help.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute):
                assert not node.attr.startswith("_") or node.attr.startswith("__"), f"{path}:{node.lineno}"
            if isinstance(node, ast.ClassDef):
                methods = {method.name for method in node.body if isinstance(method, ast.FunctionDef)}
                assert not methods & private, path


def test_flags_of_groups_are_known_like_all_others(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    parser = make_parser()
    group = parser.add_argument_group("division (of clips)")
    either = group.add_mutually_exclusive_group()
    either.add_argument("--all_clips", action="store_true", help="all")
    either.add_argument("--no_clips", action="store_true", help="none")
    group.add_argument("--table_df", nargs="+", required=True, help="tables")
    needed = ["--speed=1", "--table_df", "a.csv"]
    assert parser.parse_args([*needed, "--no_clips"]).no_clips
    for words, expected in (
        (["--al_clips"], "unknown flag --al_clips (nearest: '--all_clips')"),
        (["--all_clips", "--no_clips"], "argument --no_clips: not allowed with argument --all_clips"),
        (["--help=part"], "expected one of the groups options, division, got 'part'"),
    ):
        with pytest.raises(SystemExit):
            parser.parse_args([*needed, *words])
        assert expected in capsys.readouterr().err
    with pytest.raises(SystemExit):
        parser.parse_args(["--help", "division"])
    assert capsys.readouterr().out.splitlines() == [
        "division (of clips):",
        "  --all_clips                 all",
        "  --no_clips                  none",
        "  --table_df CSV [CSV ...]    tables",
    ]
    assert "--speed N --table_df CSV [CSV ...] [options]" in " ".join(parser.format_help().split())


@pytest.mark.parametrize("script", SCRIPTS)
def test_unknown_flags_name_the_nearest(script, capsys):
    with pytest.raises(SystemExit) as stopped:
        importlib.import_module(script).parse_args(["--quite"])
    assert stopped.value.code == 2
    error = capsys.readouterr().err
    assert error.startswith("error: unknown flag --quite (nearest: '--quiet')") and error.count("\n") == 1


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


@pytest.mark.parametrize(
    "main, flags",
    [
        (create_class_map.main, ["--train_df={0}", "--output_file={0}"]),
        (
            relabel_noisy_data.main,
            ["--noisy_df={0}", "--noisy_predictions_df={1}", "--mode=scoring_1", "--output_df={0}"],
        ),
        (
            relabel_noisy_data.main,
            ["--noisy_df={1}", "--noisy_predictions_df", "{1}", "{0}", "--mode=scoring_1", "--output_df={0}"],
        ),
        (score_predictions.main, ["--truth_df={0}", "--predictions_df={1}", "--csv={2}"]),
    ],
)
def test_an_output_never_replaces_an_input(main, flags, tmp_path, capsys):
    first, second, link = (tmp_path / name for name in ("a.csv", "b.csv", "link.csv"))
    first.write_text("fname,labels\na,X\n")
    second.write_text("X,fname\n0.5,a\n")
    link.symlink_to(first)
    with pytest.raises(SystemExit) as stopped:
        main([flag.format(first, second, link) for flag in flags])
    error = capsys.readouterr().err
    assert stopped.value.code == 2 and len(error.splitlines()) == 1
    assert "would be overwritten; give another file" in error
    assert first.read_text() == "fname,labels\na,X\n" and second.read_text() == "X,fname\n0.5,a\n"


def test_no_memory_and_no_reader_end_in_one_line(monkeypatch, capsys):
    def no_memory():
        torch.empty(2**60)

    monkeypatch.setattr(sys, "argv", ["predict_2d_cnn.py"])
    with pytest.raises(SystemExit) as stopped:
        run_script(no_memory)
    error = capsys.readouterr().err
    assert stopped.value.code == 1 and error.count("\n") == 1 and "--window_seconds" in error
    done = subprocess.run(
        f"{sys.executable} create_class_map.py --help | head -1; exit ${{PIPESTATUS[0]}}",
        shell=True, executable="/bin/bash", cwd=ROOT, capture_output=True, text=True)  # fmt: skip
    assert "Traceback" not in done.stderr


def test_flags_of_which_one_is_needed_are_known(capsys):
    parser = Parser("A script.")
    either = parser.add_mutually_exclusive_group(required=True)
    either.add_argument("--one", help="this")
    parser.add_argument("--output", required=True, help="that")
    error = usage_error(capsys, parser.parse_args, ["--one=1"])
    assert error.startswith("error: the following arguments are required: --output")
