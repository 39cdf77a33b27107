"""Setups of the jobs that augment, see jobs.py."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from inputs import N_CLASSES, batch, competition_clips, network, training_step

from ops.batch_augmentation import to_device
from ops.effects.chain import apply_effects
from ops.transforms import Augmentation, apply_sox, draw_effects
from toolkit.clips.checks import probe_clips
from toolkit.clips.loading import Clip, Segments, TrainingDataset, training_loader
from toolkit.system.runtime import Runtime

Job = Callable[[int], object]


def effects(engine: str, n_clips: int, batch_size: int):
    """Reverb, pitch, overdrive and tempo of n_clips clips of 10 s, on one core of a CPU."""

    def setup(device: torch.device) -> Job:
        torch.set_num_threads(1)
        signal, _ = batch(device, n_clips)
        signal.clamp_(-1, 1)
        lengths = torch.full((n_clips,), signal.shape[1])

        def change(repeat: int) -> None:
            rng = np.random.default_rng(repeat)
            draws = [draw_effects(rng) for _ in range(n_clips)]
            if engine == "sox":
                for clip, draw in zip(signal, draws, strict=True):
                    apply_sox(clip.numpy(), draw)
                return
            for first in range(0, n_clips, batch_size):
                part = slice(first, first + batch_size)
                apply_effects(signal[part], lengths[part], draws[part])

        return change

    return setup


def augmented_training(depth: int, n_clips: int, batch_size: int, workers: int, engine: str, **options):
    """An epoch over n_clips WAV files with MixUp and effects, reading included."""

    def setup(device: torch.device) -> Job:
        folder = Path(tempfile.mkdtemp(prefix="clips_"))
        names = competition_clips(folder, n_clips)
        paths, lengths = probe_clips(names, str(folder), "table")
        labels = (np.random.default_rng(0).random((n_clips, N_CLASSES)) < 0.03).astype(np.float32)
        clips = [Clip(*row) for row in zip(names, paths, lengths, labels, strict=True)]
        augmentation = Augmentation(p_mixup=0.5, p_aug=0.75, effects=engine)
        on_device = augmentation.can_draw_ahead
        dataset = TrainingDataset(clips, Segments(10, 0, 0), augmentation, 10**6, on_device)
        loader, batches = training_loader(dataset, batch_size, Runtime(device=device, num_workers=workers))
        step = training_step(network("2d", depth, device, **options).train(), options.get("plain", False))

        def epoch(repeat: int) -> None:
            batches.set_epoch(repeat)
            for loaded in loader:
                moved = to_device(loaded, device)
                step(moved["signal"], moved["labels"], moved["lengths"])

        epoch.folder = folder
        return epoch

    return setup
