"""run_noisy_rounds.py, killed at any moment, ends like rounds never killed."""

import os
import random
import signal
import time

import pytest

from real_processes import outcome_of_rounds


@pytest.mark.slow
def test_rounds_killed_at_any_moment_end_like_rounds_never_killed(zygote, rounds_flags, tmp_path):
    """At random times, and within random writes; warm start, history, weights and neighbours included."""
    argv = rounds_flags("rounds", ["soft_1", "consensus_9"], "--warm_start", "--share_last_rounds=1",
                 "--neighbours=3", holdout_size=0.2)  # fmt: skip
    started = time.monotonic()
    for name in ("reference", "killed"):
        (tmp_path / name).mkdir()
    reference = {"script": "run_noisy_rounds", "cwd": str(tmp_path / "reference")}
    assert zygote.run(argv, **reference) == 0, zygote.output()
    duration = time.monotonic() - started
    expected = outcome_of_rounds(tmp_path / "reference/rounds")
    assert len(expected) == 2 + 2 * 2 + 2 + 3 * 5 + 2
    where = {"script": "run_noisy_rounds", "cwd": str(tmp_path / "killed")}
    generator = random.Random(0)
    kills = 0
    for _ in range(200):
        at_write = kills % 2 == 1 and kills < 12
        pid = zygote.start(argv, kill_at_write=generator.randint(4, 40) if at_write else None, **where)
        if not at_write and kills < 12:
            time.sleep(generator.uniform(0.05, 0.35) * duration)
            os.kill(pid, signal.SIGKILL)
        status = zygote.wait(pid)
        if status == 0:
            break
        assert status == -signal.SIGKILL, zygote.output()
        kills += 1
    assert status == 0 and kills >= 4
    assert outcome_of_rounds(tmp_path / "killed/rounds") == expected
    assert not list((tmp_path / "killed").rglob("*.tmp"))
    # Once more: nothing is left to do, and nothing changes.
    assert zygote.run(argv, **where) == 0
    assert "epoch 0:" not in zygote.output() and outcome_of_rounds(tmp_path / "killed/rounds") == expected
