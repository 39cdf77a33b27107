"""Clips -> samples -> batches: what training reads and what evaluation reads."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from ops.batching import TrainingBatches, collate_draws, pad_collate
from ops.errors import DataError, raise_lack
from ops.samples import AugmentationDraw, Sample
from ops.sampling import SAMPLE_RATE
from toolkit.clips.foreign_files import FOREIGN_SUFFIXES
from toolkit.clips.loader_processes import BatchLoader, prepare_loader_process
from toolkit.clips.sound_files import read_audio
from toolkit.system import console, processes
from toolkit.system.runtime import Runtime

WINDOW_SECONDS = 30  # as long as the longest clips of FSDKaggle2019
MAX_WHOLE_SECONDS = 300  # of a clip whose windows nobody asked for; about what a batch of 32 clips holds
ReadAudio = Callable[..., np.ndarray]  # with the arguments of read_audio
# More workers than cores is the user's choice.
warnings.filterwarnings("ignore", message="This DataLoader will create")


@dataclass(frozen=True)
class Clip:
    """One row of a table: its file, labels (classes,) or None, and length in samples at 44,100 Hz.

    Attributes:
        weight: of the clip's loss in training, from 0 to 1.
        start: with it the clip is a window of the file: n_samples samples from `start` on.
        group: what the table says that it belongs to; "" where nothing.
        sound: digest of its sound, see toolkit.clips.identity; "" where there is none.
        unit: the same for clips that must stay on one side of a fold; "" for a clip that is alone.
    """

    fname: str
    path: Path
    n_samples: int
    labels: np.ndarray | None = None
    is_noisy: bool = False
    weight: float = 1.0
    start: int | None = None
    group: str = ""
    sound: str = ""
    unit: str = ""

    def read(self, read_audio: ReadAudio = read_audio) -> np.ndarray:
        """(samples,) float32: all of it. Raises DataError where it cannot be read."""
        if self.start is None:
            return read_audio(self.path)
        return read_audio(self.path, self.start, self.n_samples)


@dataclass(frozen=True)
class Segments:
    """How training reads clips: segments of at most max_seconds, drawn by (seed, fold, epoch, clip)."""

    max_seconds: float
    seed: int
    fold: int

    @property
    def max_samples(self) -> int:
        return max(1, int(self.max_seconds * SAMPLE_RATE))


class TrainingDataset(Dataset):
    """dataset[epoch, index] -> (index, Sample): a random segment, augmented until switch_off_on.

    Every draw is a function of (seed, fold, epoch, clip), so worker counts, order and resuming do not
    change a sample. Only the segment is read from disk. A clip that cannot be read gives its DataError
    in place of the sample. With on_device the sample comes with a draw in place of the augmentation,
    for ops.batch_augmentation to carry out. read_audio, an attribute, is what reads: make_loader sets it.

    Args:
        augmentation: see ops.transforms.Augmentation; None: segments as they are.
    """

    def __init__(
        self,
        clips: Sequence[Clip],
        segments: Segments,
        augmentation: Any = None,
        switch_off_on: int = 0,
        on_device: bool = False,
    ):
        self.clips, self.segments = list(clips), segments
        self.augmentation, self.switch_off_on, self.on_device = augmentation, switch_off_on, on_device
        self.read_audio: ReadAudio = read_audio

    def __len__(self) -> int:
        return len(self.clips)

    def __getitem__(self, key: tuple[int, int]) -> tuple[int, Sample | DataError]:
        epoch, index = key
        clip = self.clips[index]
        rng = np.random.default_rng([self.segments.seed, self.segments.fold, epoch, *_clip_seed(clip)])
        try:
            sample = self._read_segment(clip, rng)
            if epoch < self.switch_off_on:
                augment = self.augmentation.draw if self.on_device else self.augmentation
                sample = augment(sample, rng, self._draw_partner)
            elif self.on_device:
                sample = replace(sample, draw=AugmentationDraw())
        except DataError as error:
            raise_lack(error)
            return index, error
        return index, sample

    def _draw_partner(self, rng: np.random.Generator) -> Sample:
        return self._read_segment(self.clips[int(rng.integers(len(self.clips)))], rng)

    def _read_segment(self, clip: Clip, rng: np.random.Generator) -> Sample:
        max_samples = self.segments.max_samples
        start = int(rng.integers(max(0, clip.n_samples - max_samples) + 1))
        audio = self.read_audio(clip.path, start, max_samples)
        return Sample(audio, clip.labels, clip.fname, clip.is_noisy, clip.weight)


class EvaluationDataset(Dataset):
    """dataset[index] -> (index, Sample) at full length, or (index, DataError).

    read_audio, an attribute, is what reads: make_loader sets it.
    """

    def __init__(self, clips: Sequence[Clip]):
        self.clips = list(clips)
        self.read_audio: ReadAudio = read_audio

    def __len__(self) -> int:
        return len(self.clips)

    def __getitem__(self, index: int) -> tuple[int, Sample | DataError]:
        clip = self.clips[index]
        try:
            return index, Sample(clip.read(self.read_audio), clip.labels, clip.fname, clip.is_noisy)
        except DataError as error:
            raise_lack(error)
            return index, error


def split_into_windows(clips: Sequence[Clip], seconds: float | None) -> tuple[list[Clip], np.ndarray]:
    """Windows of about `seconds` that cover clips longer than twice that; other clips stay whole.

    The windows of a clip do not overlap and are of equal length, 2/3 of `seconds` to `seconds`. Returns
    them and each one's clip, an index. seconds None: clips of up to MAX_WHOLE_SECONDS stay whole, longer
    ones, which at full length might take all memory, have windows of WINDOW_SECONDS.
    """
    windows, owners = [], []
    longest = max(1, int((WINDOW_SECONDS if seconds is None else seconds) * SAMPLE_RATE))
    max_whole = 2 * longest if seconds is not None else MAX_WHOLE_SECONDS * SAMPLE_RATE
    for index, clip in enumerate(clips):
        count = -(-clip.n_samples // longest) if clip.n_samples > max_whole and clip.start is None else 1
        if count == 1:
            windows.append(clip)
        else:
            edges = [clip.n_samples * part // count for part in range(count + 1)]
            windows += [
                replace(clip, start=start, n_samples=end - start)
                for start, end in zip(edges[:-1], edges[1:], strict=True)
            ]
        owners += [index] * count
    return windows, np.array(owners, dtype=int)


def join_windows(scores: np.ndarray, owners: np.ndarray) -> np.ndarray:
    """(windows, classes) -> (clips, classes): of each class the highest score of a clip's windows."""
    starts = np.flatnonzero(np.diff(owners, prepend=-1))
    return np.maximum.reduceat(scores, starts, axis=0)


def announce_cache(clips: Sequence[Clip], runtime: Runtime) -> None:
    """Says what room the cache takes, before these clips are read; nothing without one."""
    if runtime.cache is not None and processes.is_main():
        runtime.cache.announce({clip.path: clip.n_samples for clip in clips})


def advise_cache(clips: Sequence[Clip], runtime: Runtime) -> None:
    """Before these clips are read in each epoch: says so where a cache would save most of the time."""
    n_foreign = sum(clip.path.suffix.lower() in FOREIGN_SUFFIXES for clip in clips)
    if n_foreign and runtime.cache is None and processes.is_main():
        console.note(f"{n_foreign} clips are decoded by ffmpeg, anew at each reading; with --cache DIR once")


def training_loader(
    dataset: TrainingDataset, batch_size: int, runtime: Runtime, kind: type[TrainingBatches] = TrainingBatches
) -> tuple[BatchLoader, TrainingBatches]:
    """The loader of shuffled, augmented segments and the batches that set_epoch goes to, of a kind.

    batch_size counts the clips of all processes; the loader gives this process's.
    """
    segments, own = dataset.segments, (processes.rank(), processes.world_size())
    batches = kind(len(dataset), batch_size, segments.seed, segments.fold, *own)
    collate = collate_draws if dataset.on_device else pad_collate
    return make_loader(dataset, batches, runtime, persistent=True, collate=collate), batches


def make_loader(
    dataset: Dataset,
    batches: Iterable[list],
    runtime: Runtime,
    persistent: bool = False,
    collate: Callable[[list], dict] = pad_collate,
) -> BatchLoader:
    """The loader of these batches of the data set's keys; persistent workers stay for the next pass.

    From now on the data set reads by the runtime's cache where there is one.
    """
    if runtime.cache is not None:
        dataset.read_audio = runtime.cache.read

    def make(n_processes: int, collate: Callable) -> DataLoader:
        return DataLoader(
            dataset,
            batch_sampler=batches,
            num_workers=n_processes,
            collate_fn=collate,
            pin_memory=runtime.pin_memory,
            worker_init_fn=prepare_loader_process,
            # Its own: an iterator draws a seed when it is made, with persistent workers once a run and
            # not once an epoch, and from torch's generator that would shift the dropout draws.
            generator=torch.Generator(),
            persistent_workers=persistent and n_processes > 0,
        )

    return BatchLoader(make, runtime.num_workers, collate)


def _clip_seed(clip: Clip) -> tuple[int, int]:
    """Numbers that name a clip whatever its position; curated and noisy clips may share an fname."""
    digest = hashlib.blake2b(clip.fname.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little"), int(clip.is_noisy)
