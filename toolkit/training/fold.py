"""One fold of a run: its training, from where it stands, and the predictions of its best model.

No formula and no training step here: each line hands something from one module to the next.
"""

from __future__ import annotations

import math
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ops.batch_augmentation import to_device
from ops.batching import TrainingBatches
from ops.errors import DataError
from ops.logits import sigmoid
from ops.losses import LOSSES
from ops.metrics import lwlrap
from ops.optimization import learning_rates, make_optimizer
from ops.transforms import Augmentation
from toolkit.clips.checks import raise_if_any
from toolkit.clips.loader_processes import BatchLoader
from toolkit.clips.loading import Clip, Segments, TrainingDataset, training_loader
from toolkit.clips.problems import MAX_NAMED
from toolkit.clips.splits import Splits
from toolkit.runs.checkpoints import load_checkpoint, load_weights, save_checkpoint, snapshot
from toolkit.runs.experiment import Experiment
from toolkit.runs.history import EpochResult, record_epoch
from toolkit.runs.predictions import Predictions, write_predictions
from toolkit.runs.summaries import FoldSummaries, NoSummaries
from toolkit.system import console, processes
from toolkit.system.background import Background, Later
from toolkit.system.interruption import GRACE_SECONDS, Interrupted, StopRequest
from toolkit.system.runtime import Runtime, accelerate
from toolkit.training.batch_norm import adapt_batch_norms, refresh_head, refreshing_loader, require_enough
from toolkit.training.evaluation import (
    Evaluation,
    Evaluator,
    portion_of,
    raise_errors,
    require_finite,
    validation_metrics,
)
from toolkit.training.replicas import share_weights
from toolkit.training.trainer import Recipe, Trainer

BuildNetwork = Callable[[dict[str, Any]], nn.Module]  # the config's section network -> a network


@dataclass(frozen=True)
class FoldJob:
    """What training a fold needs beside its number.

    number: 0 of pretraining, which has no folds. model: on its device. stop: looked at wherever the state is
    whole.
    """

    number: int
    model: nn.Module
    experiment: Experiment
    splits: Splits
    runtime: Runtime
    stop: StopRequest

    @property
    def clips(self):
        return self.splits.folds[self.number]

    @property
    def name(self) -> str:
        """For messages."""
        return "pretraining" if self.experiment.is_pretraining else f"fold {self.number}"


def run_fold(
    fold: int,
    splits: Splits,
    experiment: Experiment,
    build_network: BuildNetwork,
    runtime: Runtime,
    stop: StopRequest,
) -> None:
    """Trains a fold (or what is left of it), predicts with its best model, records its results."""
    if processes.from_main(lambda: experiment.is_finished(fold, splits.parts)):
        experiment.log(f"fold {fold}: finished before, nothing to do")
        return
    config, clips = experiment.config, splits.folds[fold]
    experiment.log(
        f"fold {fold}: {len(clips.training)} training and {len(clips.validation)} validation clips"
    )
    if config.train.adapt_batch_norm:  # not only after hours of training
        predicted = {"validation": clips.validation, "holdout": splits.holdout, "test": splits.test}
        for what, of_part in predicted.items():
            if of_part:
                require_enough(len(of_part), f"{what} clips in fold {fold}")
    torch.manual_seed(config.train.seed + fold)
    model = build_network(config.network)
    if config.embedding is not None:
        embeddings = np.stack([runtime.cache.read(clip.path) for clip in clips.training])
        model.standardise(torch.from_numpy(embeddings))
    if config.train.init_from:
        earlier = Experiment.load(config.train.init_from.experiment)
        load_weights(model, earlier.start_of(fold), earlier.config, partly=earlier.is_pretraining)
    model.to(runtime.device)
    accelerate(model, runtime)
    job = FoldJob(fold, model, experiment, splits, runtime, stop)
    best_epoch = processes.from_main(lambda: _epoch_of_trained(experiment, fold))
    if best_epoch is None:
        best_epoch = _FoldTraining(job).run()
    _predict_with_best(job, best_epoch)


def _epoch_of_trained(experiment: Experiment, fold: int) -> int | None:
    """The best epoch of a fold that lacks predictions alone; its last.pth need not be there."""
    recorded = experiment.fold_results().get(fold)
    is_there = recorded is not None and experiment.checkpoint(fold, "best_model").exists()
    return recorded["best_epoch"] if is_there else None


class DeviceBatches:
    """A loader's batches on the device, augmented there; `order` says which batches an epoch has."""

    def __init__(self, loader: BatchLoader, order: TrainingBatches, device: torch.device):
        self.loader, self.order, self.device = loader, order, device

    def start(self, epoch: int) -> None:
        """Has the loader's processes begin with an epoch that comes next."""
        self.order.set_epoch(epoch)
        self.loader.start()

    def __iter__(self) -> Iterator[dict]:
        for batch in self.loader:
            raise_errors(batch)
            yield to_device(batch, self.device)


class Epochs(ABC):
    """The epochs of a job, from last.pth on where there is one; run_epoch is each kind of training's own.

    Files are written in the background, one after the other: models, then the epoch's row of the history,
    then last.pth. So a run that was killed finds what it would have found a moment earlier.

    Args:
        loss_fn, has_classes: see Recipe.
    """

    def __init__(
        self, job: FoldJob, batches: DeviceBatches, loss_fn: Callable[..., Tensor], has_classes: bool = True
    ):
        self.job, self.batches, config, runtime = job, batches, job.experiment.config, job.runtime
        self.train = train = config.train
        n_batches = batches.order.n_batches
        steps_per_epoch = math.ceil(n_batches / train.accumulation_steps)
        rates = learning_rates(train.scheduler, steps_per_epoch * train.epochs, steps_per_epoch, train.lr)
        self.trainer = Trainer(
            job.model,
            make_optimizer(train.optimizer, job.model.parameters(), train.lr, train.weight_decay),
            Recipe(loss_fn, rates, train.accumulation_steps, train.seed + job.number, has_classes),
            runtime.device,
            job.stop,
        )
        self._resume()
        self.background, self.summaries = Background(), NoSummaries()
        if processes.is_main():
            progress = self.trainer.progress
            from_step = progress.epoch * n_batches + progress.batch
            self.summaries = FoldSummaries(job.experiment.summaries(job.number), config.features, from_step)
        self.reports = Later(self.summaries, self.background)

    def _resume(self) -> None:
        job, config = self.job, self.job.experiment.config
        last = job.experiment.checkpoint(job.number, "last")
        state = processes.from_main(lambda: load_checkpoint(last, config) if last.exists() else None)
        if state is not None:
            self.trainer.load_state(state)
            self._note_saved()
            progress = self.trainer.progress
            where = f"epoch {progress.epoch}, batch {progress.batch}"
            job.experiment.log(f"{job.name}: resumed at {where}")

    def run(self) -> int:
        """Trains until the last epoch; returns the best one."""
        job, progress = self.job, self.trainer.progress
        try:
            while progress.epoch < self.train.epochs:
                self.run_epoch()
            self.background.flush()
        except Interrupted:
            if self.trainer.is_whole:  # not forced in the midst of a batch
                self._save_last()
                self.background.flush()
                job.experiment.log(
                    f"{job.name}: interrupted in epoch {progress.epoch}, batch {progress.batch}"
                )
            processes.wait_until_saved(GRACE_SECONDS)
            raise
        finally:
            self.background.close()
            self.summaries.close()
        return progress.best_epoch

    @abstractmethod
    def run_epoch(self) -> None:
        """Trains the current epoch, judges what came of it, and ends it by end_epoch."""

    def train_epoch(self) -> tuple[float, float]:
        """The current epoch's mean loss and lwlrap; nothing is left to be written afterwards."""
        job, epoch = self.job, self.trainer.progress.epoch
        found = self.trainer.train_epoch(
            self.batches,
            job.runtime.log_interval,
            self.reports,
            f"{job.name} epoch {epoch} training",
        )
        failure = getattr(job.model.classify, "failure", "")
        if failure:
            console.warn_once(
                f"--graphs: no CUDA graph could be recorded ({failure}); training goes on without"
            )
        self.background.flush()  # of the epoch before: at most one state waits to be written
        return found

    def end_epoch(self, result: EpochResult, report: str) -> None:
        """Writes the epoch's row of the history, the state and a line of the log, in this order."""
        experiment, progress = self.job.experiment, self.trainer.progress
        if processes.is_main():
            self.background.submit(record_epoch, experiment.history(self.job.number), result)
        progress.epoch, progress.batch = result.epoch + 1, 0
        self._save_last()  # last of all: a run killed before it repeats the epoch
        # Of what is saved: a log that names an epoch tells that it is not to be trained again.
        self.background.submit(experiment.log, report)

    def _save_last(self) -> None:
        self.save("last", **self.trainer.state())
        self._note_saved()

    def save(self, name: str, **content: Any) -> None:
        """Writes a checkpoint in the background, with the network's settings and the classes."""
        if processes.is_main():
            experiment = self.job.experiment
            content = {"network": experiment.config.network, "classes": self.job.splits.classes, **content}
            path = experiment.checkpoint(self.job.number, name)
            self.background.submit(save_checkpoint, path, snapshot(content))

    def _note_saved(self) -> None:
        path = self.job.experiment.checkpoint(self.job.number, "last")
        self.trainer.last_saved = f"the last good state is in {path}; "


class _FoldTraining(Epochs):
    """The epochs of a fold: of each the best model so far is kept, by validation."""

    def __init__(self, job: FoldJob):
        config, runtime = job.experiment.config, job.runtime
        loss_fn = LOSSES[config.train.loss]
        super().__init__(job, DeviceBatches(*_training_batches(job), runtime.device), loss_fn)
        n_classes, batch_size = len(job.splits.classes), config.train.batch_size
        self.evaluator = Evaluator([job.model], n_classes, runtime.device, loss_fn, job.stop)
        self.to_validate = portion_of(job.clips.validation, batch_size, runtime, persistent=True)
        self.to_refresh = refreshing_loader(job.clips.training, config, job.number, runtime)

    def run_epoch(self) -> None:
        job, trainer, progress = self.job, self.trainer, self.trainer.progress
        epoch, started = progress.epoch, time.monotonic()
        train_loss, train_lwlrap = self.train_epoch()
        self.to_validate.loader.start()
        refresh_head(job.model, self.to_refresh, job.runtime.device, job.stop)
        if epoch + 1 < self.train.epochs:
            self.batches.start(epoch + 1)
        evaluation = self.evaluator.score_together(self.to_validate, f"{job.name} epoch {epoch} validation")
        metric, per_class = self._validation_metrics(evaluation)
        step = (epoch + 1) * self.batches.order.n_batches
        self.reports.validation(step, evaluation.loss, metric, per_class, job.splits.classes)
        # A validation fold without labels has no metric: then the last epoch counts as the best.
        if not metric <= progress.best_metric:
            progress.best_metric = metric if math.isfinite(metric) else -math.inf
            progress.best_epoch = epoch
            self._save_model("best_model", metric=finite(metric))
        if job.runtime.save_every and (epoch + 1) % job.runtime.save_every == 0:
            self._save_model(f"model_on_epoch_{epoch}")
        if epoch + 1 == self.train.epochs:
            self._save_model("final_model")
        seconds = round(time.monotonic() - started, 3)
        result = EpochResult(
            epoch, train_loss, train_lwlrap, evaluation.loss, metric, trainer.learning_rate, seconds
        )
        self.end_epoch(result, _report(job.number, result, progress.best_epoch == epoch))

    def _validation_metrics(self, evaluation: Evaluation) -> tuple[float, np.ndarray]:
        """lwlrap, overall and by class, of the validation clips."""
        raise_if_any(list(evaluation.errors.values()), self.job.experiment.config.data.train_df)
        if not np.isfinite(evaluation.logits).all():
            raise DataError(
                "the network's scores of the validation clips are not finite after epoch "
                f"{self.trainer.progress.epoch}; {self.trainer.last_saved}lower the learning rate"
            )
        truth = np.stack([clip.labels for clip in self.job.clips.validation])
        return validation_metrics(truth, evaluation.logits[0])

    def _save_model(self, name: str, **content: Any) -> None:
        self.save(name, model=self.job.model.state_dict(), epoch=self.trainer.progress.epoch, **content)


def _training_batches(job: FoldJob) -> tuple[BatchLoader, TrainingBatches]:
    """The fold's augmented training clips."""
    config = job.experiment.config
    train = config.train
    augmentation = Augmentation(
        train.p_mixup,
        train.p_aug,
        train.effects,
        train.p_shuffle,
        train.p_silence,
        train.mixup,
        train.p_spec_augment,
    )
    dataset = TrainingDataset(
        job.clips.training,
        Segments(config.data.max_audio_length, train.seed, job.number),
        augmentation,
        train.switch_off_augmentations_on,
        on_device=augmentation.can_draw_ahead,
    )
    return training_loader(dataset, train.batch_size, job.runtime)


def _predict_with_best(job: FoldJob, best_epoch: int) -> None:
    """The best model's predictions of the validation, holdout and test clips, and the metrics of these."""
    fold, experiment, splits = job.number, job.experiment, job.splits
    best = experiment.checkpoint(fold, "best_model")
    processes.from_main(lambda: load_weights(job.model, best, experiment.config) and None)
    share_weights(job.model)
    # The metric of these very predictions: on a GPU it may differ from training's in the last digits.
    results: dict[str, Any] = {"metric": _predict_part(job, "val", job.clips.validation)}
    results["best_epoch"] = best_epoch
    if splits.holdout:
        results["holdout_metric"] = _predict_part(job, "holdout", splits.holdout)
    if splits.test:
        _predict_part(job, "test", splits.test)
    processes.from_main(lambda: experiment.record(**{f"fold{fold}": results}))
    listed = ", ".join(f"{name} {format_metric(value)}" for name, value in results.items())
    experiment.log(f"fold {fold}: {listed}", is_result=True)


def _predict_part(job: FoldJob, part: str, clips: list[Clip]) -> float | None:
    """Writes the predictions of whole clips; their lwlrap, None where they have no labels.

    Labelled clips must be readable; of test clips those that are not get the mean of the others.
    """
    name, experiment = f"{part}_preds_fold_{job.number}", job.experiment
    evaluation = _score(job, clips, name)
    errors, is_labelled = evaluation.errors, part != "test"
    if is_labelled or len(errors) == len(clips):
        table = experiment.config.data.train_df if is_labelled else "the test table"
        raise_if_any(list(errors.values()), table)
    best = experiment.checkpoint(job.number, "best_model")
    require_finite(evaluation.logits, [clip.fname for clip in clips], errors, [best])
    logits = evaluation.logits[0]
    readable = [row for row in range(len(clips)) if row not in errors]
    if errors:
        first = "; ".join(str(error) for error in list(errors.values())[:MAX_NAMED])
        experiment.log(
            f"warning: {len(errors)} test clips cannot be read and get the mean of the others: {first}"
        )
    fnames = [clips[row].fname for row in readable]
    predictions = Predictions(fnames, job.splits.classes, sigmoid(logits[readable]))
    if not is_labelled:
        predictions = predictions.completed(job.splits.test_fnames)
    if processes.is_main():
        write_predictions(experiment.predictions(name), predictions, with_sum=True)
    return finite(lwlrap(np.stack([clip.labels for clip in clips]), logits)) if is_labelled else None


def _score(job: FoldJob, clips: list[Clip], description: str) -> Evaluation:
    """Scores of whole clips, with batch norms adapted to them where that is asked for."""
    config, runtime = job.experiment.config, job.runtime
    if config.train.adapt_batch_norm:
        adapt_batch_norms(job.model, clips, config, runtime, job.stop)
    evaluator = Evaluator([job.model], config.n_classes, runtime.device, stop=job.stop)
    return evaluator.score_together(portion_of(clips, config.train.batch_size, runtime), description)


def _report(fold: int, result: EpochResult, is_best: bool) -> str:
    return (
        f"fold {fold} epoch {result.epoch}: loss {result.train_loss:.4f}, valid {result.valid_loss:.4f}; "
        f"lwlrap {result.train_lwlrap:.4f}, valid {result.valid_lwlrap:.4f}{' (best)' if is_best else ''}"
    )


def finite(value: float) -> float | None:
    """JSON has no NaN: an undefined metric is null."""
    return float(value) if math.isfinite(value) else None


def format_metric(value: float | int | None) -> str:
    return f"{value:.4f}" if isinstance(value, float) else "undefined" if value is None else str(value)
