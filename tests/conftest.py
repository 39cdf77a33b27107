"""A toy data set, made once a session by the project's own script, and flags of a tiny training run."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

import create_class_map
import create_demo_data
import download_data
import releases
from real_processes import Zygote
from repository import ROOT
from toolkit.clips.foreign_files import find_ffmpeg
from toolkit.download import http

pytest.register_assert_rewrite("any_text", "checkable_data", "command_lines")


if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # started in a shell's background: no test's process is
    signal.signal(signal.SIGINT, signal.default_int_handler)
torch.set_num_threads(1)  # tiny networks; more threads wait for each other on a busy machine


def pytest_collection_modifyitems(items):
    for item in items:
        if "gpu" in item.keywords and not torch.cuda.is_available():
            item.add_marker(pytest.mark.skip(reason="needs CUDA"))
        if "needs_sox" in item.keywords and shutil.which("sox") is None:
            item.add_marker(pytest.mark.skip(reason="needs the SoX binary: apt-get install sox"))
        if "needs_ffmpeg" in item.keywords and find_ffmpeg() is None:
            reason = "needs ffmpeg: apt-get install ffmpeg, or pip install imageio-ffmpeg"
            item.add_marker(pytest.mark.skip(reason=reason))
        if "needs_chromium" in item.keywords and not (
            shutil.which("chromium") and shutil.which("chromedriver")
        ):
            reason = "needs Chromium and its driver: apt-get install chromium chromium-driver"
            item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(scope="session")
def toy(tmp_path_factory):
    """Paths of a data set of 24 curated, 16 noisy and 8 test clips of 0.3 to 2 s in 8 classes."""
    folder = tmp_path_factory.mktemp("toy") / "data"
    sizes = ["--n_curated", "24", "--n_noisy", "16", "--n_test", "8", "--seed", "3"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(create_demo_data, "SECONDS", (0.3, 2.0))
        create_demo_data.main(["--output_dir", str(folder), *sizes])
    classmap = folder / "classmap.json"
    create_class_map.main(["--train_df", str(folder / "train_curated.csv"), "--output_file", str(classmap)])
    return SimpleNamespace(folder=folder, classmap=classmap)


@pytest.fixture
def training_flags(toy, tmp_path):
    """training_flags(epochs=2, ...) -> flags of a tiny run into tmp_path/experiments."""

    def flags(*extra: str, **changed: object) -> list[str]:
        values = {
            "train_df": toy.folder / "train_curated.csv",
            "train_data_dir": toy.folder / "train_curated",
            "classmap": toy.classmap,
            "features": "mel_512_512_16",
            "aggregation_type": "max",
            "optimizer": "adam",
            "scheduler": "1cycle_0.0001_0.01",
            "n_folds": 2,
            "epochs": 2,
            "batch_size": 4,
            "max_audio_length": 1,
            "num_conv_blocks": 2,
            "conv_base_depth": 4,
            "growth_rate": 1.5,
            "start_deep_supervision_on": 0,
            "num_workers": 0,
            "device": "cpu",
            "experiments_dir": tmp_path / "experiments",
            **changed,
        }
        pairs = [f"--{key}={value}" for key, value in values.items() if value is not None]
        return [*pairs, *(() if "--folds" in extra else ("--folds", "0", "1")), *extra]

    return flags


@pytest.fixture
def without_ffmpeg(monkeypatch):
    """As on a machine where ffmpeg is not installed."""
    monkeypatch.setenv("PATH", "")
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)


@pytest.fixture(scope="session")
def zygote(tmp_path_factory):
    """Starts training and prediction processes quickly, see support/real_processes.py."""
    zygote = Zygote(tmp_path_factory.mktemp("zygote") / "log")
    yield zygote
    zygote.stop()


@pytest.fixture
def run_script():
    """run_script("relabel_noisy_data.py", ...) -> the finished process, as a user would start it."""

    def run(script: str, *arguments: object, **options) -> subprocess.CompletedProcess:
        command = [sys.executable, str(ROOT / script), *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, timeout=300, **options)

    return run


@pytest.fixture
def only_experiment(tmp_path):
    """only_experiment() -> the one experiment directory under tmp_path/experiments."""

    def find() -> Path:
        (directory,) = (tmp_path / "experiments").iterdir()
        return directory

    return find


@pytest.fixture
def server():
    """A server of small releases: FSDKaggle2019's record, the archives of ESC-50 and FSDD."""
    with releases.Server({releases.ESC50: releases.esc50(), releases.FSDD: releases.fsdd()}) as running:
        running.serve_record(releases.fsdkaggle2019())
        yield running


@pytest.fixture
def get(server, tmp_path, monkeypatch):
    """get("esc50", ...) -> the exit code of a download into tmp_path/data, in small pieces, without waits."""
    monkeypatch.setattr(http, "BACKOFF", 0.001)
    monkeypatch.setattr(http, "CHUNK", 1000)

    def run(*argv: str) -> int:
        flags = ["--output_dir", str(tmp_path / "data"), "--base_url", server.url, "--retries", "2"]
        return download_data.main([*argv, *flags])

    return run


@pytest.fixture
def rounds_flags(toy, training_flags):
    """rounds_flags(rounds_dir, modes, ...) -> a tiny job of rounds."""

    def make(rounds_dir, modes: list[str], *extra: str, network: str = "2d", **changed) -> list[str]:
        values = {
            "experiments_dir": None,
            "noisy_train_df": toy.folder / "train_noisy.csv",
            "noisy_train_data_dir": toy.folder / "train_noisy",
            "epochs": 1,
            **changed,
        }
        rest = [flag for flag in training_flags("--folds", **values) if flag != "--folds"]
        return [*rest, "--rounds", *modes, f"--rounds_dir={rounds_dir}", f"--network={network}", *extra]

    return make
