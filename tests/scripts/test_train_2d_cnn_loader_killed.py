"""train_2d_cnn.py, a loader process of it killed: one line, the state is saved, and it goes on from there."""

import os
import signal
import time
from pathlib import Path

import torch

from real_processes import outcome


def test_a_run_whose_loader_process_was_killed_goes_on_as_if_it_never_was(zygote, full_flags, tmp_path):
    assert zygote.run(full_flags("reference", "--folds", "0", epochs=8)) == 0, zygote.output()
    pid = zygote.start(full_flags("killed", "--folds", "0", epochs=8, num_workers=2))
    deadline = time.monotonic() + 60
    while "epoch 1 training" not in zygote.output() and time.monotonic() < deadline:
        time.sleep(0.005)
    workers = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    os.kill(int(workers[0]), signal.SIGKILL)
    assert zygote.wait(pid) == 1, zygote.output()
    assert "Traceback" not in zygote.output(), zygote.output()
    last_line = zygote.output().strip().splitlines()[-1]
    assert "a loader process was ended by the system" in last_line
    assert "continue with: python train_2d_cnn.py" in last_line and last_line.endswith("--resume")
    (last,) = tmp_path.glob("killed/*/checkpoints/fold_0/last.pth")
    progress = torch.load(last, weights_only=True)["progress"]
    saved = f"interrupted in epoch {progress['epoch']}, batch {progress['batch']}"
    assert saved in zygote.output(), "all that was done is saved"
    assert zygote.run(full_flags("killed", "--folds", "0", "--resume", epochs=8)) == 0, zygote.output()
    assert outcome(tmp_path / "killed") == outcome(tmp_path / "reference")
