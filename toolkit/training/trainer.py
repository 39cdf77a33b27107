"""The training loop and the prediction loop, one for every network."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from ops.batch_augmentation import to_device
from ops.batching import TrainingBatches, rank_slice
from ops.errors import DataError
from ops.metrics import lwlrap_class_parts, lwlrap_parts
from ops.sampling import SAMPLE_RATE
from toolkit.runs.summaries import FoldSummaries
from toolkit.system import processes
from toolkit.system.console import progress as progress_bar
from toolkit.system.interruption import StopRequest
from toolkit.training.replicas import replicate, share_statistics, training_batch

Loss = Callable[[Tensor, Tensor], Tensor]


@dataclass
class Progress:
    """Where a fold's training stands; with the weights and the optimizer, its whole state.

    epoch and batch are those that come next. The sums are those of the current epoch, over all
    processes: of losses and clips, and of what lwlrap is the ratio of.
    """

    epoch: int = 0
    batch: int = 0
    step: int = 0
    best_metric: float = -math.inf
    best_epoch: int = -1
    loss_sum: float = 0.0
    n_clips: int = 0
    precision_sum: float = 0.0
    n_labels: int = 0


class Trainer:
    """Trains one network on one fold; its state goes into a checkpoint and comes back from it.

    Args:
        model: waveforms to logits; already on its device.
        loss_fn: (logits, targets) -> scalar, a mean over clips; (logits, targets, weights) where the
            clips of a batch have unequal weights.
        rates: (steps,) learning rate of each optimizer step, see ops.optimization.
        accumulation_steps: batches whose gradients are averaged for one optimizer step; the last
            group of an epoch may be smaller.
        seed: of the dropout draws, which are a function of it and the epoch.

    Under torchrun every process has a Trainer and trains on its share of each batch; the gradient is that
    of the whole batch, and all of them come to the same progress.
    """

    def __init__(
        self,
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        loss_fn: Loss,
        rates: np.ndarray,
        accumulation_steps: int,
        seed: int,
        device: torch.device,
        stop: StopRequest,
    ):
        self.model, self.optimizer, self.loss_fn, self.rates = model, optimizer, loss_fn, rates
        self.accumulation_steps, self.seed = accumulation_steps, seed
        self.device, self.stop = device, stop
        self.network = replicate(model)  # what is called; model is what is saved
        self.progress = Progress()

    def state(self) -> dict[str, Any]:
        """Weights, optimizer, progress and random state, as plain data."""
        return {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "progress": dict(vars(self.progress)),
            "rng": torch.get_rng_state(),
            "cuda_rng": torch.cuda.get_rng_state(self.device) if self.device.type == "cuda" else None,
        }

    def load_state(self, state: dict[str, Any]) -> None:
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.progress = Progress(**state["progress"])
        torch.set_rng_state(state["rng"])
        if self.device.type == "cuda" and state["cuda_rng"] is not None:
            torch.cuda.set_rng_state(state["cuda_rng"], self.device)

    def train_epoch(
        self,
        loader: DataLoader,
        batches: TrainingBatches,
        log_interval: int,
        summaries: FoldSummaries,
        description: str,
    ) -> tuple[float, float]:
        """Trains on what is left of the current epoch; returns its mean loss and lwlrap.

        Losses stay on the device between reports, every log_interval batches. Raises DataError where
        a clip cannot be read or the loss is not finite, Interrupted between two optimizer steps.
        """
        progress = self.progress
        if progress.batch == 0:
            torch.manual_seed(_number(self.seed, progress.epoch))
            progress.loss_sum, progress.n_clips = 0.0, 0
            progress.precision_sum, progress.n_labels = 0.0, 0
        batches.set_epoch(progress.epoch, progress.batch)
        self.model.train()
        pending: list[tuple[Tensor, Tensor, Tensor, list[str]]] = []
        bar = progress_bar(total=batches.n_batches, initial=progress.batch, desc=description, unit="batch")
        with bar:
            for batch in loader:
                raise_errors(batch)
                batch = to_device(batch, self.device)
                if progress.epoch == 0 and progress.batch == 0 and processes.is_main():
                    self._show_first_batch(batch, summaries)
                if processes.rank():  # other dropout draws than rank 0's, which the checkpoint keeps
                    draw = self.seed, progress.epoch, progress.batch, processes.rank()
                    torch.manual_seed(_number(*draw))
                pending.append(self._train_batch(batch, progress.batch, batches))
                progress.batch += 1
                bar.update()
                group_ended = self._group_ended(progress.batch, batches.n_batches)
                stopping = group_ended and self.stop.agreed(processes.any_rank)
                ended = progress.batch == batches.n_batches
                if len(pending) >= log_interval or ended or stopping:
                    self._settle(pending)
                    rate = float(self.rates[progress.step - 1]) if progress.step else 0.0
                    loss, score = self._running_metrics()
                    bar.set_postfix(loss=f"{loss:.4f}", lwlrap=f"{score:.4f}")
                    step = progress.epoch * batches.n_batches + progress.batch
                    summaries.training_step(step, loss, score, rate)
                if stopping:
                    self.stop.check()
        share_statistics(self.model)
        return self._running_metrics()

    def _train_batch(
        self, batch: dict, number: int, batches: TrainingBatches
    ) -> tuple[Tensor, Tensor, Tensor, list[str]]:
        """Forward and backward; an optimizer step where the batch ends an accumulation group."""
        labels = batch["labels"]
        group_start = number - number % self.accumulation_steps
        group_size = min(self.accumulation_steps, batches.n_batches - group_start)
        group_ended = self._group_ended(number + 1, batches.n_batches)
        n_clips, n_own = batches.size(number), len(batch["fnames"])
        weighted = () if batch.get("weights") is None else (batch["weights"],)
        with training_batch(self.network, self.model, n_clips, group_ended):
            if n_own:
                logits = self.network(batch["signal"], batch["lengths"])
                loss = self.loss_fn(logits, labels, *weighted)
            else:  # the others wait for this process's gradient: it is zero
                logits = self.network(torch.zeros(1, SAMPLE_RATE, device=self.device), None)[:0]
                labels, loss = logits.detach(), logits.sum()
            # Gradients are averaged over processes, each of which has its share of the clips.
            weight = n_own * processes.world_size() / n_clips
            (loss * weight / group_size).backward()
        if group_ended:
            for group in self.optimizer.param_groups:
                group["lr"] = float(self.rates[self.progress.step])
            self.optimizer.step()
            self.optimizer.zero_grad(set_to_none=True)
            self.progress.step += 1
        return loss.detach(), logits.detach().float(), labels, batch["fnames"]

    def _group_ended(self, n_done: int, n_batches: int) -> bool:
        return n_done % self.accumulation_steps == 0 or n_done == n_batches

    def _settle(self, pending: list[tuple[Tensor, Tensor, Tensor, list[str]]]) -> None:
        """Brings the losses and scores of the pending batches, of all processes, into the progress."""
        progress = self.progress
        losses = torch.stack([loss for loss, *_ in pending]).tolist()
        parts = [  # a batch at a time: the same sums however often this is called
            (loss * len(fnames), len(fnames), *_lwlrap_parts(labels, logits))
            for loss, (_, logits, labels, fnames) in zip(losses, pending, strict=True)
        ]
        first = progress.batch - len(pending)
        for offset, part in enumerate(processes.total(np.array(parts)).tolist()):
            if not math.isfinite(part[0]):
                fnames = [name for names in processes.gather(pending[offset][3]) for name in names]
                raise DataError(
                    f"the loss became {part[0]} in epoch {progress.epoch}, batch {first + offset}, with the "
                    f"clips {', '.join(fnames)}; the last good state is in last.pth. Lower the learning "
                    "rate, or look at these clips with check_data.py"
                )
            progress.loss_sum += part[0]
            progress.n_clips += int(part[1])
            progress.precision_sum += part[2]
            progress.n_labels += int(part[3])
        pending.clear()

    def _running_metrics(self) -> tuple[float, float]:
        progress = self.progress
        if not progress.n_clips:
            return math.nan, math.nan
        score = progress.precision_sum / progress.n_labels if progress.n_labels else math.nan
        return progress.loss_sum / progress.n_clips, score

    @torch.no_grad()
    def _show_first_batch(self, batch: dict, summaries: FoldSummaries) -> None:
        features, frames = self.model.extract_features(batch["signal"], batch["lengths"])
        n_frames = [features.shape[2]] * len(features) if frames is None else frames.tolist()
        summaries.spectrograms(features.cpu().numpy(), n_frames, batch["fnames"])


@torch.inference_mode()
def predict(
    models: list[nn.Module],
    loader: DataLoader,
    n_classes: int,
    device: torch.device,
    description: str,
    loss_fn: Callable[[Tensor, Tensor], Tensor] | None = None,
    stop: StopRequest | None = None,
) -> tuple[np.ndarray, float, dict[int, DataError]]:
    """Scores the clips of an evaluation loader, each decoded once for all models.

    Returns:
        logits (models, clips, classes) float32 in the data set's order (NaN: unreadable clips), the
        first model's mean loss (NaN without loss_fn), and the unreadable clips' errors by index.
    """
    n_clips = len(loader.dataset)
    logits = np.full((len(models), n_clips, n_classes), np.nan, dtype=np.float32)
    errors: dict[int, DataError] = {}
    loss_sum = precision_sum = 0.0
    done = n_labels = 0
    for model in models:
        model.eval()

    def settle(batch: dict, scores: Tensor) -> None:
        nonlocal loss_sum, precision_sum, done, n_labels
        index, scores = batch["index"].numpy(), scores.cpu()
        logits[:, index] = scores.numpy()
        done += len(index)
        bar.update(len(index))
        if loss_fn is not None and batch["labels"] is not None:
            loss_sum += float(loss_fn(scores[0], batch["labels"])) * len(index)
            precisions, labels = _lwlrap_parts(batch["labels"], scores[0])
            precision_sum, n_labels = precision_sum + precisions, n_labels + labels
            score = precision_sum / n_labels if n_labels else math.nan
            bar.set_postfix(loss=f"{loss_sum / done:.4f}", lwlrap=f"{score:.4f}")

    with progress_bar(total=n_clips, desc=description, unit="clip") as bar:
        # A batch's scores are fetched after the next one is under way: a GPU never waits for that.
        pending = None
        for batch in loader:
            if stop is not None:
                stop.check()
            errors.update(batch["errors"])
            bar.update(len(batch["errors"]))
            if not len(batch["index"]):
                continue
            scores = _scores(models, batch["signal"].to(device, non_blocking=True), batch["lengths"])
            if pending is not None:
                settle(*pending)
            pending = batch, scores
        if pending is not None:
            settle(*pending)
    mean_loss = loss_sum / done if done and loss_fn is not None else math.nan
    return logits, mean_loss, errors


def _scores(models: list[nn.Module], signal: Tensor, lengths: Tensor) -> Tensor:
    """(models, batch, classes) logits; models of equal front_end_key share one pass of the front end."""
    features: dict = {}
    scores = []
    for model in models:
        if model.front_end_key not in features:
            features[model.front_end_key] = model.extract_features(signal, lengths)
        scores.append(model.classify(*features[model.front_end_key]).float())
    return torch.stack(scores)


def validation_metrics(truth: np.ndarray, logits: np.ndarray) -> tuple[float, np.ndarray]:
    """lwlrap overall and (classes,) per class; each process ranks its share of the clips."""
    own = rank_slice(len(truth), processes.rank(), processes.world_size())
    sums, counts = processes.total(np.stack(lwlrap_class_parts(truth[own], logits[own])))
    overall = float(sums.sum() / counts.sum()) if counts.any() else math.nan
    return overall, np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)


def _lwlrap_parts(labels: Tensor, logits: Tensor) -> tuple[float, int]:
    """ops.metrics.lwlrap_parts; NaN where a score is not a number, which the loss then tells."""
    logits = logits.cpu().numpy()
    return (math.nan, 0) if np.isnan(logits).any() else lwlrap_parts(labels.cpu().numpy(), logits)


def raise_errors(batch: dict) -> None:
    """Raises the first DataError of a batch's unreadable clips."""
    for _, error in batch["errors"]:
        raise error


def _number(*parts: int) -> int:
    """A 63-bit seed of several numbers."""
    digest = hashlib.blake2b(repr(parts).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1
