"""Pretraining: a network's blocks learn from sound alone, and training with labels starts from them."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import nn

from ops.batching import PairedBatches, TrainingBatches
from ops.contrastive import OBJECTIVES
from ops.errors import DataError
from ops.features import parse_features
from ops.linear_probe import linear_probe
from ops.metrics import lwlrap
from ops.sampling import SAMPLE_RATE
from ops.views import draw_view
from toolkit.clips.checks import raise_if_any
from toolkit.clips.loading import (
    Clip,
    Segments,
    TrainingDataset,
    advise_cache,
    announce_cache,
    training_loader,
)
from toolkit.runs.clips import load_splits
from toolkit.runs.config import RunConfig
from toolkit.runs.experiment import Experiment
from toolkit.runs.history import EpochResult, read_history
from toolkit.runs.objectives import Pretraining
from toolkit.system import console, processes
from toolkit.system.interruption import StopRequest
from toolkit.system.runtime import Runtime, accelerate
from toolkit.training.cross_validation import Session, start_experiment
from toolkit.training.evaluation import Evaluator, portion_of, require_finite
from toolkit.training.fold import DeviceBatches, Epochs, FoldJob, finite, format_metric

# The config's section network, and what to pretrain it for -> a network of networks.pretraining.
BuildPretraining = Callable[[dict[str, Any], Pretraining], nn.Module]


def pretrain(
    config: RunConfig,
    session: Session,
    build: BuildPretraining,
    runtime: Runtime,
    probe_every: int | None = None,
) -> Experiment:
    """A whole pretraining; the experiment has its weights for training to start from.

    Args:
        probe_every: epochs between linear probes; None: only after the last one.
    """
    with processes.joined(runtime.device, gradients=True), StopRequest() as stop:
        where, resume = session.experiments_dir, session.resume
        processes.from_main(lambda: Experiment.check_startable(config, where, resume))
        splits = load_splits(config.data, session.submission)
        clips = [*splits.curated, *splits.noisy, *splits.test]
        announce_cache(clips, runtime)
        advise_cache(clips, runtime)
        if config.train.pretraining.objective == "cpc":
            _require_frames(clips, config)
        experiment = start_experiment(config, session, splits, {}, runtime)
        if processes.from_main(lambda: "pretraining" in experiment.results()):
            experiment.log("pretraining: finished before, nothing to do")
            return experiment
        torch.manual_seed(config.train.seed)
        model = build(config.network, config.train.pretraining).to(runtime.device)
        experiment.log(f"pretraining: {len(clips)} clips, without their labels")
        pooled = model.pooled()
        accelerate(model, runtime)
        job = FoldJob(0, model, experiment, splits, runtime, stop)
        with ExitStack() as claim:
            processes.from_main(lambda: claim.enter_context(experiment.fold_claimed(0)))
            _PretrainingEpochs(job, pooled, probe_every).run()
            processes.from_main(lambda: _record(experiment))
    return experiment


def _require_frames(clips: Sequence[Clip], config: RunConfig) -> None:
    """Raises DataError where no clip is long enough for a frame and the next, warns where some are not."""
    max_samples = Segments(config.data.max_audio_length, 0, 0).max_samples
    per_frame = 2 ** config.network.get("num_conv_blocks")  # frames of the front end
    min_samples = parse_features(config.features).min_samples(2 * per_frame)
    n_short = sum(min(clip.n_samples, max_samples) < min_samples for clip in clips)
    if n_short == len(clips):
        raise DataError(
            f"{config.data.train_df}: cpc predicts the next frame of the last block, and needs segments of "
            f"{min_samples / SAMPLE_RATE:.2f} s, found none so long; raise --max_audio_length, lower "
            "--num_conv_blocks or take --objective=contrastive"
        )
    if n_short and processes.is_main():
        console.warn(
            f"{n_short} of {len(clips)} clips are shorter than two frames of the last block: cpc predicts "
            "none of theirs"
        )


def _record(experiment: Experiment) -> None:
    last = read_history(experiment.history(0))[-1]
    found = {"epochs": last.epoch + 1, "loss": last.train_loss, "probe_lwlrap": finite(last.valid_lwlrap)}
    experiment.record(pretraining=found)
    told = format_metric(found["probe_lwlrap"])
    experiment.log(
        f"pretraining: loss {last.train_loss:.4f}, lwlrap {told} of a linear probe of the curated clips out "
        f"of fold; train from it with --init_from={experiment.directory}",
        is_result=True,
    )


class _PretrainingEpochs(Epochs):
    """The epochs of pretraining; of their records the validation lwlrap is the linear probe's.

    Args:
        pooled: the network as features of whole clips, of `size` values.
    """

    def __init__(self, job: FoldJob, pooled: nn.Module, probe_every: int | None):
        settings = job.experiment.config.train.pretraining
        loss = OBJECTIVES[settings.objective]
        super().__init__(
            job, _batches(job), lambda outputs, _: loss(outputs, settings.temperature), has_classes=False
        )
        self.pooled, self.probe_every = pooled, probe_every

    def run_epoch(self) -> None:
        started, epoch = time.monotonic(), self.trainer.progress.epoch
        loss, _ = self.train_epoch()
        is_last = epoch + 1 == self.train.epochs
        if not is_last:
            self.batches.start(epoch + 1)
        probed, told = math.nan, ""
        if is_last or (self.probe_every and (epoch + 1) % self.probe_every == 0):
            probed = self._probe(epoch)
            told = f"; linear probe: lwlrap {format_metric(finite(probed))}"
            self.reports.probe((epoch + 1) * self.batches.order.n_batches, probed)
        if is_last:
            self.save("final_model", model=self.job.model.trained_weights(), epoch=epoch)
        seconds = round(time.monotonic() - started, 3)
        rate = self.trainer.learning_rate
        result = EpochResult(epoch, loss, math.nan, math.nan, probed, rate, seconds)
        self.end_epoch(result, f"{self.job.name} epoch {epoch}: loss {loss:.4f}{told}")

    def _probe(self, epoch: int) -> float:
        """lwlrap of out-of-fold scores of the curated clips by a linear classifier on pooled features."""
        job, clips = self.job, self.job.splits.curated
        evaluator = Evaluator([self.pooled], self.pooled.size, job.runtime.device, stop=job.stop)
        portion = portion_of(clips, self.train.batch_size, job.runtime)
        evaluation = evaluator.score_together(portion, f"{job.name} epoch {epoch} probe")
        raise_if_any(list(evaluation.errors.values()), job.experiment.config.data.train_df)
        fnames = [clip.fname for clip in clips]
        require_finite(evaluation.logits, fnames, {}, [job.experiment.checkpoint(0, "last")])
        fold_of = {clip.fname: k for k, fold in enumerate(job.splits.folds) for clip in fold.validation}
        folds = np.array([fold_of[fname] for fname in fnames])
        truth = np.stack([clip.labels for clip in clips])
        features = evaluation.logits[0]

        def score() -> float:
            return float(lwlrap(truth, linear_probe(features, truth, folds)))

        return processes.from_main(score, job.stop)


def _batches(job: FoldJob) -> DeviceBatches:
    """Segments of all clips without labels; for `contrastive` two views of each."""
    config, splits = job.experiment.config, job.splits
    train, settings = config.train, config.train.pretraining
    clips = [*splits.curated, *splits.noisy, *splits.test]
    unlabelled = [replace(clip, labels=None, weight=1.0) for clip in clips]
    segments = Segments(config.data.max_audio_length, train.seed, fold=0)
    if settings.objective == "cpc":
        dataset, kind = TrainingDataset(unlabelled, segments), TrainingBatches
    else:
        dataset = TrainingDataset(unlabelled, segments, draw_view, switch_off_on=2 * train.epochs)
        kind = PairedBatches
    loader, order = training_loader(dataset, train.batch_size, job.runtime, kind)
    return DeviceBatches(loader, order, job.runtime.device)
