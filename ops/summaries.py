"""TensorBoard summaries of a fold: summaries/fold_<k>/{train,valid}, the same tags in both.

Written without tensorboardX's SummaryWriter: its background thread dies in silence on a full disk,
after which the training would wait for it for ever.
"""

from __future__ import annotations

import os
import socket
import time
from pathlib import Path
from unittest import mock

import numpy as np
from tensorboardX import summary
from tensorboardX.event_file_writer import EventsWriter
from tensorboardX.proto.event_pb2 import Event, SessionLog

from ops.files import disk_errors

IMAGES = 8  # spectrograms of the first batch
PIXELS = 256  # TensorBoard shows pictures at their own size: small ones are enlarged to about this


class _Writer:
    """One event file. `from_step` makes TensorBoard drop what a killed run wrote from there on."""

    def __init__(self, directory: Path, from_step: int):
        self.directory = directory
        suffix = f".{from_step}.{os.getpid()}"  # two runs may start within a second
        # tensorboardX puts the host's name into the file's; experiments travel without it.
        with disk_errors(directory), mock.patch.object(socket, "gethostname", return_value="run"):
            self.events = EventsWriter(str(directory / "events"), suffix)
        if from_step:
            started = SessionLog(status=SessionLog.SessionStatus.Value("START"))
            self._write(Event(session_log=started, step=from_step))

    def _write(self, event: Event) -> None:
        event.wall_time = time.time()
        with disk_errors(self.directory):
            self.events.write_event(event)

    def scalar(self, tag: str, value: float, step: int) -> None:
        if np.isfinite(value):
            self._write(Event(summary=summary.scalar(tag, value), step=step))

    def image(self, tag: str, picture: np.ndarray, step: int) -> None:
        """picture: (1, rows, columns) from 0 to 1."""
        self._write(Event(summary=summary.image(tag, picture), step=step))

    def flush(self) -> None:
        with disk_errors(self.directory):
            self.events.flush()

    def close(self) -> None:
        with disk_errors(self.directory):
            self.events.close()


class FoldSummaries:
    """Writers of the training and the validation curves, x axis: batches trained on."""

    def __init__(self, directory: str | Path, from_step: int = 0):
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

    def spectrograms(self, features: np.ndarray, n_frames: list[int], fnames: list[str]) -> None:
        """Pictures of log spectrograms (batch, features, frames): low frequencies at the bottom."""
        for row, fname in enumerate(fnames[:IMAGES]):
            picture = features[row, ::-1, : n_frames[row]]
            low, high = float(picture.min()), float(picture.max())
            picture = (picture - low) / max(high - low, 1e-6)
            self.train.image(f"first_batch/{row}_{fname}", _enlarge(picture)[None], 0)

    def close(self) -> None:
        self.train.close()
        self.valid.close()


class NoSummaries:
    """Stands in for FoldSummaries in the processes that write nothing."""

    def _ignore(self, *_: object) -> None:
        pass

    training_step = validation = spectrograms = close = _ignore


def _enlarge(picture: np.ndarray) -> np.ndarray:
    rows, columns = (max(1, PIXELS // size) for size in picture.shape)
    return picture.repeat(rows, axis=0).repeat(min(columns, 8), axis=1)
