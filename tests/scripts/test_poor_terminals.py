"""Scripts whose output is full, closed or not UTF-8, and whose clips and classes have any names."""

import os
import shutil
import subprocess
import sys

import pandas as pd
import pytest

import create_class_map
import predict_2d_cnn
import train_2d_cnn
from repository import ROOT

NOT_UTF8 = [
    {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    {"PYTHONIOENCODING": "ascii"},
    {"PYTHONIOENCODING": "latin-1"},
]


@pytest.fixture
def hostile(toy, tmp_path):
    """The toy data under other names: a table, a folder, and names beyond ASCII, latin-1 and 16 bits."""
    folder = tmp_path / "dät☃"
    folder.mkdir()
    frame = pd.read_csv(toy.folder / "train_curated.csv")
    for number, fname in enumerate(frame["fname"]):
        name = f'猫 "é" {number}😀.wav'
        shutil.copy(toy.folder / "train_curated" / fname, folder / name)
        frame.loc[number, "fname"] = name
    frame["labels"] = frame["labels"].str.replace("Bell", "Glöckchen☃").str.replace("Rain", "雨")
    frame.to_csv(tmp_path / "kurätiert☃.csv", index=False)
    return {"train_df": tmp_path / "kurätiert☃.csv", "train_data_dir": folder}


def start(script: str, *arguments: object, env=None, redirect: str = "") -> subprocess.CompletedProcess:
    command = [sys.executable, str(ROOT / script), *map(str, arguments)]
    if redirect:
        command = ["sh", "-c", f'exec "$@" {redirect}', "sh", *command]
    return subprocess.run(command, capture_output=True, env={**os.environ, **(env or {})}, timeout=120)


@pytest.mark.parametrize("env", NOT_UTF8)
def test_names_beyond_the_terminals_letters_are_read_and_escaped(hostile, tmp_path, env):
    table, classmap = hostile["train_df"], tmp_path / "klässe☃.json"
    done = start("create_class_map.py", f"--train_df={table}", f"--output_file={classmap}", env=env)
    assert done.returncode == 0 and rb"se\u2603.json: 8 classes" in done.stdout, done.stderr
    assert "Glöckchen☃" in classmap.read_text(encoding="utf-8")
    done = start("create_class_map.py", "--train_df=no☃.csv", "--output_file=x.json", env=env)
    assert done.returncode == 1 and done.stderr.startswith(rb"error: no\u2603.csv")


def test_clips_of_any_name_are_trained_on_and_predicted_where_names_are_no_utf8(
    hostile, tmp_path, training_flags
):
    table, classmap = hostile["train_df"], tmp_path / "klässe.json"
    create_class_map.main([f"--train_df={table}", f"--output_file={classmap}"])
    flags = training_flags("--folds", "0", **hostile, classmap=classmap, epochs=1, num_workers=1)
    done = start("train_2d_cnn.py", *flags, env=NOT_UTF8[0])
    assert done.returncode == 0, done.stderr
    (directory,) = (tmp_path / "experiments").iterdir()
    assert "kurätiert☃" in (directory / "command").read_text(encoding="utf-8")
    inputs = ["--inputs", hostile["train_data_dir"], "--top_k=2", "--device=cpu", "--num_workers=0"]
    done = start("predict_2d_cnn.py", f"--experiment={directory}", *inputs, env=NOT_UTF8[0])
    assert done.returncode == 0 and rb"\u732b" in done.stdout, done.stderr


def test_folders_whose_names_are_no_utf8(toy, training_flags, tmp_path):
    """Bytes of latin-1, as of an old disk; what tells of them is UTF-8, and a run goes on."""
    folder, runs = tmp_path / os.fsdecode(b"caf\xe9"), tmp_path / os.fsdecode(b"runs\xe9")
    shutil.copytree(toy.folder / "train_curated", folder)
    flags = training_flags("--folds", "0", train_data_dir=folder, experiments_dir=runs, epochs=1)
    train_2d_cnn.main(flags)
    train_2d_cnn.main([*flags, "--resume"])
    (directory,) = runs.iterdir()
    assert r"caf\udce9" in (directory / "command").read_text(encoding="utf-8")
    inputs = ["--inputs", str(folder), f"--output_df={runs / 'a.csv'}", "--device=cpu", "--num_workers=0"]
    assert predict_2d_cnn.main([f"--experiment={directory}", *inputs]) == 0


@pytest.mark.parametrize("redirect", [">&- 2>&-", "<&- >&- 2>&-", "2>/dev/full >/dev/null", "2>&-"])
def test_outputs_that_are_closed_and_errors_that_nobody_can_read(toy, tmp_path, redirect):
    flags = [f"--train_df={toy.folder / 'train_curated.csv'}", f"--output_file={tmp_path / 'map.json'}"]
    assert start("create_class_map.py", *flags, redirect=redirect).returncode == 0
    assert (tmp_path / "map.json").read_text() == toy.classmap.read_text()
    done = start("create_class_map.py", "--train_df=no.csv", *flags[1:], redirect=redirect)
    assert done.returncode == 1


@pytest.mark.parametrize(
    "script, flags", [("create_class_map.py", ["--help"]), ("create_class_map.py", None)]
)
def test_a_full_disk_below_the_output_gives_one_line(toy, tmp_path, script, flags):
    made = [f"--train_df={toy.folder / 'train_curated.csv'}", f"--output_file={tmp_path / 'map.json'}"]
    done = start(script, *(flags or made), redirect=">/dev/full")
    assert done.returncode == 1 and done.stderr.count(b"\n") == 1
    assert b"standard output or a file: cannot be read or written (No space left on device)" in done.stderr
