"""run_noisy_rounds.py in several processes: together they do what one does."""

import io
import os
import signal
import time
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from real_processes import Zygote, outcome_of_rounds, torchrun

ROUNDS = {"script": "run_noisy_rounds"}


@pytest.fixture
def flags(toy, rounds_flags):
    """flags(...) -> two rounds after round 0, of three folds: two processes share them unevenly."""

    def make(*extra: str) -> list[str]:
        test = {
            "sample_submission": toy.folder / "sample_submission.csv",
            "test_data_dir": toy.folder / "test",
        }
        extra = ("--warm_start", "--calibrate", "--blend_rounds=2", "--neighbours=3", *extra)
        return rounds_flags("rounds", ["soft_1", "consensus_9"], *extra, n_folds=3, **test)

    return make


@pytest.fixture(scope="module")
def kept() -> dict:
    """What one test leaves to the others."""
    return {}


@pytest.fixture
def expected(zygote, flags, kept, tmp_path_factory) -> dict[str, bytes]:
    """The outcome of one process."""
    if not kept:
        folder = tmp_path_factory.mktemp("one")
        assert zygote.run(flags(), cwd=str(folder), **ROUNDS) == 0, zygote.output()
        kept.update(outcome_of_rounds(folder / "rounds"))
        assert len(kept) == 3 + 2 * 2 + 2 + 3 * (3 + 3 + 1 + 1) + 2, sorted(kept)
    return kept


def wait_for(text: str, output: Callable[[], str]) -> None:
    deadline = time.monotonic() + 120
    while text not in output():
        assert time.monotonic() < deadline, output()
        time.sleep(0.002)


def test_folds_side_by_side_make_the_rounds_of_one_process(zygote, flags, expected, tmp_path):
    """The end of the last round waits for the last fold."""
    pids = zygote.start_ranks(flags("--parallel=folds"), cwd=str(tmp_path), **ROUNDS)
    wait_for("fold 1: ", lambda: zygote.output().partition("round 2: training")[2])
    os.kill(pids[1], signal.SIGSTOP)
    wait_for("fold 2: metric", lambda: zygote.output().partition("round 2: training")[2])
    time.sleep(0.3)
    os.kill(pids[1], signal.SIGCONT)
    assert [zygote.wait(pid) for pid in pids] == [0, 0], zygote.output()
    assert outcome_of_rounds(tmp_path / "rounds") == expected
    output = zygote.output()
    once = ("round 2: training", "round 1: predicting", "round 1: soft_1: kept", "submission.csv: test")
    assert [output.count(text) for text in (*once, "round  mode", "rounds.csv\n")] == [1] * 6, output
    assert output.count("2 processes share the folds") == 3 and output.count("epoch 0:") == 9


def test_stopped_and_killed_in_any_number_of_processes_they_end_like_rounds_of_one(
    zygote: Zygote, flags, expected, tmp_path
):
    argv, where = flags("--parallel=folds"), {"cwd": str(tmp_path), **ROUNDS}
    pids = zygote.start_ranks(argv, **where)
    wait_for("fold 1 epoch 0", zygote.output)
    os.kill(pids[1], signal.SIGTERM)
    assert [zygote.wait(pid) for pid in pids] == [130, 130], zygote.output()
    assert zygote.output().count("interrupted; continue with: torchrun --standalone --nproc_per_node=2") == 1
    pids = zygote.start_ranks(argv, **where)
    wait_for("round 2: training", zygote.output)
    os.kill(pids[1], signal.SIGKILL)
    assert [zygote.wait(pid) for pid in pids] == [1, -signal.SIGKILL], zygote.output()
    assert zygote.output().count("error:") == 1 and "a process of this run was lost" in zygote.output()
    assert outcome_of_rounds(tmp_path / "rounds") != expected
    assert zygote.run(argv, **where) == 0, zygote.output()
    assert outcome_of_rounds(tmp_path / "rounds") == expected
    assert not [path for path in tmp_path.rglob("*") if path.suffix in (".tmp", ".shards")]


def test_shared_batches_make_nearly_the_rounds_of_one_process(zygote, rounds_flags, tmp_path):
    """With fixed batch norms; everything is written once."""
    for name, run in (("one", zygote.run), ("two", zygote.run_ranks)):
        (tmp_path / name).mkdir()
        where = {"cwd": str(tmp_path / name), "trace": str(tmp_path / "trace"), **ROUNDS}
        assert run(rounds_flags("rounds", ["relabelall_2"]), **where) in (0, [0, 0]), zygote.output()
    assert zygote.output().count("2 processes share the batches") == 2
    assert zygote.output().count("epoch 0:") == 4 and zygote.output().count("round  mode") == 1
    one, two = (outcome_of_rounds(tmp_path / name / "rounds") for name in ("one", "two"))
    assert list(one) == list(two)
    assert two["tables/round_1.csv"] == one["tables/round_1.csv"]
    for path in (path for path in one if "predictions" in path):
        first, second = (pd.read_csv(io.BytesIO(run[path]), index_col="fname") for run in (one, two))
        pd.testing.assert_frame_equal(second, first, atol=1e-4, rtol=0)


@pytest.mark.gpu
def test_two_processes_make_the_rounds_on_one_gpu(rounds_flags, tmp_path):
    """Each trains a fold of its own, and both predict, with statistics that travel between them."""
    flags = ("--parallel=folds", "--adapt_batch_norm")
    argv = rounds_flags(tmp_path / "r", ["scoring_8"], *flags, device="cuda")
    run = torchrun("run_noisy_rounds.py", *argv)
    output, _ = run.communicate(timeout=300)
    assert run.returncode == 0, output
    assert output.count(", 2 processes share the folds") == 2
    assert pd.read_csv(tmp_path / "r/rounds.csv")["out_of_fold_lwlrap"].between(0, 1).tolist() == [True] * 2
    assert np.isfinite(pd.read_csv(tmp_path / "r/predictions/round_0.csv", index_col="fname")).all(axis=None)


def test_a_dry_run_and_an_error_are_told_once(zygote, flags, tmp_path):
    where = {"cwd": str(tmp_path), **ROUNDS}
    assert zygote.run_ranks(flags("--dry_run"), **where) == [0, 0], zygote.output()
    assert zygote.output().count("a dry run: nothing was trained or written") == 1
    assert not list(tmp_path.iterdir())
    (tmp_path / "rounds").mkdir()
    (tmp_path / "rounds/submission.csv").write_text("fname,Bark\n")
    assert zygote.run_ranks(flags(), **where) == [1, 1], zygote.output()
    assert zygote.output().count("error:") == 1 and "found rounds/submission.csv without" in zygote.output()
