"""train_2d_cnn.py, asked to stop: it saves, says how to go on, and ends as if never stopped."""

import os
import signal
import time

import pytest
import torch

import train_2d_cnn
from real_processes import outcome
from toolkit.system import interruption
from toolkit.system.interruption import Interrupted
from toolkit.training import fold


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("moment", ["epoch 1 training", "val_preds"])
def test_asked_to_stop_it_saves_says_how_to_go_on_and_goes_on(zygote, full_flags, tmp_path, number, moment):
    assert zygote.run(full_flags("reference", "--folds", "0", epochs=2)) == 0
    pid = zygote.start(full_flags("stopped", "--folds", "0", epochs=2, num_workers=1))
    deadline = time.monotonic() + 60
    while moment not in zygote.output() and time.monotonic() < deadline:
        time.sleep(0.005)
    asked = time.monotonic()
    os.kill(pid, number)
    assert zygote.wait(pid) == 130, zygote.output()
    assert time.monotonic() - asked < 10
    last_line = zygote.output().strip().splitlines()[-1]
    assert "interrupted; continue with: python train_2d_cnn.py" in last_line and "--resume" in last_line
    assert zygote.run(full_flags("stopped", "--folds", "0", "--resume", epochs=2)) == 0, zygote.output()
    assert outcome(tmp_path / "stopped") == outcome(tmp_path / "reference")


def test_run_augmented_on_the_device_ends_the_same_stopped_or_not_with_any_workers(
    zygote, full_flags, tmp_path
):
    """Effects in torch, shuffling and silence: all that was drawn travels with the batch."""
    on = {
        "epochs": 2,
        "p_aug": 0.75,
        "effects": "torch",
        "p_shuffle": 0.3,
        "p_silence": 0.3,
        "p_spec_augment": 0.5,
    }
    assert zygote.run(full_flags("reference", "--folds", "0", **on)) == 0, zygote.output()
    pid = zygote.start(full_flags("stopped", "--folds", "0", num_workers=2, **on))
    deadline = time.monotonic() + 60
    while "epoch 1 training" not in zygote.output() and time.monotonic() < deadline:
        time.sleep(0.005)
    os.kill(pid, signal.SIGTERM)
    assert zygote.wait(pid) == 130, zygote.output()
    assert zygote.run(full_flags("stopped", "--folds", "0", "--resume", num_workers=1, **on)) == 0
    assert outcome(tmp_path / "stopped") == outcome(tmp_path / "reference")


@pytest.mark.parametrize("step", ["refresh_head", "validation_metrics"])
@pytest.mark.parametrize("is_forced", [False, True])
def test_stopped_between_the_training_and_the_end_of_an_epoch_nothing_is_lost(
    full_flags, tmp_path, monkeypatch, step, is_forced
):
    """At the next batch, or where that is long in coming, when the time of grace is over."""
    train_2d_cnn.main(full_flags("reference", "--folds", "0", epochs=2))
    function = getattr(fold, step)

    def ask_first(*arguments):
        monkeypatch.setattr(fold, step, function)
        os.kill(os.getpid(), signal.SIGTERM)
        if is_forced:
            time.sleep(10)
        return function(*arguments)

    monkeypatch.setattr(fold, step, ask_first)
    monkeypatch.setattr(interruption, "GRACE_SECONDS", 1)
    with pytest.raises(Interrupted):
        train_2d_cnn.main(full_flags("stopped", "--folds", "0", epochs=2))
    (last,) = tmp_path.glob("stopped/*/checkpoints/fold_0/last.pth")
    progress = torch.load(last, weights_only=True)["progress"]
    if (step, is_forced) != ("validation_metrics", False):  # there is no batch left to look before
        assert (progress["epoch"], progress["batch"]) == (0, 6)
    train_2d_cnn.main(full_flags("stopped", "--folds", "0", "--resume", epochs=2))
    assert outcome(tmp_path / "stopped") == outcome(tmp_path / "reference")
