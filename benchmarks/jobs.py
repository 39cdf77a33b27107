"""The jobs that are measured: for each, the plain way first, then ours.

A way is a setup: setup(device, clips) returns a function of the repeat's number that does the job once.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import torch
from augmentation import Epoch, augmented_training, effects
from comparison import Comparison, Job, Setup
from inputs import N_CLASSES, SharedClips, batch, network, predicting_network, training_step
from plain import pairwise_lsep, predict_fold_by_fold

from ops.losses import lsep_loss
from toolkit.clips.checks import probe_clips
from toolkit.clips.loading import Clip
from toolkit.system.runtime import Runtime
from toolkit.training.evaluation import Evaluator, portion_of

FOLDS_CLIPS = 224  # a fifth of 1,120
CORES = min(16, len(os.sched_getaffinity(0)))


def training(kind: str, depth: int = 50, n_clips: int = 8, **options: bool) -> Setup:
    """A training step on a batch that is there."""

    def setup(device: torch.device, _: SharedClips) -> Job:
        step = training_step(network(kind, depth, device, **options).train(), options.get("plain", False))
        signal, targets = batch(device, n_clips)
        return lambda _: step(signal, targets)

    return setup


def inference(kind: str, depth: int = 50, n_clips: int = 8, **options: bool) -> Setup:
    """Scores of a batch."""

    def setup(device: torch.device, _: SharedClips) -> Job:
        model = predicting_network(kind, depth, device, **options)
        signal, _ = batch(device, n_clips)

        @torch.inference_mode()
        def score(_: int) -> None:
            model(signal)

        return score

    return setup


def five_folds(depth: int, workers: int = 2, **options: bool) -> Setup:
    """Scores of five folds on a table of WAV files."""

    def setup(device: torch.device, clips: SharedClips) -> Job:
        names, folder = clips.names(FOLDS_CLIPS), clips.folder
        models = [predicting_network("2d", depth, device, **options) for _ in range(5)]

        def score(_: int) -> None:
            if options.get("plain"):
                predict_fold_by_fold(models, [str(folder / name) for name in names], 32, device)
            else:
                predict_table(models, names, folder, Runtime(device=device, num_workers=workers))

        return score

    return setup


def predict_table(models: list, names: list[str], folder: Path, runtime: Runtime) -> None:
    """What a prediction does with a table's clips, beside its files."""
    paths, lengths = probe_clips(names, str(folder), "table")
    clips = [Clip(*row) for row in zip(names, paths, lengths, strict=True)]
    loader = portion_of(clips, 32, runtime).loader
    Evaluator(models, N_CLASSES, runtime.device).score(loader, "benchmark")


def prediction(n_clips: int) -> Setup:
    """Scores of a small network on n_clips clips of up to a second: what grows is the table."""

    def setup(device: torch.device, clips: SharedClips) -> Job:
        names = clips.names(n_clips, max_seconds=1)
        models = [network("2d", 4, device).eval()]
        runtime = Runtime(device=device, num_workers=2)
        return lambda _: predict_table(models, names, clips.folder, runtime)

    return setup


def lsep(loss_fn: Callable, n_classes: int, n_clips: int = 64) -> Setup:
    """Forward and backward of the loss alone."""

    def setup(device: torch.device, _: SharedClips) -> Job:
        torch.manual_seed(0)
        logits = torch.randn(n_clips, n_classes, device=device, requires_grad=True)
        targets = torch.zeros(n_clips, n_classes, device=device)
        targets[torch.arange(n_clips), torch.randint(n_classes, (n_clips,))] = 1

        def job(_: int) -> None:
            loss_fn(logits, targets).backward()
            logits.grad = None

        return job

    return setup


def relabeling(mode: str, n_rows: int) -> Setup:
    """relabel_noisy_data.py, the whole process, on random tables."""

    def setup(device: torch.device, _: SharedClips) -> Job:
        from relabeling import SCRIPT, make_tables

        tables = tempfile.TemporaryDirectory(prefix="tables_")
        folder = Path(tables.name)
        noisy, predictions = make_tables(folder, n_rows, N_CLASSES)
        command = [sys.executable, str(SCRIPT), "--noisy_df", str(noisy), "--mode", mode]
        command += ["--noisy_predictions_df", str(predictions), "--output_df", str(folder / "out.csv")]

        def job(_: int) -> None:
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)

        job.tables, job.in_child = tables, True  # they go with the job
        return job

    return setup


# Options of the Runtime by way of a network.
NETWORK_WAYS: dict[str, dict[str, bool]] = {
    "plain": {"plain": True},
    "ours": {},
    "ours --amp": {"amp": True},
    "ours --graphs": {"graphs": True},
    "ours --amp --graphs": {"amp": True, "graphs": True},
    "ours --compile": {"compile": True},
    "ours --amp --compile": {"amp": True, "compile": True},
}


WAYS = [way for way in NETWORK_WAYS if "--graphs" not in way]  # graphs are of training, on a GPU
EAGER_WAYS = [way for way in WAYS if "--compile" not in way]


def _network_ways(job: Callable[..., Setup], *arguments, ways=WAYS, **more) -> dict[str, Setup]:
    return {way: job(*arguments, **more, **NETWORK_WAYS[way]) for way in ways}


def _epoch_ways(epoch: Epoch) -> dict[str, Setup]:
    """Plain is SoX in the workers."""
    return {
        way: augmented_training(epoch, "sox" if way == "plain" else "torch", **options)
        for way, options in NETWORK_WAYS.items()
    }


JOBS: dict[str, Comparison] = {
    "train_2d": Comparison(
        "2D training step, depth 50, 8 clips of 10 s",
        _network_ways(training, "2d"),
        {"ours": "x 1.60", "ours --amp": "x 2.50"},
        n_clips=8,
    ),
    "infer_2d": Comparison(
        "2D inference, depth 50, 8 clips of 10 s",
        _network_ways(inference, "2d"),
        {"ours": "x 1.60", "ours --amp": "x 3.00"},
        n_clips=8,
    ),
    "train_1d": Comparison(
        "1D training step, depth 50, 8 clips of 10 s", _network_ways(training, "1d"), n_clips=8
    ),
    "infer_1d": Comparison(
        "1D inference, depth 50, 8 clips of 10 s", _network_ways(inference, "1d"), n_clips=8
    ),
    "folds": Comparison(
        "5 folds, depth 16, 224 clips of 0.3 to 30 s from WAV",
        _network_ways(five_folds, 16, ways=EAGER_WAYS),
        {"ours": "x 4.00"},
        n_clips=FOLDS_CLIPS,
    ),
    "effects": Comparison(
        "effects chain, 16 clips of 10 s, one core; plain is SoX through a subprocess",
        {
            "plain": effects("sox", 16, 1),
            "ours one by one": effects("torch", 16, 1),
            "ours together": effects("torch", 16, 16),
        },
        {"ours one by one": "x 5.00", "ours together": "x 5.00"},
        n_clips=16,
    ),
    "lsep": Comparison(
        "LSEP forward and backward, 80 classes, 64 clips",
        {"plain": lsep(pairwise_lsep, 80), "ours": lsep(lsep_loss, 80)},
    ),
    "lsep_2000": Comparison(
        "LSEP forward and backward, 2,000 classes, 64 clips",
        {"plain": lsep(pairwise_lsep, 2000), "ours": lsep(lsep_loss, 2000)},
    ),
    "relabel": Comparison(
        "relabel_noisy_data.py, 19,815 x 80, whole process",
        {
            f"ours {mode}": relabeling(mode, 19_815)
            for mode in ("scoring_1000", "fullmatch_1.2", "relabelall-replacenan_1.2")
        },
    ),
}

# The most important first.
GPU_JOBS: dict[str, Comparison] = {
    "train_2d": Comparison(
        "2D training step, depth 100, 64 clips of 10 s; target 2,000 clips/s",
        _network_ways(training, "2d", 100, 64, ways=NETWORK_WAYS),
        {"ours": "x 3.00", "ours --amp": "x 5.00"},
        n_clips=64,
        counts_flops=True,
    ),
    "infer_2d": Comparison(
        "2D inference, depth 100, 64 clips of 10 s",
        _network_ways(inference, "2d", 100, 64),
        {"ours": "9 ms", "ours --amp": "5 ms"},
        n_clips=64,
        counts_flops=True,
    ),
    "train_augmented": Comparison(
        "an epoch of 2D training, depth 100, 512 WAV files, p_mixup 0.5, p_aug 0.75, 64 a batch; "
        "plain is SoX in the workers",
        _epoch_ways(Epoch(100, 512, 64, 10, CORES)),
        {"ours": "x 5.00", "ours --amp": "x 5.00"},
        n_clips=512,
    ),
    "train_small": Comparison(
        "an epoch of 2D training, depth 32, 160 WAV files of up to 5 s, p_mixup 0.5, p_aug 0.75, 16 a batch; "
        "plain is SoX in the workers",
        _epoch_ways(Epoch(32, 160, 16, 5, CORES)),
        n_clips=160,
    ),
    "folds": Comparison(
        "5 folds, depth 100, 224 clips of 0.3 to 30 s from WAV",
        _network_ways(five_folds, 100, ways=EAGER_WAYS, workers=CORES),
        {"ours": "800 ms", "ours --amp": "800 ms"},
        n_clips=FOLDS_CLIPS,
    ),
    "effects": Comparison(
        "effects chain, 64 clips of 10 s; plain is the training step, depth 100, --amp",
        {"plain": training("2d", 100, 64, amp=True), "ours": effects("torch", 64, 64)},
        {"ours": "x 10.00"},
        n_clips=64,
    ),
    "lsep_20000": Comparison(
        "LSEP forward and backward, 20,000 classes, 64 clips", {"ours": lsep(lsep_loss, 20_000)}
    ),
}

# Cost as the work grows: name -> (what grows, [(size, setup)]).
SCALING: dict[str, tuple[str, list[tuple[int, Callable]]]] = {
    "lsep": ("classes, 64 clips", [(n, lsep(lsep_loss, n)) for n in (80, 400, 2_000, 10_000, 20_000)]),
    "predict": (
        "clips of up to 1 s, depth 4",
        [(n, prediction(n)) for n in (100, 1_000, 10_000)],
    ),
    "relabel": (
        "rows x 80, scoring_1000, whole process",
        [(n, relabeling("scoring_1000", n)) for n in (20_000, 100_000, 1_000_000)],
    ),
}
