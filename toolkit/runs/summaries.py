"""TensorBoard summaries: summaries/fold_<k>/{train,valid}, with the same tags in all; summaries/hparams.

Written record by record, without tensorboardX's SummaryWriter: its background thread dies in silence on a
full disk, after which the training would wait for it for ever, and its files carry the name of the host.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import numpy as np
from tensorboardX import summary
from tensorboardX.proto.event_pb2 import Event, SessionLog
from tensorboardX.proto.summary_pb2 import Summary
from tensorboardX.record_writer import RecordWriter

from ops.features import parse_features
from ops.sampling import SAMPLE_RATE
from ops.spectrograms import picture_of
from toolkit.system.files import disk_errors

MAX_IMAGES = 8  # spectrograms of the first batch


class _Writer:
    """One event file. `from_step` makes TensorBoard drop what a killed run wrote from there on."""

    def __init__(self, directory: Path, from_step: int):
        self.directory = directory
        # TensorBoard reads files of this form in the order of their names. Where the host's name usually
        # stands is "run"; two runs may start within a second, hence the step and the process.
        name = f"events.out.tfevents.{int(time.time())}.run.{from_step}.{os.getpid()}"
        with disk_errors(directory):
            self.records = RecordWriter(str(directory / name))
        self._write(Event(file_version="brain.Event:2"))
        if from_step:
            started = SessionLog(status=SessionLog.SessionStatus.Value("START"))
            self._write(Event(session_log=started, step=from_step))

    def _write(self, event: Event) -> None:
        event.wall_time = time.time()
        with disk_errors(self.directory):
            self.records.write(event.SerializeToString())

    def scalar(self, tag: str, value: float, step: int) -> None:
        if np.isfinite(value):
            self._write(Event(summary=_tagged(summary.scalar("value", value), tag), step=step))

    def image(self, tag: str, picture: np.ndarray, step: int) -> None:
        """picture: (rows, columns, 3) uint8."""
        made = summary.image("picture", picture, dataformats="HWC")
        self._write(Event(summary=_tagged(made, tag), step=step))

    def summary(self, value: Summary) -> None:
        self._write(Event(summary=value))

    def flush(self) -> None:
        with disk_errors(self.directory):
            self.records.flush()

    def close(self) -> None:
        self.flush()
        with disk_errors(self.directory):
            self.records.close()


def _tagged(made: Summary, tag: str) -> Summary:
    """The summary under exactly this tag: tensorboardX makes one of several, as "a b", "a/b?" and "a_b"."""
    for value in made.value:
        value.tag = tag
    return made


class FoldSummaries:
    """A fold's training and validation curves over the batches trained on, and its first spectrograms.

    Args:
        features: descriptor of the front end, for the axes of the spectrograms; None: there are none.
        from_step: batches that an earlier run of the fold has trained on.
    """

    def __init__(self, directory: str | Path, features: str | None, from_step: int = 0):
        self.spec = None if features is None else parse_features(features)
        parts = []
        for part in ("train", "valid"):
            folder = Path(directory) / part
            folder.mkdir(parents=True, exist_ok=True)
            parts.append(_Writer(folder, from_step))
        self.train, self.valid = parts

    def training_step(self, step: int, loss: float, lwlrap: float, learning_rate: float) -> None:
        self.train.scalar("loss", loss, step)
        self.train.scalar("lwlrap", lwlrap, step)
        self.train.scalar("learning_rate", learning_rate, step)

    def validation(
        self, step: int, loss: float, lwlrap: float, per_class: np.ndarray, classes: list[str]
    ) -> None:
        self.valid.scalar("loss", loss, step)
        self.valid.scalar("lwlrap", lwlrap, step)
        for name, value in zip(classes, per_class, strict=True):
            self.valid.scalar(f"lwlrap_per_class/{name}", value, step)
        self.train.flush()
        self.valid.flush()

    def probe(self, step: int, lwlrap: float) -> None:
        """lwlrap of a linear probe of pretrained features."""
        self.valid.scalar("probe_lwlrap", lwlrap, step)
        self.valid.flush()

    def spectrograms(self, features: np.ndarray, n_frames: list[int], fnames: list[str]) -> None:
        """Pictures of the first log spectrograms of a batch (batch, features, frames)."""
        frequencies_hz, seconds_per_frame = self.spec.frequencies_hz, self.spec.hop / SAMPLE_RATE
        for row, fname in enumerate(fnames[:MAX_IMAGES]):
            picture = picture_of(features[row, :, : n_frames[row]], frequencies_hz, seconds_per_frame)
            self.train.image(f"spectrograms/{row}_{fname}", picture, 0)

    def close(self) -> None:
        self.train.close()
        self.valid.close()


class NoSummaries:
    """Stands in for FoldSummaries in the processes that write nothing."""

    def _ignore(self, *_: object) -> None:
        pass

    training_step = validation = probe = spectrograms = close = _ignore


def write_hparams(directory: Path, settings: dict[str, Any], metrics: dict[str, float], n_folds: int) -> None:
    """A run's settings and its metrics after n_folds folds, for TensorBoard's HParams; replaces earlier ones.

    Settings are text, numbers, booleans or None. No experiment-wide summary is written: TensorBoard would
    take the columns of all experiments from the first one's.
    """
    with disk_errors(directory):
        directory.mkdir(parents=True, exist_ok=True)
        for earlier in directory.glob("events*"):
            earlier.unlink()
    writer = _Writer(directory, 0)
    _, start, end = summary.hparams(settings, {})
    writer.summary(start)
    for tag, value in metrics.items():
        writer.scalar(tag, value, n_folds)
    writer.summary(end)
    writer.close()
