"""Setups of the jobs that augment, see jobs.py."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from inputs import SharedClips, batch, network, synchronize, training_step

from ops.batch_augmentation import to_device
from ops.effects.chain import apply_effects
from ops.effects.sox import missing_effects_engine
from ops.transforms import Augmentation, apply_sox, draw_effects
from toolkit.clips.loading import Segments, TrainingDataset, training_loader
from toolkit.system.runtime import Runtime

Job = Callable[[int], object]
ALWAYS_AUGMENTED = 10**6  # epochs


def require_engine(engine: str) -> None:
    missing = missing_effects_engine(engine)
    if missing:
        raise RuntimeError(missing)


def effects(engine: str, n_clips: int, batch_size: int):
    """Reverb, pitch, overdrive and tempo of n_clips clips of 10 s; on a CPU on one core of it."""

    def setup(device: torch.device, _: SharedClips) -> Job:
        require_engine(engine)
        if device.type == "cpu":
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


@dataclass(frozen=True)
class Epoch:
    """An epoch of 2D training over WAV files with MixUp and effects; clips are cut to max_seconds."""

    depth: int
    n_clips: int
    batch_size: int
    max_seconds: float = 10
    num_workers: int = 0


class AugmentedTraining:
    """Job: trains an epoch, reading and augmenting included."""

    def __init__(
        self, epoch: Epoch, engine: str, options: dict[str, bool], device: torch.device, clips: SharedClips
    ):
        require_engine(engine)
        augmentation = Augmentation(p_mixup=0.5, p_aug=0.75, effects=engine)
        dataset = TrainingDataset(
            clips.labelled(epoch.n_clips),
            Segments(epoch.max_seconds, 0, 0),
            augmentation,
            ALWAYS_AUGMENTED,
            augmentation.can_draw_ahead,
        )
        runtime = Runtime(device=device, num_workers=epoch.num_workers)
        self.loader, self.batches = training_loader(dataset, epoch.batch_size, runtime)
        model = network("2d", epoch.depth, device, **options).train()
        self.step, self.device = training_step(model, options.get("plain", False)), device

    def __call__(self, repeat: int) -> None:
        self.batches.set_epoch(repeat)
        for loaded in self.loader:
            moved = to_device(loaded, self.device)
            self.step(moved["signal"], moved["labels"], moved["lengths"])

    def parts(self, repeat: int) -> dict[str, float]:
        """Seconds of an epoch's parts, the device waited for after each; they overlap otherwise."""
        names = ("waiting for clips", "moving and augmenting", "training step")
        spent = dict.fromkeys(names, 0.0)

        def count(name: str, since: float) -> float:
            synchronize(self.device)
            now = time.perf_counter()
            spent[name] += now - since
            return now

        self.batches.set_epoch(repeat)
        moment = time.perf_counter()
        for loaded in self.loader:
            moment = count(names[0], moment)
            moved = to_device(loaded, self.device)
            moment = count(names[1], moment)
            self.step(moved["signal"], moved["labels"], moved["lengths"])
            moment = count(names[2], moment)
        return spent


def augmented_training(epoch: Epoch, engine: str, **options: bool):
    def setup(device: torch.device, clips: SharedClips) -> Job:
        return AugmentedTraining(epoch, engine, options, device, clips)

    return setup
