"""train_2d_cnn.py in several processes: together they do what one does."""

import json
import os
import signal
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from real_processes import outcome, rank_of, torchrun


@pytest.fixture
def flags(training_flags, tmp_path):
    """flags(folder, ...) -> a short run of one fold into tmp_path/folder, with dropout and MixUp."""

    def make(folder: str, *extra: str, **changed) -> list[str]:
        values = {"batch_size": 5, "accumulation_steps": 2, "p_mixup": 0.5, "log_interval": 1, **changed}
        folds = () if "--folds" in extra else ("--folds", "0")
        return training_flags(*folds, *extra, experiments_dir=tmp_path / folder, **values)

    return make


def read_trace(path: Path) -> tuple[list[list], list[float]]:
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    return [line for line in lines if isinstance(line, list)], [x["loss"] for x in lines if "step" in x]


@pytest.mark.parametrize("batch_size", [5, 11])  # 12 clips: last batches of 2 clips and of 1
def test_two_processes_train_as_one_does(zygote, flags, tmp_path, batch_size):
    """The same samples and, with fixed batch norms, the same losses and predictions."""
    runs = {}
    for name, run in (("one", zygote.run), ("two", zygote.run_ranks)):
        code = run(flags(name, batch_size=batch_size), trace=str(tmp_path / name))
        assert code in (0, [0, 0]), zygote.output()
        (experiment,) = (tmp_path / name).iterdir()
        table = pd.read_csv(experiment / "predictions" / "val_preds_fold_0.csv")
        runs[name] = (json.loads((experiment / "results.json").read_text()), table)
    samples, losses = read_trace(tmp_path / "one.0")
    first, losses_of_two = read_trace(tmp_path / "two.0")
    second, nothing = read_trace(tmp_path / "two.1")
    assert [a + b for a, b in zip(first, second, strict=True)] == samples
    assert len(losses) == 2 * -(-12 // batch_size) and nothing == []
    np.testing.assert_allclose(losses_of_two, losses, atol=1e-5, rtol=0)
    pd.testing.assert_frame_equal(runs["two"][1], runs["one"][1], atol=1e-5, rtol=0)
    assert runs["two"][0]["fold0"]["metric"] == pytest.approx(runs["one"][0]["fold0"]["metric"], abs=1e-5)


def test_folds_side_by_side_are_the_folds_of_one_process(zygote, flags, tmp_path):
    both = ("--folds", "0", "1")
    assert zygote.run(flags("one", *both)) == 0, zygote.output()
    assert zygote.run_ranks(flags("two", *both, "--parallel=folds")) == [0, 0], zygote.output()
    assert outcome(tmp_path / "two") == outcome(tmp_path / "one")
    assert "2 processes share the folds" in zygote.output()


def test_all_processes_stop_at_the_same_step_and_go_on_from_there(zygote, flags, tmp_path):
    """One of them is asked; dropout, batch norms of each process and a group of batches under way."""
    options = {"epochs": 12, "output_dropout": 0.3, "batch_size": 3, "save_every": 12}
    assert zygote.run_ranks(flags("reference", **options)) == [0, 0], zygote.output()
    pids = zygote.start_ranks(flags("stopped", **options))
    deadline = time.monotonic() + 60
    while "epoch 2:" not in zygote.output() and time.monotonic() < deadline:
        time.sleep(0.005)
    os.kill(pids[1], signal.SIGTERM)
    assert [zygote.wait(pid) for pid in pids] == [130, 130], zygote.output()
    assert zygote.output().count("interrupted; continue with: torchrun --standalone --nproc_per_node=2") == 1
    assert zygote.run_ranks(flags("stopped", "--resume", **options)) == [0, 0], zygote.output()
    assert "resumed at epoch" in zygote.output()
    assert outcome(tmp_path / "stopped") == outcome(tmp_path / "reference")


def test_torchrun_brings_a_run_back_that_lost_a_process(zygote, flags, tmp_path):
    options = {"epochs": 12, "save_every": 12}
    assert zygote.run_ranks(flags("reference", **options)) == [0, 0], zygote.output()
    run = torchrun("train_2d_cnn.py", *flags("killed", **options), flags=("--max_restarts=1",))
    deadline = time.monotonic() + 120
    log = ""
    while "epoch 3:" not in log and time.monotonic() < deadline:
        time.sleep(0.005)
        log = "".join(path.read_text() for path in tmp_path.glob("killed/*/log"))
    os.kill(rank_of(run.pid, 1), signal.SIGKILL)
    output, _ = run.communicate(timeout=120)
    assert run.returncode == 0, output
    # None where torchrun stops the other process before that one has noticed.
    assert output.count("error: a process of this run was lost") <= 1
    assert "fold 0: resumed at epoch" in output
    assert outcome(tmp_path / "killed") == outcome(tmp_path / "reference")


def test_one_line_for_an_error_that_all_processes_make(zygote, flags, capsys):
    assert zygote.run_ranks(flags("x", train_df="missing.csv")) == [1, 1]
    assert zygote.output().count("error:") == 1 and "missing.csv" in zygote.output()
    assert zygote.run_ranks(flags("x", "--p_mixup=2")) == [2, 2]
    assert zygote.output().count("error:") == 1
    assert zygote.run_ranks(flags("x", batch_size=1)) == [2, 2]
    assert "expected at least a clip for each of the 2 processes" in zygote.output()
