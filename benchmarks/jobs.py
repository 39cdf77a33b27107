"""The jobs that are measured: for each, the plain way first, then ours.

JOBS[name] = {way: setup}; setup(device) returns a function of the repeat's number that does the job
once. Whatever setup does is not timed.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import torch
from augmentation import augmented_training, effects
from inputs import N_CLASSES, batch, competition_clips, network, training_step
from plain import pairwise_lsep, predict_fold_by_fold

from networks.folding import fold_batch_norms
from ops.losses import lsep_loss
from toolkit.clips.checks import probe_clips
from toolkit.clips.loading import Clip
from toolkit.system.runtime import Runtime
from toolkit.training.evaluation import Evaluator, portion_of

Job = Callable[[int], object]
PARTS = 5  # of the table of FOLDS clips: each repeat predicts another one
FOLDS_CLIPS = 1120


def training(kind: str, depth: int = 50, n_clips: int = 8, **options):
    """A training step on a batch that is there."""

    def setup(device: torch.device) -> Job:
        step = training_step(network(kind, depth, device, **options).train(), options.get("plain", False))
        signal, targets = batch(device, n_clips)
        return lambda _: step(signal, targets)

    return setup


def inference(kind: str, depth: int = 50, n_clips: int = 8, **options):
    """Scores of a batch."""

    def setup(device: torch.device) -> Job:
        model = network(kind, depth, device, **options).eval()
        if not options.get("plain", False):
            fold_batch_norms(model)
        signal, _ = batch(device, n_clips)

        @torch.inference_mode()
        def score(_: int) -> None:
            model(signal)

        return score

    return setup


def five_folds(depth: int, plain: bool = False, amp: bool = False, workers: int = 2):
    """Scores of five folds on a table of WAV files, a fifth of the table a repeat."""

    def setup(device: torch.device) -> Job:
        folder = Path(tempfile.mkdtemp(prefix="clips_"))
        names = competition_clips(folder, FOLDS_CLIPS)
        models = [network("2d", depth, device, plain=plain, amp=amp).eval() for _ in range(5)]
        if not plain:
            for model in models:
                fold_batch_norms(model)

        def score(repeat: int) -> None:
            part = names[repeat % PARTS :: PARTS]
            if plain:
                predict_fold_by_fold(models, [str(folder / name) for name in part], 32, device)
                return
            paths, lengths = probe_clips(part, str(folder), "table")
            clips = [Clip(*row) for row in zip(part, paths, lengths, strict=True)]
            loader = portion_of(clips, 32, Runtime(device=device, num_workers=workers)).loader
            Evaluator(models, N_CLASSES, device).score(loader, "benchmark")

        score.folder = folder
        return score

    return setup


def prediction(n_clips: int):
    """Scores of a small network on n_clips clips of up to a second: what grows is the table."""

    def setup(device: torch.device) -> Job:
        folder = Path(tempfile.mkdtemp(prefix="clips_"))
        names = competition_clips(folder, n_clips, max_seconds=1)
        model = network("2d", 4, device).eval()

        def score(_: int) -> None:
            paths, lengths = probe_clips(names, str(folder), "table")
            clips = [Clip(*row) for row in zip(names, paths, lengths, strict=True)]
            loader = portion_of(clips, 32, Runtime(device=device, num_workers=2)).loader
            Evaluator([model], N_CLASSES, device).score(loader, "benchmark")

        score.folder = folder
        return score

    return setup


def lsep(loss_fn: Callable, n_classes: int, n_clips: int = 64):
    """Forward and backward of the loss alone."""

    def setup(device: torch.device) -> Job:
        torch.manual_seed(0)
        logits = torch.randn(n_clips, n_classes, device=device, requires_grad=True)
        targets = torch.zeros(n_clips, n_classes, device=device)
        targets[torch.arange(n_clips), torch.randint(n_classes, (n_clips,))] = 1

        def job(_: int) -> None:
            loss_fn(logits, targets).backward()
            logits.grad = None

        return job

    return setup


def relabeling(mode: str, n_rows: int):
    """relabel_noisy_data.py, the whole process, on random tables."""

    def setup(device: torch.device) -> Job:
        from relabeling import SCRIPT, make_tables

        folder = Path(tempfile.mkdtemp(prefix="tables_"))
        noisy, predictions = make_tables(folder, n_rows, N_CLASSES)
        command = [sys.executable, str(SCRIPT), "--noisy_df", str(noisy), "--mode", mode]
        command += ["--noisy_predictions_df", str(predictions), "--output_df", str(folder / "out.csv")]

        def job(_: int) -> None:
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)

        job.folder, job.in_child = folder, True
        return job

    return setup


def _network_ways(job: Callable, kind: str, **options) -> dict[str, Callable]:
    return {
        "plain": job(kind, plain=True, **options),
        "ours": job(kind, **options),
        "ours --compile": job(kind, compiled=True, **options),
        "ours --amp": job(kind, amp=True, **options),
        "ours --amp --compile": job(kind, amp=True, compiled=True, **options),
    }


# name: (what one job is, target ratios by way, ways)
JOBS: dict[str, tuple[str, dict[str, float], dict[str, Callable]]] = {
    "train_2d": (
        "2D training step, depth 50, 8 clips of 10 s",
        {"ours --compile": 1.25, "ours --amp": 2.0},
        _network_ways(training, "2d"),
    ),
    "infer_2d": (
        "2D inference, depth 50, 8 clips of 10 s",
        {"ours": 1.6, "ours --amp": 3.0},
        _network_ways(inference, "2d"),
    ),
    "train_1d": ("1D training step, depth 50, 8 clips of 10 s", {}, _network_ways(training, "1d")),
    "infer_1d": ("1D inference, depth 50, 8 clips of 10 s", {}, _network_ways(inference, "1d")),
    "folds": (
        "5 folds, depth 16, a fifth of 1,120 clips of 0.3 to 30 s from WAV",
        {"ours": 4.0},
        {
            "plain": five_folds(16, plain=True),
            "ours": five_folds(16),
            "ours --amp": five_folds(16, amp=True),
        },
    ),
    "effects": (
        "effects chain, 16 clips of 10 s, one core; plain is SoX through a subprocess",
        {"ours one by one": 5.0, "ours together": 5.0},
        {
            "plain": effects("sox", 16, 1),
            "ours one by one": effects("torch", 16, 1),
            "ours together": effects("torch", 16, 16),
        },
    ),
    "lsep": (
        "LSEP forward and backward, 80 classes, 64 clips",
        {},
        {"plain": lsep(pairwise_lsep, 80), "ours": lsep(lsep_loss, 80)},
    ),
    "lsep_2000": (
        "LSEP forward and backward, 2,000 classes, 64 clips",
        {},
        {"plain": lsep(pairwise_lsep, 2000), "ours": lsep(lsep_loss, 2000)},
    ),
    "relabel": (
        "relabel_noisy_data.py, 19,815 x 80, whole process",
        {},
        {
            f"ours {mode}": relabeling(mode, 19_815)
            for mode in ("scoring_1000", "fullmatch_1.2", "relabelall-replacenan_1.2")
        },
    ),
}

GPU_JOBS: dict[str, tuple[str, dict[str, float], dict[str, Callable]]] = {
    "train_2d": (
        "2D training step, depth 100, 64 clips of 10 s",
        {},
        _network_ways(training, "2d", depth=100, n_clips=64),
    ),
    "infer_2d": (
        "2D inference, depth 100, 64 clips of 10 s",
        {},
        _network_ways(inference, "2d", depth=100, n_clips=64),
    ),
    "folds": (
        "5 folds, depth 100, a fifth of 1,120 clips of 0.3 to 30 s from WAV",
        {},
        {
            "plain": five_folds(100, plain=True),
            "ours": five_folds(100, workers=14),
            "ours --amp": five_folds(100, amp=True, workers=14),
        },
    ),
    "effects": (
        "effects chain, 64 clips of 10 s; plain is the training step, depth 100, --amp",
        {"ours": 10.0},
        {
            "plain": training("2d", 100, 64, amp=True),
            "ours": effects("torch", 64, 64),
        },
    ),
    "train_augmented": (
        "2D training, depth 100, p_mixup 0.5, p_aug 0.75, an epoch of 512 WAV files in batches of 64",
        {"ours --amp": 5.0},
        {
            "plain": augmented_training(100, 512, 64, 16, "sox", plain=True),
            "ours": augmented_training(100, 512, 64, 16, "torch"),
            "ours --amp": augmented_training(100, 512, 64, 16, "torch", amp=True),
            "ours --amp --compile": augmented_training(100, 512, 64, 16, "torch", amp=True, compiled=True),
        },
    ),
    "lsep_20000": (
        "LSEP forward and backward, 20,000 classes, 64 clips",
        {},
        {"ours": lsep(lsep_loss, 20_000)},
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
