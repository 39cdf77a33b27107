"""train_2d_cnn.py, killed: a run that goes on ends with the bytes of one that was never killed."""

import os
import random
import signal
import time

import pytest

from real_processes import outcome

N_KILLS = int(os.environ.get("KILLS", "20"))  # `make killtest` takes 100


@pytest.mark.slow
def test_runs_killed_at_random_moments_end_like_one_never_killed(zygote, full_flags, tmp_path):
    started = time.monotonic()
    assert zygote.run(full_flags("reference")) == 0, zygote.output()
    duration = time.monotonic() - started
    reference = outcome(tmp_path / "reference")
    assert len(reference) == 8  # two folds of val and test predictions and epochs, submission, results
    generator = random.Random(0)
    kills, finished = 0, 0
    while kills < N_KILLS or finished == 0:
        folder = f"run_{finished}"
        resume = ["--resume"] if (tmp_path / folder).exists() else []
        pid = zygote.start(full_flags(folder, *resume, num_workers=generator.choice([0, 2])))
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
def test_runs_killed_within_each_kind_of_write_end_like_one_never_killed(zygote, full_flags, tmp_path):
    """Config, command, checkpoints, tables and results: killed at random calls of fsync and rename."""
    short = {"epochs": 1, "batch_size": 8}
    assert zygote.run(full_flags("reference", **short)) == 0, zygote.output()
    reference = outcome(tmp_path / "reference")
    generator = random.Random(1)
    kills, finished, killed_in, wanted = 0, 0, set(), {"config", "fold_0", "last", "results"}
    while kills < N_KILLS or not wanted <= killed_in or (tmp_path / f"run_{finished}").exists():
        assert kills < 5 * N_KILLS, f"none of the kills was within a write of {wanted - killed_in}"
        folder = tmp_path / f"run_{finished}"
        resume = ["--resume"] if folder.exists() else []
        number = generator.randrange(1, 75) if kills else 1  # a fold has some 60 calls
        status = zygote.wait(zygote.start(full_flags(folder.name, *resume, **short), kill_at_write=number))
        if status == -signal.SIGKILL:
            kills += 1
            killed_in |= {path.name.lstrip(".").split(".")[0] for path in folder.rglob("*.tmp")}
            continue
        assert status == 0, zygote.output()
        assert outcome(folder) == reference
        assert not list(folder.rglob("*.tmp"))
        finished += 1
    print(f"\n{kills} kills within a write of {sorted(killed_in)}, {finished} runs finished, all identical")
