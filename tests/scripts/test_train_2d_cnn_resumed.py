"""Real processes, killed: a run that goes on ends with the bytes of one that was never killed."""

import os
import random
import re
import shutil
import signal
import time

import numpy as np
import pandas as pd
import pytest
import soundfile

import train_2d_cnn
from ops.errors import DataError
from real_processes import outcome

N_KILLS = int(os.environ.get("KILLS", "20"))  # `make killtest` takes 100


@pytest.fixture
def flags(toy, training_flags, tmp_path):
    """flags(folder, ...) -> a short run with every kind of file and random draw."""

    def make(folder: str, *extra: str, **changed) -> list[str]:
        return training_flags(
            *extra,
            **{
                "experiments_dir": tmp_path / folder,
                "test_data_dir": toy.folder / "test",
                "sample_submission": toy.folder / "sample_submission.csv",
                "epochs": 3,
                "batch_size": 2,
                "accumulation_steps": 2,
                "p_mixup": 0.5,
                "output_dropout": 0.3,
                "log_interval": 2,
                **changed,
            },
        )

    return make


@pytest.mark.slow
def test_runs_killed_at_random_moments_end_like_one_never_killed(zygote, flags, tmp_path):
    started = time.monotonic()
    assert zygote.run(flags("reference")) == 0, zygote.output()
    duration = time.monotonic() - started
    reference = outcome(tmp_path / "reference")
    assert len(reference) == 8  # two folds of val and test predictions and epochs, submission, results
    generator = random.Random(0)
    kills, finished = 0, 0
    while kills < N_KILLS or finished == 0:
        folder = f"run_{finished}"
        resume = ["--resume"] if (tmp_path / folder).exists() else []
        pid = zygote.start(flags(folder, *resume, num_workers=generator.choice([0, 2])))
        if kills < N_KILLS:
            time.sleep(generator.uniform(0, 0.7 * duration))
            os.kill(pid, signal.SIGKILL)
        status = zygote.wait(pid)
        if status == -signal.SIGKILL:
            kills += 1
            continue
        assert status == 0, zygote.output()
        assert outcome(tmp_path / folder) == reference, f"after {kills} kills"
        finished += 1
    print(f"\n{kills} kills, {finished} runs finished after them, all identical")


@pytest.mark.slow
def test_runs_killed_within_each_kind_of_write_end_like_one_never_killed(zygote, flags, tmp_path):
    """Config, command, checkpoints, tables and results: killed at random calls of fsync and rename."""
    short = {"epochs": 1, "batch_size": 8}
    assert zygote.run(flags("reference", **short)) == 0, zygote.output()
    reference = outcome(tmp_path / "reference")
    generator = random.Random(1)
    kills, finished, killed_in, wanted = 0, 0, set(), {"config", "fold_0", "last", "results"}
    while kills < N_KILLS or not wanted <= killed_in or (tmp_path / f"run_{finished}").exists():
        assert kills < 5 * N_KILLS, f"none of the kills was within a write of {wanted - killed_in}"
        folder = tmp_path / f"run_{finished}"
        resume = ["--resume"] if folder.exists() else []
        number = generator.randrange(1, 34) if kills else 1  # a fold has some 27 calls
        status = zygote.wait(zygote.start(flags(folder.name, *resume, **short), kill_at_write=number))
        if status == -signal.SIGKILL:
            kills += 1
            killed_in |= {path.name.split(".")[1] for path in folder.rglob("*.tmp")}
            continue
        assert status == 0, zygote.output()
        assert outcome(folder) == reference
        assert not list(folder.rglob("*.tmp"))
        finished += 1
    print(f"\n{kills} kills within a write of {sorted(killed_in)}, {finished} runs finished, all identical")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("moment", ["epoch 1 training", "val_preds"])
def test_asked_to_stop_it_saves_says_how_to_go_on_and_goes_on(zygote, flags, tmp_path, number, moment):
    assert zygote.run(flags("reference", "--folds", "0", epochs=2)) == 0
    pid = zygote.start(flags("stopped", "--folds", "0", epochs=2, num_workers=1))
    deadline = time.monotonic() + 60
    while moment not in zygote.output() and time.monotonic() < deadline:
        time.sleep(0.005)
    asked = time.monotonic()
    os.kill(pid, number)
    assert zygote.wait(pid) == 130, zygote.output()
    assert time.monotonic() - asked < 10
    last_line = zygote.output().strip().splitlines()[-1]
    assert "interrupted; continue with: python train_2d_cnn.py" in last_line and "--resume" in last_line
    assert zygote.run(flags("stopped", "--folds", "0", "--resume", epochs=2)) == 0, zygote.output()
    assert outcome(tmp_path / "stopped") == outcome(tmp_path / "reference")


def test_run_augmented_on_the_device_ends_the_same_stopped_or_not_with_any_workers(zygote, flags, tmp_path):
    """Effects in torch, shuffling and silence: all that was drawn travels with the batch."""
    on = {"epochs": 2, "p_aug": 0.75, "effects": "torch", "p_shuffle": 0.3, "p_silence": 0.3}
    assert zygote.run(flags("reference", "--folds", "0", **on)) == 0, zygote.output()
    pid = zygote.start(flags("stopped", "--folds", "0", num_workers=2, **on))
    deadline = time.monotonic() + 60
    while "epoch 1 training" not in zygote.output() and time.monotonic() < deadline:
        time.sleep(0.005)
    os.kill(pid, signal.SIGTERM)
    assert zygote.wait(pid) == 130, zygote.output()
    assert zygote.run(flags("stopped", "--folds", "0", "--resume", num_workers=1, **on)) == 0
    assert outcome(tmp_path / "stopped") == outcome(tmp_path / "reference")


def test_finished_fold_is_not_trained_again(zygote, flags, tmp_path):
    assert zygote.run(flags("runs", "--folds", "0", epochs=1)) == 0
    assert zygote.run(flags("runs", "--folds", "0", "--resume", epochs=1)) == 0
    assert "fold 0: finished before, nothing to do" in zygote.output()
    assert "epoch" not in zygote.output()


def test_processes_train_folds_of_one_experiment_at_the_same_time(zygote, flags, tmp_path):
    assert zygote.run(flags("reference", epochs=2)) == 0
    first = zygote.start(flags("runs", "--folds", "0", epochs=2))
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob("runs/*/config.json")) and time.monotonic() < deadline:
        time.sleep(0.005)
    second = zygote.start(flags("runs", "--folds", "1", "--resume", epochs=2))
    assert (zygote.wait(first), zygote.wait(second)) == (0, 0), zygote.output()
    assert outcome(tmp_path / "runs") == outcome(tmp_path / "reference")


def test_second_process_on_a_fold_says_so_and_stops(zygote, flags, tmp_path):
    first = zygote.start(flags("runs", "--folds", "0", epochs=200))
    deadline = time.monotonic() + 60
    while "epoch 0" not in zygote.output() and time.monotonic() < deadline:
        time.sleep(0.005)
    assert zygote.run(flags("runs", "--folds", "0", "--resume", epochs=200)) == 1
    assert "another process is training fold 0" in zygote.output()
    os.kill(first, signal.SIGKILL)
    zygote.wait(first)


def test_full_disk_gives_one_line_and_the_run_goes_on_with_more_room(zygote, flags, tmp_path, small_disk):
    assert zygote.run(flags("reference", "--folds", "0")) == 0
    needed = sum(f.stat().st_size for f in (tmp_path / "reference").rglob("*") if f.is_file()) // 1024
    disk = small_disk(int(0.7 * needed))
    changed = {"experiments_dir": disk}
    assert zygote.run(flags("", "--folds", "0", **changed)) == 1, zygote.output()
    errors = [line for line in re.split(r"[\r\n]", zygote.output()) if line.startswith("error:")]
    assert len(errors) == 1 and "No space left on device" in errors[0] and "--resume" in errors[0]
    assert "Traceback" not in zygote.output()
    assert not list(disk.rglob("*.tmp"))
    moved = tmp_path / "moved"
    shutil.copytree(disk, moved)
    assert zygote.run(flags("", "--folds", "0", "--resume", experiments_dir=moved)) == 0, zygote.output()
    assert outcome(moved) == outcome(tmp_path / "reference")


@pytest.mark.parametrize("part", ["train_df", "sample_submission"])
def test_a_table_that_changed_since_ends_a_resumed_run_in_one_line(toy, flags, tmp_path, part):
    """In one finished fold and one that is to come; restored, the run goes on."""
    name = {"train_df": "train_curated.csv", "sample_submission": "sample_submission.csv"}[part]
    table = tmp_path / name
    table.write_text((toy.folder / name).read_text())
    argv = flags("experiments", **{part: table, "epochs": 1})
    train_2d_cnn.main([*argv, "--folds", "0"])
    text = table.read_text()
    table.write_text("".join(text.splitlines(keepends=True)[:-1]))
    for folds in (["0"], ["1"]):
        with pytest.raises(DataError, match="clips or their labels have changed since .* began; restore"):
            train_2d_cnn.main([*argv, "--folds", *folds, "--resume"])
    table.write_text(text)
    train_2d_cnn.main([*argv, "--resume"])
    assert len(list((tmp_path / "experiments").glob("*/predictions/submission.csv"))) == 1


def test_a_finished_fold_without_its_last_state_only_predicts(toy, flags, tmp_path):
    """Its best model stays, byte by byte, though test clips came later."""
    plain = flags("experiments", epochs=1, test_data_dir=None, sample_submission=None)
    train_2d_cnn.main(plain)
    (experiment,) = (tmp_path / "experiments").iterdir()
    for path in experiment.glob("checkpoints/*/last.pth"):
        path.unlink()
    best = {path: path.read_bytes() for path in experiment.glob("checkpoints/*/best_model.pth")}
    results = (experiment / "results.json").read_text()
    train_2d_cnn.main([*flags("experiments", epochs=1), "--resume"])
    assert len(best) == 2 and all(path.read_bytes() == content for path, content in best.items())
    assert (experiment / "results.json").read_text() == results
    assert (experiment / "predictions/submission.csv").exists()


def test_a_test_clip_that_cannot_be_decoded_does_not_end_a_run(toy, flags, tmp_path, capsys):
    folder = tmp_path / "test"
    shutil.copytree(toy.folder / "test", folder)
    bad = sorted(folder.iterdir())[2]
    soundfile.write(bad, np.full(9000, np.nan, dtype=np.float32), 44100, subtype="FLOAT")
    train_2d_cnn.main(flags("experiments", epochs=1, test_data_dir=folder))
    out = capsys.readouterr().out
    assert "warning: 1 test clips cannot be read and get the mean of the others" in out and bad.name in out
    (path,) = (tmp_path / "experiments").glob("*/predictions/test_preds_fold_0.csv")
    found = pd.read_csv(path).set_index("fname")
    np.testing.assert_allclose(found.loc[bad.name], found.drop(bad.name).mean(), rtol=1e-6)
