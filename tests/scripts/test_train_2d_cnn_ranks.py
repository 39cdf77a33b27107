"""Several processes: what they share, and that together they do what one does."""

import json
import os
import signal
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from ops.batching import TrainingBatches, share_of
from ops.errors import DataError
from real_processes import environments, on_two_ranks, outcome
from toolkit.cli import training_flags
from toolkit.prediction import shards
from toolkit.runs.experiment import Experiment
from toolkit.system import processes

REPOSITORY = Path(__file__).resolve().parents[2]
CPU = torch.device("cpu")


@pytest.fixture
def flags(training_flags, tmp_path):
    """flags(folder, ...) -> a short run of one fold into tmp_path/folder, with dropout and MixUp."""

    def make(folder: str, *extra: str, **changed) -> list[str]:
        values = {"batch_size": 5, "accumulation_steps": 2, "p_mixup": 0.5, "log_interval": 1, **changed}
        folds = () if "--folds" in extra else ("--folds", "0")
        return training_flags(*folds, *extra, experiments_dir=tmp_path / folder, **values)

    return make


def torchrun(script: str, *arguments: object, flags: tuple[str, ...] = ()) -> subprocess.Popen:
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node=2", "--standalone", *flags]
    return subprocess.Popen(
        [*command, str(REPOSITORY / script), *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def test_alone_nothing_is_shared_and_nothing_is_started(monkeypatch):
    assert processes.launch() is None
    with processes.joined(CPU):
        assert not torch.distributed.is_initialized()
        assert (processes.rank(), processes.world_size(), processes.is_main()) == (0, 1, True)
        assert processes.gather("x") == ["x"]
        assert processes.from_main(lambda: 3) == 3
        assert processes.any_rank(True) and not processes.any_rank(False)
    for name, value in environments()[0].items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("WORLD_SIZE", "1")  # torchrun with one process
    with processes.joined(CPU):
        assert not torch.distributed.is_initialized()


@pytest.mark.parametrize("n, n_ranks", [(0, 2), (1, 2), (5, 2), (7, 3), (8, 4), (3, 5)])
def test_shares_cover_everything_once_and_differ_by_one_at_most(n, n_ranks):
    parts = [list(range(n))[share_of(n, rank, n_ranks)] for rank in range(n_ranks)]
    assert [item for part in parts for item in part] == list(range(n))
    sizes = [len(part) for part in parts]
    assert max(sizes) - min(sizes) <= 1 and sizes == sorted(sizes, reverse=True)


def test_ranks_share_each_batch_of_a_single_process():
    whole = TrainingBatches(11, 4, seed=1, fold=0)
    ranks = [TrainingBatches(11, 4, 1, 0, rank, 2) for rank in range(2)]
    for number, (all_keys, *parts) in enumerate(zip(whole, *ranks, strict=True)):
        assert parts[0] + parts[1] == all_keys
        assert ranks[0].size(number) == len(all_keys)


def test_values_go_around():
    def work(rank):
        with processes.joined(CPU):
            return [
                processes.gather(rank * 10),
                processes.from_main(lambda: f"of {rank}"),
                processes.any_rank(rank == 1),
                processes.total(np.array([rank, 2.0])).tolist(),
                sorted(processes.gather([processes.take_number("x") for _ in range(2)])),
                processes.is_first_to_say("hello"),
            ]

    first, second = on_two_ranks(work)
    assert first[:4] == second[:4] == [[0, 10], "of 0", True, [1.0, 4.0]]
    assert sorted(number for numbers in first[4] for number in numbers) == [0, 1, 2, 3]
    assert {first[5], second[5]} == {True, False}


@pytest.mark.parametrize("culprit", [0, 1])
def test_an_error_of_one_process_ends_all_with_that_error(culprit):
    def work(rank):
        with processes.joined(CPU):
            if rank == culprit:
                raise DataError("x.wav: broken")
            processes.gather(None)

    assert [str(error) for error in on_two_ranks(work)] == ["x.wav: broken"] * 2


def test_an_error_on_rank_0_reaches_those_that_wait_for_its_answer():
    def fail():
        raise DataError("disk full")

    def work(_):
        with processes.joined(CPU):
            processes.from_main(fail)

    assert [str(error) for error in on_two_ranks(work)] == ["disk full"] * 2


def test_a_process_that_gives_no_sign_of_life_ends_the_others_in_time():
    def work(rank):
        with processes.joined(CPU, timedelta(seconds=1)):
            if rank == 1:
                time.sleep(4)
                return None
            processes.gather(None)

    started = time.monotonic()
    error, _ = on_two_ranks(work)
    assert isinstance(error, DataError) and "a process of this run was lost" in str(error)
    assert time.monotonic() - started < 15


def test_processes_that_do_not_find_each_other_say_so(monkeypatch):
    for name, value in environments()[0].items():
        monkeypatch.setenv(name, value)
    with pytest.raises(DataError, match="2 processes of this run did not find each other at 127.0.0.1:"):
        with processes.joined(CPU, timedelta(seconds=1)):
            pass
    assert processes.world_size() == 1


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
    assert output.count("error: a process of this run was lost") == 1 and "--resume" in output
    assert "fold 0: resumed at epoch" in output
    assert outcome(tmp_path / "killed") == outcome(tmp_path / "reference")


def rank_of(agent: int, rank: int) -> int:
    """The process of a rank among torchrun's children."""
    for child in Path(f"/proc/{agent}/task/{agent}/children").read_text().split():
        if f"RANK={rank}" in Path(f"/proc/{child}/environ").read_text().split("\0"):
            return int(child)
    raise AssertionError("no such process")


@pytest.fixture(scope="module")
def experiment(toy, zygote, tmp_path_factory):
    """An experiment of one fold of two."""
    folder = tmp_path_factory.mktemp("experiments")
    flags = {
        "train_df": toy.folder / "train_curated.csv",
        "train_data_dir": toy.folder / "train_curated",
        "classmap": toy.classmap,
        "features": "mel_512_512_16",
        "aggregation_type": "max",
        "optimizer": "adam",
        "n_folds": 2,
        "folds": 0,
        "epochs": 1,
        "num_conv_blocks": 2,
        "conv_base_depth": 4,
        "start_deep_supervision_on": 0,
        "device": "cpu",
        "num_workers": 0,
        "experiments_dir": folder,
    }
    assert zygote.run([f"--{key}={value}" for key, value in flags.items()]) == 0, zygote.output()
    return next(folder.iterdir())


@pytest.fixture
def prediction_flags(toy, tmp_path, experiment):
    """flags(output, ...) of the prediction of 17 noisy clips, one of which cannot be read."""
    table = pd.read_csv(toy.folder / "train_noisy.csv")
    pd.concat([table, pd.DataFrame({"fname": ["missing.wav"]})]).to_csv(tmp_path / "table.csv", index=False)

    def make(output: str, *extra: str) -> list[str]:
        return [
            *(f"--experiment={experiment}", f"--output_df={tmp_path / output}", "--device=cpu"),
            *(f"--test_df={tmp_path / 'table.csv'}", f"--test_data_dir={toy.folder / 'train_noisy'}"),
            *(f"--classmap={toy.classmap}", "--num_workers=0", "--batch_size=1", *extra),
        ]

    return make


def test_torchrun_predicts_what_one_process_predicts(zygote, prediction_flags, tmp_path):
    assert zygote.run(prediction_flags("one.csv"), script="predict_2d_cnn") == 3, zygote.output()
    run = torchrun("predict_2d_cnn.py", *prediction_flags("two.csv"))
    output, _ = run.communicate(timeout=120)
    assert run.returncode == 0, output
    for end in ("", ".bad_clips.csv"):
        assert (tmp_path / f"two.csv{end}").read_bytes() == (tmp_path / f"one.csv{end}").read_bytes()
    assert (
        output.count("17 clips, 1 networks") == 1 and output.count("could not be read; their rows hold") == 1
    )
    assert not list(tmp_path.glob("*.shards"))


@pytest.mark.parametrize("n_processes", [1, 2])
def test_killed_prediction_does_not_repeat_finished_shards(zygote, prediction_flags, tmp_path, n_processes):
    assert zygote.run(prediction_flags("whole.csv"), script="predict_2d_cnn") == 3
    pids = zygote.start_ranks(prediction_flags("out.csv"), script="predict_2d_cnn", kill_at_write=4)
    statuses = [zygote.wait(pid) for pid in pids]
    assert -signal.SIGKILL in statuses and 0 not in statuses
    shards = sorted(tmp_path.glob("out.csv.shards/shard_*.npz"))
    assert shards and not (tmp_path / "out.csv").exists()
    # A finished shard is taken as it is: what a test writes into it comes out.
    content = dict(np.load(shards[0]))
    content["logits"] = np.zeros_like(content["logits"])
    np.savez(shards[0], **content)
    again = prediction_flags("out.csv")
    run, done = (zygote.run, 3) if n_processes == 1 else (zygote.run_ranks, [0, 0])
    assert run(again, script="predict_2d_cnn") == done, zygote.output()
    assert f"{len(shards)} of " in zygote.output() and "shards were done before" in zygote.output()
    found, expected = (pd.read_csv(tmp_path / name) for name in ("out.csv", "whole.csv"))
    classes = [name for name in found.columns if name != "fname"]
    changed = (found[classes] == 0.5).all(axis=1)
    good = ~changed & (found["fname"] != "missing.wav")
    assert list(found["fname"]) == list(expected["fname"])
    assert changed.sum() == len(content["rows"]) > 0
    pd.testing.assert_frame_equal(found[good], expected[good])
    assert not list(tmp_path.glob("*.shards"))


def test_shards_of_another_prediction_are_refused(zygote, prediction_flags, tmp_path):
    folder = shards.shards_folder(tmp_path / "out.csv")
    folder.mkdir()
    (folder / "plan.json").write_text('{"clips": "others"}\n')
    assert zygote.run_ranks(prediction_flags("out.csv"), script="predict_2d_cnn") == [1, 1]
    assert zygote.output().count("holds shards of a prediction of other clips, networks or flags") == 1
    (folder / "plan.json").rename(folder / "thesis.txt")
    assert zygote.run_ranks(prediction_flags("out.csv"), script="predict_2d_cnn") == [1, 1]
    assert zygote.output().count("expected shards of a prediction, found something else") == 1
    assert (folder / "thesis.txt").exists()


def test_one_line_for_an_error_that_all_processes_make(zygote, flags, capsys):
    assert zygote.run_ranks(flags("x", train_df="missing.csv")) == [1, 1]
    assert zygote.output().count("error:") == 1 and "missing.csv" in zygote.output()
    assert zygote.run_ranks(flags("x", "--p_mixup=2")) == [2, 2]
    assert zygote.output().count("error:") == 1
    assert zygote.run_ranks(flags("x", batch_size=1)) == [2, 2]
    assert "expected at least a clip for each of the 2 processes" in zygote.output()


def test_each_process_takes_its_own_gpu(monkeypatch):
    class Parser:
        def error(self, message):
            raise SystemExit(message)

    for name, value in environments()[1].items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch, "empty", lambda *_, **__: None)
    assert training_flags.resolve_device(Parser(), "cuda") == torch.device("cuda:1")
    assert training_flags.resolve_device(Parser(), "cpu") == CPU
    with pytest.raises(SystemExit, match="a GPU for each of the 2 processes"):
        training_flags.resolve_device(Parser(), "cuda:0")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(SystemExit, match="lower --nproc_per_node"):
        training_flags.resolve_device(Parser(), "cuda")


def test_only_a_restart_of_the_launch_that_started_it_resumes_unasked(monkeypatch, tmp_path):
    config = {"network": {}, "data": {}, "train": {}, "label": "x"}

    def start(run_id: str, restarts: int) -> None:
        for name, value in environments()[0].items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("TORCHELASTIC_RUN_ID", run_id)
        monkeypatch.setenv("TORCHELASTIC_RESTART_COUNT", str(restarts))
        Experiment.check_startable(config, tmp_path, resume=False)
        Experiment.start(config, tmp_path, ["x"], resume=False)

    start("a", 0)
    start("a", 1)
    for run_id, restarts in (("a", 0), ("b", 1)):
        with pytest.raises(DataError, match="--resume"):
            start(run_id, restarts)
