"""The training loop, one for every network."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from ops.batching import TrainingBatches
from ops.errors import DataError
from ops.metrics import lwlrap_parts_of_tensors
from ops.padding import resized
from toolkit.system import processes
from toolkit.system.console import progress as progress_bar
from toolkit.system.interruption import Interrupted, StopRequest
from toolkit.training.replicas import replicate, share_statistics, training_batch

Scored = tuple[Tensor, Tensor, Tensor, list[str]]  # a batch's loss, logits, labels, fnames


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


@dataclass(frozen=True)
class Recipe:
    """How gradients become steps.

    Attributes:
        loss_fn: (logits, targets) -> scalar, a mean over clips; (logits, targets, weights) where the
            clips of a batch have unequal weights.
        rates: (steps,) learning rate of each optimizer step, see ops.optimization.
        accumulation_steps: batches whose gradients are averaged for one optimizer step; the last
            group of an epoch may be smaller.
        seed: of the dropout draws, which are a function of it and the epoch.
        has_classes: whether outputs are scores of classes, by which lwlrap is counted.
    """

    loss_fn: Callable[..., Tensor]
    rates: np.ndarray
    accumulation_steps: int
    seed: int
    has_classes: bool = True


class Batches(Protocol):
    """What is left of an epoch, on the device: dicts of ops.batching.pad_collate."""

    order: TrainingBatches

    def __iter__(self) -> Iterator[dict]: ...


class Reports(Protocol):
    """Where curves and pictures go, see toolkit.runs.summaries."""

    def training_step(self, step: int, loss: float, lwlrap: float, learning_rate: float) -> None: ...

    def spectrograms(self, features: np.ndarray, n_frames: list[int], fnames: list[str]) -> None: ...


class Trainer:
    """Trains one network on one fold; its state goes into a checkpoint and comes back from it.

    Args:
        model: waveforms to logits; already on its device.

    Under torchrun every process has a Trainer and trains on its share of each batch; the gradient is that
    of the whole batch, and all of them come to the same progress.

    Attributes:
        is_whole: weights, statistics and progress agree; False in the midst of a batch.
        last_saved: names the file of the last saved state, for messages.
    """

    def __init__(
        self,
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        recipe: Recipe,
        device: torch.device,
        stop: StopRequest,
    ):
        self.model, self.optimizer, self.recipe = model, optimizer, recipe
        self.device, self.stop = device, stop
        self.network = replicate(model)  # what is called; model is what is saved
        self.progress, self.is_whole, self.last_saved = Progress(), True, ""

    def state(self) -> dict[str, Any]:
        """Weights, optimizer, progress, random state and gradients of an unended group, as plain data.

        All of it without the padding that a network may have on a GPU.
        """
        weights, optimizer = self.model.state_dict(), self.optimizer.state_dict()
        shapes = {name: weights[name].shape for name, _ in self.model.named_parameters()}
        in_order = list(shapes.values())
        moments = _each_moment(optimizer["state"], lambda number, value: resized(value, in_order[number]))
        return {
            "model": weights,
            "optimizer": {**optimizer, "state": moments},
            "progress": dict(vars(self.progress)),
            "gradients": {
                name: resized(weight.grad, shapes[name])
                for name, weight in self.model.named_parameters()
                if weight.grad is not None
            },
            "rng": torch.get_rng_state(),
            "cuda_rng": torch.cuda.get_rng_state(self.device) if self.device.type == "cuda" else None,
        }

    def load_state(self, state: dict[str, Any]) -> None:
        self.model.load_state_dict(state["model"])
        weights, optimizer = list(self.model.parameters()), state["optimizer"]
        moments = _each_moment(optimizer["state"], lambda number, value: _like(weights[number], value))
        self.optimizer.load_state_dict({**optimizer, "state": moments})
        self.progress = Progress(**state["progress"])
        gradients = state.get("gradients", {})  # earlier versions stopped between groups only
        for name, weight in self.model.named_parameters():
            weight.grad = _like(weight, gradients[name]) if name in gradients else None
        torch.set_rng_state(state["rng"])
        if self.device.type == "cuda" and state["cuda_rng"] is not None:
            torch.cuda.set_rng_state(state["cuda_rng"], self.device)

    def train_epoch(
        self, batches: Batches, log_interval: int, reports: Reports, description: str
    ) -> tuple[float, float]:
        """Trains on what is left of the current epoch; returns its mean loss and lwlrap.

        Losses stay on the device between reports, every log_interval batches. Raises DataError where
        a clip cannot be read or the loss is not finite, Interrupted between two batches (of several
        processes, whose gradients are not yet one, between two optimizer steps).
        """
        progress, order = self.progress, batches.order
        if progress.batch == 0:
            torch.manual_seed(seed_of(self.recipe.seed, progress.epoch))
            progress.loss_sum, progress.n_clips = 0.0, 0
            progress.precision_sum, progress.n_labels = 0.0, 0
        order.set_epoch(progress.epoch, progress.batch)
        self.model.train()
        pending: list[Scored] = []
        bar = progress_bar(total=order.n_batches, initial=progress.batch, desc=description, unit="batch")
        try:
            with bar:
                for batch in batches:
                    if progress.epoch == 0 and progress.batch == 0 and processes.is_main():
                        self._report_spectrograms(batch, reports)
                    if processes.rank():  # other dropout draws than rank 0's, which the checkpoint keeps
                        draw = self.recipe.seed, progress.epoch, progress.batch, processes.rank()
                        torch.manual_seed(seed_of(*draw))
                    self.is_whole = False
                    pending.append(self._train_batch(batch, progress.batch, order))
                    progress.batch += 1
                    bar.update()
                    stopping = self._is_asked_to_stop(order)
                    if len(pending) >= log_interval or progress.batch == order.n_batches or stopping:
                        self._settle(pending)
                        loss, score = self._running_metrics()
                        told = {"lwlrap": f"{score:.4f}"} if self.recipe.has_classes else {}
                        bar.set_postfix(loss=f"{loss:.4f}", **told)
                        step = progress.epoch * order.n_batches + progress.batch
                        reports.training_step(step, loss, score, self.learning_rate)
                    self.is_whole = True
                    if stopping:
                        self.stop.check()
        except Interrupted:  # forced, perhaps while it waited for the next batch
            if self.is_whole and pending and processes.world_size() == 1:
                self._settle(pending)
            self.is_whole = self.is_whole and not pending
            raise
        share_statistics(self.model)
        return self._running_metrics()

    @property
    def learning_rate(self) -> float:
        """Of the last optimizer step; 0 before the first."""
        return float(self.recipe.rates[self.progress.step - 1]) if self.progress.step else 0.0

    def _is_asked_to_stop(self, order: TrainingBatches) -> bool:
        if processes.world_size() > 1 and not self._group_ended(self.progress.batch, order.n_batches):
            return False
        return self.stop.agreed(processes.any_rank)

    def _train_batch(self, batch: dict, number: int, order: TrainingBatches) -> Scored:
        """Forward and backward; an optimizer step where the batch ends an accumulation group."""
        labels, n_accumulated = batch["labels"], self.recipe.accumulation_steps
        group_start = number - number % n_accumulated
        group_size = min(n_accumulated, order.n_batches - group_start)
        group_ended = self._group_ended(number + 1, order.n_batches)
        n_clips, n_own = order.size(number), len(batch["fnames"])
        weighted, hidden = (
            () if batch.get(name) is None else (batch[name],) for name in ("weights", "bands")
        )
        with training_batch(self.network, self.model, n_clips, group_ended):
            if n_own:
                logits = self.network(batch["signal"], batch["lengths"], *hidden)
                loss = self.recipe.loss_fn(logits, labels, *weighted)
            else:  # the others wait for this process's gradient: it is zero
                silence = torch.zeros(1, self.model.example_samples, device=self.device)
                logits = self.network(silence, None)[:0]
                labels, loss = logits.detach(), logits.sum()
            # Gradients are averaged over processes, each of which has its share of the clips.
            weight = n_own * processes.world_size() / n_clips
            (loss * weight / group_size).backward()
        if group_ended:
            for group in self.optimizer.param_groups:
                group["lr"] = float(self.recipe.rates[self.progress.step])
            self.optimizer.step()
            self.optimizer.zero_grad(set_to_none=True)
            self.progress.step += 1
        if not self.recipe.has_classes:
            logits = labels = loss.new_zeros(n_own, 0)
        return loss.detach(), logits.detach().float(), labels, batch["fnames"]

    def _group_ended(self, n_done: int, n_batches: int) -> bool:
        return n_done % self.recipe.accumulation_steps == 0 or n_done == n_batches

    def _settle(self, pending: list[Scored]) -> None:
        """Brings the losses and scores of the pending batches, of all processes, into the progress."""
        progress = self.progress
        losses, logits, labels, fnames = zip(*pending, strict=True)
        sizes = [len(names) for names in fnames]
        # One copy from the device each; then a batch at a time: the same sums however often this is called.
        scores, truth = (torch.cat(parts).cpu().split(sizes) for parts in (logits, labels))
        parts = [
            (loss * size, size, *lwlrap_parts_of_tensors(truth[number], scores[number]))
            for number, (loss, size) in enumerate(zip(torch.stack(losses).tolist(), sizes, strict=True))
        ]
        first = progress.batch - len(pending)
        for offset, part in enumerate(processes.total(np.array(parts)).tolist()):
            if not math.isfinite(part[0]):
                clips = [name for names in processes.gather(fnames[offset]) for name in names]
                raise DataError(
                    f"the loss became {part[0]} in epoch {progress.epoch}, batch {first + offset}, with the "
                    f"clips {', '.join(clips)}; {self.last_saved}lower the learning rate, or look at these "
                    "clips with check_data.py"
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
    def _report_spectrograms(self, batch: dict, reports: Reports) -> None:
        features, frames = self.model.extract_features(batch["signal"], batch["lengths"])
        if features.dim() < 3:  # embeddings are no picture
            return
        n_frames = [features.shape[2]] * len(features) if frames is None else frames.tolist()
        reports.spectrograms(features.cpu().numpy(), n_frames, batch["fnames"])


def _each_moment(
    state: dict[int, dict[str, Tensor]], change: Callable[[int, Tensor], Tensor]
) -> dict[int, dict[str, Tensor]]:
    """An optimizer's state with each weight's moments changed; a count of steps, without axes, stays."""
    return {
        number: {name: change(number, value) if value.dim() else value for name, value in of_weight.items()}
        for number, of_weight in state.items()
    }


def _like(weight: Tensor, stored: Tensor) -> Tensor:
    """What belongs to a weight (its gradient, a moment), padded as the weight is, in the same layout.

    The fused optimizers take the layouts to be the same and do not look.
    """
    return torch.empty_like(weight, requires_grad=False).copy_(resized(stored, weight.shape))


def seed_of(*parts: int) -> int:
    """A 63-bit seed of several numbers."""
    digest = hashlib.blake2b(repr(parts).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1
