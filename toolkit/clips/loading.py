"""Clips of a table -> samples -> batches: what training reads and what evaluation reads."""

from __future__ import annotations

import hashlib
import os
import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from ops.batching import TrainingBatches, batches_by_length, collate_draws, pad_collate
from ops.errors import DataError
from ops.samples import AugmentationDraw, Sample
from ops.sampling import SAMPLE_RATE
from ops.transforms import Augmentation
from toolkit.clips.sound_files import read_audio
from toolkit.system import processes

# More workers than cores is the user's choice.
warnings.filterwarnings("ignore", message="This DataLoader will create")


@dataclass(frozen=True)
class Clip:
    """One row of a table: its file, labels (classes,) or None, and length in samples at 44,100 Hz.

    weight: of the clip's loss in training, from 0 to 1. With `start` it is a window of the file: n_samples
    samples from `start` on.
    """

    fname: str
    path: Path
    n_samples: int
    labels: np.ndarray | None = None
    is_noisy: bool = False
    weight: float = 1.0
    start: int | None = None

    def read(self) -> np.ndarray:
        """(samples,) float32: all of it. Raises DataError where it cannot be read."""
        if self.start is None:
            return read_audio(self.path)
        return read_audio(self.path, self.start, self.n_samples)


class TrainingDataset(Dataset):
    """dataset[epoch, index] -> (index, Sample): a random segment, augmented until switch_off_on.

    Every draw is a function of (seed, fold, epoch, clip), so worker counts, order and resuming do not
    change a sample. Only the segment is read from disk. A clip that cannot be read gives its DataError
    in place of the sample. With on_device the sample comes with its draw in place of the augmentation,
    for ops.batch_augmentation to carry out.
    """

    def __init__(
        self,
        clips: Sequence[Clip],
        augmentation: Augmentation,
        switch_off_on: int,
        max_seconds: float,
        seed: int,
        fold: int,
        on_device: bool = False,
    ):
        self.clips = list(clips)
        self.augmentation, self.switch_off_on, self.on_device = augmentation, switch_off_on, on_device
        self.max_samples = max(1, int(max_seconds * SAMPLE_RATE))
        self.seed, self.fold = seed, fold

    def __len__(self) -> int:
        return len(self.clips)

    def __getitem__(self, key: tuple[int, int]) -> tuple[int, Sample | DataError]:
        epoch, index = key
        clip = self.clips[index]
        rng = np.random.default_rng([self.seed, self.fold, epoch, *_clip_seed(clip)])
        try:
            sample = self._read_segment(clip, rng)
            if epoch < self.switch_off_on:
                augment = self.augmentation.draw if self.on_device else self.augmentation
                sample = augment(sample, rng, self._draw_partner)
            elif self.on_device:
                sample = replace(sample, draw=AugmentationDraw())
        except DataError as error:
            return index, error
        return index, sample

    def _draw_partner(self, rng: np.random.Generator) -> Sample:
        return self._read_segment(self.clips[int(rng.integers(len(self.clips)))], rng)

    def _read_segment(self, clip: Clip, rng: np.random.Generator) -> Sample:
        start = int(rng.integers(max(0, clip.n_samples - self.max_samples) + 1))
        audio = read_audio(clip.path, start, self.max_samples)
        return Sample(audio, clip.labels, clip.fname, clip.is_noisy, clip.weight)


class EvaluationDataset(Dataset):
    """dataset[index] -> (index, Sample) at full length, or (index, DataError)."""

    def __init__(self, clips: Sequence[Clip]):
        self.clips = list(clips)

    def __len__(self) -> int:
        return len(self.clips)

    def __getitem__(self, index: int) -> tuple[int, Sample | DataError]:
        clip = self.clips[index]
        try:
            return index, Sample(clip.read(), clip.labels, clip.fname, clip.is_noisy)
        except DataError as error:
            return index, error


def training_loader(
    dataset: TrainingDataset, batch_size: int, num_workers: int, pin_memory: bool
) -> tuple[DataLoader, TrainingBatches]:
    """The loader of shuffled, augmented segments and the batches that set_epoch goes to.

    batch_size counts the clips of all processes; the loader gives this process's.
    """
    share = processes.rank(), processes.world_size()
    batches = TrainingBatches(len(dataset), batch_size, dataset.seed, dataset.fold, *share)
    collate = collate_draws if dataset.on_device else pad_collate
    return make_loader(dataset, batches, num_workers, pin_memory, True, collate), batches


def evaluation_loader(
    clips: Sequence[Clip],
    batch_size: int,
    num_workers: int,
    pin_memory: bool,
    batches: list[list[int]] | None = None,
    persistent: bool = False,
) -> DataLoader:
    """The loader of whole clips without augmentation, clips of similar length together.

    batches: which clips share a batch, where that is not for the lengths to say.
    """
    if batches is None:
        batches = batches_by_length([clip.n_samples for clip in clips], batch_size)
    return make_loader(EvaluationDataset(clips), batches, num_workers, pin_memory, persistent)


def make_loader(
    dataset: Dataset,
    batches: Iterable[list],
    num_workers: int,
    pin_memory: bool,
    persistent: bool = False,
    collate: Callable[[list], dict] = pad_collate,
) -> DataLoader:
    """The loader of these batches of the data set's keys; persistent workers stay for the next pass."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="This DataLoader will create")  # the user's choice
        return DataLoader(
            dataset,
            batch_sampler=batches,
            num_workers=num_workers,
            collate_fn=collate,
            pin_memory=pin_memory,
            worker_init_fn=_leave_process_group,
            # Its own: an iterator draws a seed when it is made, with persistent workers once a run and
            # not once an epoch, and from torch's generator that would shift the dropout draws.
            generator=torch.Generator(),
            persistent_workers=persistent and num_workers > 0,
        )


def _leave_process_group(worker: int) -> None:
    """Ctrl-C and `kill -- -<group>` reach the main process alone, which then ends its workers."""
    os.setpgrp()


def _clip_seed(clip: Clip) -> tuple[int, int]:
    """Numbers that name a clip whatever its position; curated and noisy clips may share an fname."""
    digest = hashlib.blake2b(clip.fname.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little"), int(clip.is_noisy)
