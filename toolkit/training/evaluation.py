"""Scores of clips by networks: the loop of validation and prediction, on one process or on several."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from ops.batching import batches_by_length, rank_slice
from ops.errors import DataError
from ops.metrics import lwlrap_class_parts, lwlrap_parts_of_tensors
from toolkit.clips.loader_processes import BatchLoader
from toolkit.clips.loading import Clip, EvaluationDataset, join_windows, make_loader, split_into_windows
from toolkit.system import processes
from toolkit.system.console import progress
from toolkit.system.interruption import StopRequest
from toolkit.system.runtime import Runtime

Loss = Callable[[Tensor, Tensor], Tensor]  # (logits, targets), both (batch, classes) -> scalar


@dataclass(frozen=True)
class Portion:
    """This process's clips of a table of n_clips: rows of the table, in the order of their loader.

    owners: where very long clips are cut into windows, which then are the rows, (rows,) each one's clip.
    """

    n_clips: int
    rows: list[int]
    loader: BatchLoader
    owners: np.ndarray | None = None


@dataclass(frozen=True)
class Evaluation:
    """Scores of a table of clips; of one that is cut into windows the highest of each class.

    Attributes:
        logits: (models, clips, classes) float32 in the table's order; NaN: clips that cannot be read.
        loss: the first model's mean loss, in which each window counts; NaN where none was asked for.
        errors: of the clips that cannot be read, by row.
    """

    logits: np.ndarray
    loss: float
    errors: dict[int, DataError]


def portion_of(clips: Sequence[Clip], batch_size: int, runtime: Runtime, persistent: bool = False) -> Portion:
    """The batches are those of a single process, dealt out; persistent where they are scored many times.

    Clips longer than MAX_WHOLE_SECONDS are scored in windows, see split_into_windows.
    """
    windows, owners = split_into_windows(clips, None)
    batches = batches_by_length([window.n_samples for window in windows], batch_size)
    own = batches[processes.rank() :: processes.world_size()]
    portion = portion_of_batches(windows, own, runtime, persistent)
    return portion if len(windows) == len(clips) else replace(portion, owners=owners)


def portion_of_batches(
    clips: Sequence[Clip], batches: list[list[int]], runtime: Runtime, persistent: bool = False
) -> Portion:
    """A loader of these batches' clips in a row, which numbers them so."""
    rows = [index for batch in batches for index in batch]
    ends = np.cumsum([len(batch) for batch in batches])
    renumbered = [list(range(end - len(batch), end)) for end, batch in zip(ends, batches, strict=True)]
    dataset = EvaluationDataset([clips[index] for index in rows])
    return Portion(len(clips), rows, make_loader(dataset, renumbered, runtime, persistent))


class Evaluator:
    """Scores clips with networks, each clip decoded once for all of them.

    Args:
        models: waveforms to logits of n_classes, on the device; with `extract_features`, `classify` and
            `front_end_key`, by which networks share a pass of the front end.
        loss_fn: of validation; None: no loss.
        stop: looked at before each batch.
    """

    def __init__(
        self,
        models: Sequence[nn.Module],
        n_classes: int,
        device: torch.device,
        loss_fn: Loss | None = None,
        stop: StopRequest | None = None,
    ):
        self.models, self.n_classes, self.device = list(models), n_classes, device
        self.loss_fn, self.stop = loss_fn, stop

    @torch.inference_mode()
    def score(self, loader: BatchLoader, description: str) -> Evaluation:
        """Scores the clips of an evaluation loader."""
        n_clips = len(loader.dataset)
        logits = np.full((len(self.models), n_clips, self.n_classes), np.nan, dtype=np.float32)
        errors: dict[int, DataError] = {}
        running = _RunningMetrics(self.loss_fn)
        for model in self.models:
            model.eval()

        def settle(batch: dict, scores: Tensor) -> None:
            index, scores = batch["index"].numpy(), scores.cpu()
            logits[:, index] = scores.numpy()
            bar.update(len(index))
            if running.add(scores[0], batch["labels"]):
                bar.set_postfix(loss=f"{running.loss:.4f}", lwlrap=f"{running.lwlrap:.4f}")

        with progress(total=n_clips, desc=description, unit="clip") as bar:
            # A batch's scores are fetched after the next one is under way: a GPU never waits for that.
            pending = None
            for batch in loader:
                if self.stop is not None:
                    self.stop.check()
                errors.update(batch["errors"])
                bar.update(len(batch["errors"]))
                if not len(batch["index"]):
                    continue
                signal = batch["signal"].to(self.device, non_blocking=True)
                scores = self._scores(signal, batch["lengths"])
                if pending is not None:
                    settle(*pending)
                pending = batch, scores
            if pending is not None:
                settle(*pending)
        return Evaluation(logits, running.loss, errors)

    def score_together(self, portion: Portion, description: str) -> Evaluation:
        """The scores of a table, each process its portion of it; all get everything."""
        own = self.score(portion.loader, description)
        n_scored = len(portion.rows) - len(own.errors)
        errors = {portion.rows[row]: error for row, error in own.errors.items()}
        merged = np.empty((len(self.models), portion.n_clips, self.n_classes), dtype=np.float32)
        loss_sum = n_in_all = 0
        all_errors: dict[int, DataError] = {}
        found = processes.gather((portion.rows, own.logits, own.loss, n_scored, errors))
        for rows, logits, loss, n, part_errors in found:
            merged[:, rows] = logits
            all_errors |= part_errors
            if n:
                loss_sum, n_in_all = loss_sum + loss * n, n_in_all + n
        loss = loss_sum / n_in_all if n_in_all else math.nan
        if portion.owners is not None:
            merged = np.stack([join_windows(of_model, portion.owners) for of_model in merged])
            all_errors = {int(portion.owners[row]): error for row, error in all_errors.items()}
        return Evaluation(merged, loss, all_errors)

    def _scores(self, signal: Tensor, lengths: Tensor) -> Tensor:
        """(models, batch, classes) logits; models of equal front_end_key share one pass of the front end."""
        features: dict = {}
        scores = []
        for model in self.models:
            if model.front_end_key not in features:
                features[model.front_end_key] = model.extract_features(signal, lengths)
            scores.append(model.classify(*features[model.front_end_key]).float())
        return torch.stack(scores)


class _RunningMetrics:
    """Mean loss and lwlrap of the clips so far; NaN without a loss function."""

    def __init__(self, loss_fn: Loss | None):
        self.loss_fn = loss_fn
        self.loss_sum = self.precision_sum = 0.0
        self.n_clips = self.n_labels = 0

    def add(self, logits: Tensor, labels: Tensor | None) -> bool:
        """Adds a batch, (batch, classes) each; whether there was something to add."""
        if self.loss_fn is None or labels is None:
            return False
        self.loss_sum += float(self.loss_fn(logits, labels)) * len(logits)
        self.n_clips += len(logits)
        precisions, n_labels = lwlrap_parts_of_tensors(labels, logits)
        self.precision_sum, self.n_labels = self.precision_sum + precisions, self.n_labels + n_labels
        return True

    @property
    def loss(self) -> float:
        return self.loss_sum / self.n_clips if self.n_clips else math.nan

    @property
    def lwlrap(self) -> float:
        return self.precision_sum / self.n_labels if self.n_labels else math.nan


def require_finite(
    logits: np.ndarray, fnames: Sequence[str], errors: Collection[int], checkpoints: Sequence[str | Path]
) -> None:
    """Raises DataError where a network gives a clip that could be read scores that are not finite.

    Args:
        logits: (models, clips, classes), of the clips called fnames.
        errors: rows of the clips that could not be read.
        checkpoints: where the networks are from.
    """
    read = np.ones(len(fnames), dtype=bool)
    read[list(errors)] = False
    for checkpoint, scores in zip(checkpoints, logits, strict=True):
        bad = np.flatnonzero(read & ~np.isfinite(scores).all(axis=1))
        if len(bad):
            raise DataError(
                f"{checkpoint}: expected finite scores of its network, found others for {len(bad)} of "
                f"{read.sum()} clips (first {fnames[bad[0]]!r}): its training diverged, or the file was "
                "damaged; train anew with a lower learning rate, restore the file, or leave this experiment "
                "out"
            )


def validation_metrics(truth: np.ndarray, logits: np.ndarray) -> tuple[float, np.ndarray]:
    """lwlrap overall and (classes,) per class; each process ranks its portion of the clips."""
    own = rank_slice(len(truth), processes.rank(), processes.world_size())
    sums, counts = processes.total(np.stack(lwlrap_class_parts(truth[own], logits[own])))
    overall = float(sums.sum() / counts.sum()) if counts.any() else math.nan
    return overall, np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)


def raise_errors(batch: dict) -> None:
    """Raises the first DataError of a batch's clips that cannot be read."""
    for _, error in batch["errors"]:
        raise error
