"""Seconds of the parts of each epoch of a real run."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from unittest import mock

import torch
from demo_run import DemoRun
from inputs import synchronize
from kernels import KernelTime
from parts import PartTimer, Spent, replace_everywhere

from networks.classifiers import Classifier
from ops.batch_augmentation import to_device
from ops.losses import LOSSES
from ops.optimization import make_optimizer
from toolkit.clips.loader_processes import BatchLoader
from toolkit.runs.checkpoints import save_checkpoint
from toolkit.runs.experiment import Experiment
from toolkit.runs.history import record_epoch
from toolkit.runs.summaries import FoldSummaries
from toolkit.training.batch_norm import refresh_head
from toolkit.training.evaluation import Evaluator, validation_metrics
from toolkit.training.trainer import Trainer

# Functions and methods by the part that they are; a part's own parts follow it in the table.
FUNCTIONS = {
    to_device: "moving and augmenting",
    refresh_head: "refreshing the head",
    validation_metrics: "validation metric",
    save_checkpoint: "writing checkpoints",
    record_epoch: "writing the history",
}
METHODS = [
    (Classifier, "forward", "forward"),
    (torch.Tensor, "backward", "backward"),
    (torch.cuda.CUDAGraph, "replay", "replaying a graph"),
    (Trainer, "_settle", "settling metrics"),
    (Trainer, "state", "collecting the state"),
    (Evaluator, "score_together", "validation"),
    (Experiment, "log", "writing the log"),
    *((FoldSummaries, name, "writing summaries") for name in ("training_step", "validation", "spectrograms")),
]
WAITING = "waiting for the loader"


@dataclass(frozen=True)
class Interval:
    """A stretch of a run: start-up, an epoch, or the rest after the last one."""

    name: str
    seconds: float
    spent: Spent


def train_timed(
    run: DemoRun, device: torch.device, flags: Sequence[str], waits: bool
) -> tuple[Experiment, list[Interval], float | None]:
    """Trains; returns what it took, and the share of the last epoch that a GPU computed (None: no GPU).

    waits: every part waits for the GPU.
    """
    timer = PartTimer((lambda: synchronize(device)) if waits else (lambda: None))
    kernels, names = KernelTime(device), ["start-up"]
    intervals: list[Interval] = []

    def end_interval(next_name: str) -> None:
        intervals.append(Interval(names[-1], *timer.take()))
        names.append(next_name)

    def begin_epoch(trainer: Trainer) -> None:
        end_interval(f"epoch {trainer.progress.epoch}")
        if trainer.progress.epoch + 1 == run.epochs:
            kernels.start()
            timer.take()  # a second or so that is nobody's

    def end_epochs(_: FoldSummaries) -> None:
        end_interval("predictions")
        kernels.stop(intervals[-1].seconds)

    with timing(timer), ExitStack() as stack:
        stack.enter_context(calling_before(Trainer, "train_epoch", begin_epoch))
        stack.enter_context(calling_before(FoldSummaries, "close", end_epochs))
        timer.take()
        experiment = run.train(str(device), *flags)
        end_interval("")
    return experiment, intervals, kernels.busy


@contextmanager
def timing(timer: PartTimer) -> Iterator[None]:
    """Within it the training code is wrapped."""
    with ExitStack() as stack:
        for function, name in FUNCTIONS.items():
            replace_everywhere(stack, function, timer.timed(name, function))
        for owner, method, name in METHODS:
            if hasattr(owner, method):
                timed = timer.timed(name, getattr(owner, method))
                stack.enter_context(mock.patch.object(owner, method, timed))
        losses = {name: timer.timed("loss", loss) for name, loss in LOSSES.items()}
        stack.enter_context(mock.patch.dict(LOSSES, losses))
        waiting = timer.timed_iteration(WAITING, BatchLoader.__iter__)
        stack.enter_context(mock.patch.object(BatchLoader, "__iter__", waiting))

        original = make_optimizer  # here, too, the name is replaced

        def make_timed_optimizer(*arguments):
            optimizer = original(*arguments)
            for name in ("step", "zero_grad"):
                setattr(optimizer, name, timer.timed("optimizer", getattr(optimizer, name)))
            return optimizer

        replace_everywhere(stack, original, make_timed_optimizer)
        yield


@contextmanager
def calling_before(owner: type, method: str, function: Callable[[object], None]) -> Iterator[None]:
    original = getattr(owner, method)

    def call(self, *arguments, **options):
        function(self)
        return original(self, *arguments, **options)

    with mock.patch.object(owner, method, call):
        yield


def epoch_table(intervals: Sequence[Interval]) -> str:
    """Markdown: seconds of each part in the first epoch and in later ones, and its share of these."""
    epochs = [interval for interval in intervals if interval.name.startswith("epoch")]
    first, later = epochs[0], epochs[1:]
    mean = statistics.mean(epoch.seconds for epoch in later)
    lines = [
        f"| part of an epoch (start-up {intervals[0].seconds:.1f} s, after the last epoch "
        f"{intervals[-1].seconds:.1f} s) | first epoch, s | later epochs, s | share | calls an epoch |",
        "| --- | --- | --- | --- | --- |",
    ]

    def add(name: str, in_first: float, in_later: float, calls: str = "") -> None:
        lines.append(f"| {name} | {in_first:.3f} | {in_later:.3f} | {in_later / mean:.1%} | {calls} |")

    rest_first, rest_later = first.seconds, mean
    for path in _in_order(epochs):
        in_later = statistics.mean(epoch.spent.seconds.get(path, 0) for epoch in later)
        calls = statistics.mean(epoch.spent.calls.get(path, 0) for epoch in later)
        in_first = first.spent.seconds.get(path, 0)
        add("of it " * (len(path) - 1) + path[-1], in_first, in_later, f"{calls:.1f}")
        if len(path) == 1 and not path[0].startswith("in a thread"):
            rest_first, rest_later = rest_first - in_first, rest_later - in_later
    add("everything else", rest_first, rest_later)
    add("**all**", first.seconds, mean)
    return "\n".join(lines)


def _in_order(epochs: Sequence[Interval]) -> list[tuple[str, ...]]:
    """All parts, those of a part behind it, each in the order of their seconds."""
    total: dict[tuple[str, ...], float] = {}
    for epoch in epochs:
        for path, seconds in epoch.spent.seconds.items():
            total[path] = total.get(path, 0) + seconds
    return sorted(total, key=lambda path: [(-total[path[:n]], path[:n]) for n in range(1, len(path) + 1)])
