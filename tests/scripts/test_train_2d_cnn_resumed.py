"""train_2d_cnn.py --resume: finished folds, other processes, full disks, tables that changed."""

import os
import re
import shutil
import signal
import time

import pandas as pd
import pytest

import train_2d_cnn
from ops.errors import DataError
from real_processes import outcome


def test_finished_fold_is_not_trained_again(zygote, full_flags, tmp_path):
    assert zygote.run(full_flags("runs", "--folds", "0", epochs=1)) == 0
    assert zygote.run(full_flags("runs", "--folds", "0", "--resume", epochs=1)) == 0
    assert "fold 0: finished before, nothing to do" in zygote.output()
    assert "epoch" not in zygote.output()


def test_processes_train_folds_of_one_experiment_at_the_same_time(zygote, full_flags, tmp_path):
    assert zygote.run(full_flags("reference", epochs=2)) == 0
    first = zygote.start(full_flags("runs", "--folds", "0", epochs=2))
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob("runs/*/config.json")) and time.monotonic() < deadline:
        time.sleep(0.005)
    second = zygote.start(full_flags("runs", "--folds", "1", "--resume", epochs=2))
    assert (zygote.wait(first), zygote.wait(second)) == (0, 0), zygote.output()
    assert outcome(tmp_path / "runs") == outcome(tmp_path / "reference")


def test_second_process_on_a_fold_says_so_and_stops(zygote, full_flags, tmp_path):
    first = zygote.start(full_flags("runs", "--folds", "0", epochs=200))
    deadline = time.monotonic() + 60
    while "epoch 0" not in zygote.output() and time.monotonic() < deadline:
        time.sleep(0.005)
    assert zygote.run(full_flags("runs", "--folds", "0", "--resume", epochs=200)) == 1
    assert "another process is training fold 0" in zygote.output()
    os.kill(first, signal.SIGKILL)
    zygote.wait(first)


def test_full_disk_gives_one_line_and_the_run_goes_on_with_more_room(
    zygote, full_flags, tmp_path, small_disk
):
    assert zygote.run(full_flags("reference", "--folds", "0")) == 0
    needed = sum(f.stat().st_size for f in (tmp_path / "reference").rglob("*") if f.is_file()) // 1024
    disk = small_disk(int(0.7 * needed))
    changed = {"experiments_dir": disk}
    assert zygote.run(full_flags("", "--folds", "0", **changed)) == 1, zygote.output()
    errors = [line for line in re.split(r"[\r\n]", zygote.output()) if line.startswith("error:")]
    assert len(errors) == 1 and "No space left on device" in errors[0] and "--resume" in errors[0]
    assert "Traceback" not in zygote.output()
    assert not list(disk.rglob("*.tmp"))
    moved = tmp_path / "moved"
    shutil.copytree(disk, moved)
    assert zygote.run(full_flags("", "--folds", "0", "--resume", experiments_dir=moved)) == 0, zygote.output()
    assert outcome(moved) == outcome(tmp_path / "reference")


@pytest.mark.parametrize("part", ["train_df", "sample_submission"])
def test_a_table_that_changed_since_ends_a_resumed_run_in_one_line(toy, full_flags, tmp_path, part):
    """In one finished fold and one that is to come; restored, the run goes on."""
    name = {"train_df": "train_curated.csv", "sample_submission": "sample_submission.csv"}[part]
    table = tmp_path / name
    table.write_text((toy.folder / name).read_text())
    argv = full_flags("experiments", **{part: table, "epochs": 1})
    train_2d_cnn.main([*argv, "--folds", "0"])
    text = table.read_text()
    table.write_text("".join(text.splitlines(keepends=True)[:-1]))
    for folds in (["0"], ["1"]):
        with pytest.raises(DataError, match="clips or their labels have changed since .* began; restore"):
            train_2d_cnn.main([*argv, "--folds", *folds, "--resume"])
    table.write_text(text)
    train_2d_cnn.main([*argv, "--resume"])
    assert len(list((tmp_path / "experiments").glob("*/predictions/submission.csv"))) == 1


def test_a_finished_fold_without_its_last_state_only_predicts(toy, full_flags, tmp_path):
    """Its best model stays, byte by byte, though test clips came later."""
    plain = full_flags("experiments", epochs=1, test_data_dir=None, sample_submission=None)
    train_2d_cnn.main(plain)
    (experiment,) = (tmp_path / "experiments").iterdir()
    for path in experiment.glob("checkpoints/*/last.pth"):
        path.unlink()
    best = {path: path.read_bytes() for path in experiment.glob("checkpoints/*/best_model.pth")}
    results = (experiment / "results.json").read_text()
    train_2d_cnn.main([*full_flags("experiments", epochs=1), "--resume"])
    assert len(best) == 2 and all(path.read_bytes() == content for path, content in best.items())
    assert (experiment / "results.json").read_text() == results
    assert (experiment / "predictions/submission.csv").exists()


def test_resume_with_nothing_to_continue_names_the_nearest_experiment(training_flags, tmp_path, capsys):
    train_2d_cnn.main(training_flags("--folds", "0", epochs=2))
    (first,) = (tmp_path / "experiments").iterdir()
    capsys.readouterr()
    train_2d_cnn.main(training_flags("--folds", "0", "--resume", epochs=1))
    warning = capsys.readouterr().err
    assert f"the nearest, {first}, differs in epochs (2 there, 1 here)" in warning
    train_2d_cnn.main(training_flags("--folds", "0", "--resume", epochs=1))
    assert "nothing to continue" not in capsys.readouterr().err
    train_2d_cnn.main(training_flags("--folds", "0", "--resume", epochs=1, label="other"))
    assert "a new experiment begins; no experiment of this label" in capsys.readouterr().err


def test_a_noisy_table_that_changes_under_a_run_is_refused(toy, training_flags, tmp_path):
    kept = tmp_path / "kept.csv"
    frame = pd.read_csv(toy.folder / "train_noisy.csv")
    frame.to_csv(kept, index=False)
    noisy = {"noisy_train_df": kept, "noisy_train_data_dir": toy.folder / "train_noisy", "epochs": 1}
    train_2d_cnn.main(training_flags("--folds", "0", **noisy))
    frame.iloc[2:].to_csv(kept, index=False)
    with pytest.raises(DataError, match="kept.csv: the noisy clips or their labels have changed since"):
        train_2d_cnn.main(training_flags("--folds", "1", "--resume", **noisy))
