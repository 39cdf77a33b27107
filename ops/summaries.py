"""TensorBoard summaries of a fold: summaries/fold_<k>/{train,valid}, the same tags in both."""

from __future__ import annotations

import socket
from pathlib import Path
from unittest import mock

import numpy as np
from tensorboardX import SummaryWriter

IMAGES = 8  # spectrograms of the first batch


class FoldSummaries:
    """Writers of the training and the validation curves, x axis: batches trained on.

    Open with `from_step` on resuming, so that TensorBoard drops what a killed run wrote after it.
    """

    def __init__(self, directory: str | Path, from_step: int = 0):
        # tensorboardX puts the host's name into the file name; experiments travel without it.
        with mock.patch.object(socket, "gethostname", return_value="run"):
            self.train, self.valid = (
                SummaryWriter(str(Path(directory) / part), purge_step=from_step or None, flush_secs=10)
                for part in ("train", "valid")
            )

    def training_step(self, step: int, loss: float, lwlrap: float, learning_rate: float) -> None:
        self.train.add_scalar("loss", loss, step)
        self.train.add_scalar("lwlrap", lwlrap, step)
        self.train.add_scalar("learning_rate", learning_rate, step)

    def validation(
        self, step: int, loss: float, lwlrap: float, per_class: np.ndarray, classes: list[str]
    ) -> None:
        self.valid.add_scalar("loss", loss, step)
        self.valid.add_scalar("lwlrap", lwlrap, step)
        for name, value in zip(classes, per_class, strict=True):
            if np.isfinite(value):
                self.valid.add_scalar(f"lwlrap_per_class/{name}", value, step)

    def spectrograms(self, features: np.ndarray, n_frames: list[int], fnames: list[str]) -> None:
        """Pictures of log spectrograms (batch, features, frames): low frequencies at the bottom."""
        for row, fname in enumerate(fnames[:IMAGES]):
            picture = features[row, ::-1, : n_frames[row]]
            low, high = float(picture.min()), float(picture.max())
            picture = (picture - low) / max(high - low, 1e-6)
            self.train.add_image(f"first_batch/{row}_{fname}", _enlarge(picture)[None], 0)

    def flush(self) -> None:
        self.train.flush()
        self.valid.flush()

    def close(self) -> None:
        self.train.close()
        self.valid.close()


def _enlarge(picture: np.ndarray, at_least: int = 256) -> np.ndarray:
    """Repeats pixels of small pictures: TensorBoard shows them at their own size."""
    rows, columns = (max(1, at_least // size) for size in picture.shape)
    return picture.repeat(rows, axis=0).repeat(min(columns, 8), axis=1)
