"""demo.sh: takes away only what it made, and prints commands that can be pasted."""

import importlib
import os
import shlex
import shutil
import subprocess

import pytest

from repository import ROOT


@pytest.fixture
def demo(tmp_path):
    """Runs a copy of the script with a Python that does nothing: (exit code, output)."""
    shutil.copy(ROOT / "demo.sh", tmp_path)

    def run(*flags: str) -> tuple[int, str]:
        done = subprocess.run(
            ["bash", "demo.sh", *flags],
            cwd=tmp_path,
            env=os.environ | {"PYTHON": "true"},
            capture_output=True,
            text=True,
        )
        return done.returncode, done.stdout + done.stderr

    return run


def test_a_folder_of_somebody_else_is_left_alone(demo, tmp_path):
    own = tmp_path / "demo" / "data" / "own.wav"
    own.parent.mkdir(parents=True)
    own.touch()
    code, output = demo()
    assert code == 1 and "demo/ holds files that this script did not make" in output
    assert len(output.splitlines()) == 1 and own.exists()
    assert demo("--clean") == (0, "") and own.exists()


def test_files_beside_its_own_stay(demo, tmp_path):
    (tmp_path / "demo").mkdir()
    assert demo()[0] == 0
    own = [tmp_path / "demo" / "reviewed.csv", tmp_path / "demo" / "experiments" / "own-0a1b2c3d"]
    made = [tmp_path / "demo" / name for name in ("report.html", "data", "experiments/after-0a1b2c3d")]
    for path in [*own, *made]:
        path.mkdir(parents=True)
    assert demo("--clean") == (0, "")
    assert all(path.exists() for path in own) and not any(path.exists() for path in made)


def test_without_others_files_the_folder_goes(demo, tmp_path):
    assert demo()[0] == demo()[0] == 0
    assert demo("--clean") == (0, "") and not (tmp_path / "demo").exists()


def test_the_commands_that_it_prints_are_those_that_run(demo, tmp_path):
    _, output = demo()
    commands = [shlex.split(line) for line in output.splitlines() if line.startswith("true ")]
    assert len(commands) == 10
    for _, script, *arguments in commands:
        importlib.import_module(script.removesuffix(".py")).parse_args(arguments)
    assert [tmp_path / f"demo/{name}.html" for name in ("report", "review", "comparison")] == [
        type(tmp_path)(line.strip()) for line in output.splitlines() if line.startswith("  /")
    ]
