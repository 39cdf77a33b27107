"""One fold of a run: its training, from where it stands, and the predictions of its best model.

No formula and no training step here: each line hands something from one module to the next.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from ops.errors import DataError
from ops.logits import sigmoid
from ops.losses import LOSSES
from ops.metrics import lwlrap
from ops.optimization import learning_rates, make_optimizer
from ops.transforms import Augmentation
from toolkit.clips.checks import raise_if_any
from toolkit.clips.loading import Clip, TrainingDataset, training_loader
from toolkit.clips.problems import MAX_NAMED
from toolkit.clips.splits import Tables, split_fold
from toolkit.prediction.shards import predict_together, share_clips
from toolkit.runs.checkpoints import load_checkpoint, load_weights, save_checkpoint
from toolkit.runs.experiment import Experiment
from toolkit.runs.history import EpochResult, record_epoch
from toolkit.runs.predictions import Predictions, write_predictions
from toolkit.runs.summaries import FoldSummaries, NoSummaries
from toolkit.system import processes
from toolkit.system.interruption import GRACE_SECONDS, Interrupted, StopRequest
from toolkit.system.runtime import accelerate
from toolkit.training.batch_norm import adapt_batch_norms, refresh_head, refreshing_loader, require_enough
from toolkit.training.replicas import share_weights
from toolkit.training.trainer import Trainer, validation_metrics

BuildNetwork = Callable[[dict[str, Any]], nn.Module]


@dataclass(frozen=True)
class Runtime:
    """What does not change the result: where and how a run computes, what it reports.

    parallel: what the processes of torchrun share, the "batches" of each fold or the "folds".
    """

    device: torch.device
    num_workers: int
    log_interval: int
    save_every: int
    parallel: str = "batches"

    @property
    def pin_memory(self) -> bool:
        return self.device.type == "cuda"


def fold_is_finished(experiment: Experiment, tables: Tables, fold: int) -> bool:
    wanted = [f"val_preds_fold_{fold}"] + ([f"test_preds_fold_{fold}"] if tables.test else [])
    recorded = experiment.results().get(f"fold{fold}", {})
    return "metric" in recorded and all(experiment.predictions(name).exists() for name in wanted)


def run_fold(
    fold: int,
    tables: Tables,
    experiment: Experiment,
    build_network: BuildNetwork,
    runtime: Runtime,
    stop: StopRequest,
) -> None:
    """Trains a fold (or what is left of it), predicts with its best model, records its results."""
    if processes.from_main(lambda: fold_is_finished(experiment, tables, fold)):
        experiment.log(f"fold {fold}: finished before, nothing to do")
        return
    config = experiment.config
    training, validation = split_fold(tables, config["data"], fold)
    experiment.log(f"fold {fold}: {len(training)} training and {len(validation)} validation clips")
    if config["train"].get("adapt_batch_norm"):  # not only after hours of training
        for clips, what in ((validation, "validation"), (tables.holdout, "holdout"), (tables.test, "test")):
            if clips:
                require_enough(len(clips), f"{what} clips in fold {fold}")
    torch.manual_seed(config["train"]["seed"] + fold)
    model = build_network(config["network"])
    if config["train"].get("init_from"):
        earlier = Experiment.load(config["train"]["init_from"]["experiment"])
        load_weights(model, earlier.checkpoint(fold, "best_model"))
    model.to(runtime.device)
    accelerate(model, runtime.device, config["train"]["amp"], config["train"]["compile"])
    best = processes.from_main(lambda: _trained_before(experiment, fold))
    if best is None:
        best = _train(fold, model, training, validation, tables.classes, experiment, runtime, stop)

    processes.from_main(lambda: load_weights(model, experiment.checkpoint(fold, "best_model")) and None)
    share_weights(model)
    # The metric of these very predictions: on a GPU it may differ from training's in the last digits.
    results = {"metric": None, "best_epoch": best["best_epoch"]}
    for name, clips, fnames, metric in (
        (f"val_preds_fold_{fold}", validation, None, "metric"),
        (f"holdout_preds_fold_{fold}", tables.holdout, None, "holdout_metric"),
        (f"test_preds_fold_{fold}", tables.test, tables.test_fnames, None),
    ):
        if clips:
            logits, errors = _predict(model, clips, name, config, runtime, stop)
            if metric or len(errors) == len(clips):
                raise_if_any(
                    list(errors.values()), config["data"]["train_df"] if metric else "the test table"
                )
            good = [row for row in range(len(clips)) if row not in errors]
            if errors:
                experiment.log(
                    f"warning: {len(errors)} test clips cannot be read and get the mean of the others: "
                    f"{'; '.join(str(error) for error in list(errors.values())[:MAX_NAMED])}"
                )
            named = [clips[row].fname for row in good]
            predictions = Predictions(named, tables.classes, sigmoid(logits[good]))
            if fnames is not None:
                predictions = predictions.completed(fnames)
            if processes.is_main():
                write_predictions(experiment.predictions(name), predictions)
            if metric:
                results[metric] = finite(lwlrap(np.stack([clip.labels for clip in clips]), logits))
    processes.from_main(lambda: experiment.record(**{f"fold{fold}": results}))
    experiment.log(f"fold {fold}: {', '.join(f'{k} {show(v)}' for k, v in results.items())}")


def _trained_before(experiment: Experiment, fold: int) -> dict[str, Any] | None:
    """What is recorded of a fold that lacks predictions alone; its last.pth need not be there."""
    recorded = experiment.results().get(f"fold{fold}", {})
    done = "metric" in recorded and experiment.checkpoint(fold, "best_model").exists()
    return recorded if done else None


def _train(
    fold: int,
    model: nn.Module,
    training: list[Clip],
    validation: list[Clip],
    classes: list[str],
    experiment: Experiment,
    runtime: Runtime,
    stop: StopRequest,
) -> dict[str, Any]:
    """Trains until the last epoch, from last.pth where there is one; returns the final progress."""
    data, train = experiment.config["data"], experiment.config["train"]
    augmentation = Augmentation(
        **{name: train[name] for name in ("p_mixup", "p_aug", "effects", "p_shuffle", "p_silence")}
    )
    dataset = TrainingDataset(
        training,
        augmentation,
        train["switch_off_augmentations_on"],
        data["max_audio_length"],
        train["seed"],
        fold,
        on_device=augmentation.can_draw_ahead,
    )
    loader, batches = training_loader(dataset, train["batch_size"], runtime.num_workers, runtime.pin_memory)
    loss_fn = LOSSES[train["loss"]]
    steps_per_epoch = math.ceil(batches.n_batches / train["accumulation_steps"])
    rates = learning_rates(
        train["scheduler"], steps_per_epoch * train["epochs"], steps_per_epoch, train["lr"]
    )
    trainer = Trainer(
        model,
        make_optimizer(train["optimizer"], model.parameters(), train["lr"], train["weight_decay"]),
        loss_fn,
        rates,
        train["accumulation_steps"],
        train["seed"] + fold,
        runtime.device,
        stop,
    )
    last = experiment.checkpoint(fold, "last")
    state = processes.from_main(lambda: load_checkpoint(last) if last.exists() else None)
    if state is not None:
        trainer.load_state(state)
        experiment.log(
            f"fold {fold}: resumed at epoch {trainer.progress.epoch}, batch {trainer.progress.batch}"
        )
    progress = trainer.progress
    truth = np.stack([clip.labels for clip in validation])
    to_validate = share_clips(
        validation, train["batch_size"], runtime.num_workers, runtime.device, persistent=True
    )
    to_refresh = refreshing_loader(training, experiment.config, fold, runtime.num_workers, runtime.pin_memory)
    summaries = NoSummaries()
    if processes.is_main():
        from_step = progress.epoch * batches.n_batches + progress.batch
        features = experiment.config["network"]["features"]
        summaries = FoldSummaries(experiment.summaries(fold), features, from_step)

    def save(name: str, **state: Any) -> None:
        if not processes.is_main():
            return
        content = {"network": experiment.config["network"], "classes": classes, **state}
        save_checkpoint(experiment.checkpoint(fold, name), content)

    began = time.monotonic()
    try:
        while progress.epoch < train["epochs"]:
            epoch = progress.epoch
            name = f"fold {fold} epoch {epoch}"
            train_loss, train_lwlrap = trainer.train_epoch(
                loader, batches, runtime.log_interval, summaries, f"{name} training"
            )
            refresh_head(model, to_refresh, runtime.device)
            logits, valid_loss, errors = predict_together(
                [model], to_validate, len(classes), runtime.device, f"{name} validation", loss_fn, stop
            )
            raise_if_any(list(errors.values()), data["train_df"])
            _require_finite(logits, epoch, "validation clips")
            metric, per_class = validation_metrics(truth, logits[0])
            summaries.validation((epoch + 1) * batches.n_batches, valid_loss, metric, per_class, classes)
            rate, seconds = float(rates[progress.step - 1]), time.monotonic() - began
            result = EpochResult(epoch, train_loss, train_lwlrap, valid_loss, metric, rate, round(seconds, 3))
            began = time.monotonic()
            processes.from_main(lambda: record_epoch(experiment.history(fold), result))  # noqa: B023
            # A validation fold without labels has no metric: then the last epoch counts as the best.
            if not metric <= progress.best_metric:
                progress.best_metric = metric if math.isfinite(metric) else -math.inf
                progress.best_epoch = epoch
                save("best_model", model=model.state_dict(), epoch=epoch, metric=finite(metric))
            if (epoch + 1) % runtime.save_every == 0:
                save(f"model_on_epoch_{epoch}", model=model.state_dict(), epoch=epoch)
            if epoch + 1 == train["epochs"]:
                save("final_model", model=model.state_dict(), epoch=epoch)
            progress.epoch, progress.batch = epoch + 1, 0
            save("last", **trainer.state())  # last of all: a run killed before it repeats the epoch
            experiment.log(_report(fold, result, progress.best_epoch == epoch))
    except Interrupted:
        if not stop.forced:  # the weights are those after a whole optimizer step
            save("last", **trainer.state())
            experiment.log(f"fold {fold}: interrupted in epoch {progress.epoch}, batch {progress.batch}")
        processes.wait_until_saved(GRACE_SECONDS)
        raise
    finally:
        summaries.close()
    return vars(progress)


def _predict(
    model: nn.Module,
    clips: list[Clip],
    name: str,
    config: dict[str, Any],
    runtime: Runtime,
    stop: StopRequest,
) -> tuple[np.ndarray, dict[int, DataError]]:
    """(clips, classes) logits of whole clips, with batch norms adapted to them where that is asked for.

    And the errors of those that cannot be read, by row.
    """
    batch_size, n_classes = config["train"]["batch_size"], config["network"]["n_classes"]
    if config["train"].get("adapt_batch_norm"):
        adapt_batch_norms(model, clips, config, runtime.num_workers, runtime.device)
    share = share_clips(clips, batch_size, runtime.num_workers, runtime.device)
    logits, _, errors = predict_together([model], share, n_classes, runtime.device, name, stop=stop)
    return logits[0], errors


def _require_finite(logits: np.ndarray, epoch: int, what: str) -> None:
    if not np.isfinite(logits).all():
        raise DataError(
            f"the network's scores of the {what} are not finite after epoch {epoch}; the last good state "
            "is in last.pth. Lower the learning rate"
        )


def _report(fold: int, result: EpochResult, is_best: bool) -> str:
    return (
        f"fold {fold} epoch {result.epoch}: train loss {result.train_loss:.4f} lwlrap "
        f"{result.train_lwlrap:.4f}, valid loss {result.valid_loss:.4f} lwlrap {result.valid_lwlrap:.4f}, "
        f"lr {result.learning_rate:.3g}{' (best)' if is_best else ''}"
    )


def finite(value: float) -> float | None:
    """JSON has no NaN: an undefined metric is null."""
    return float(value) if math.isfinite(value) else None


def show(value: float | int | None) -> str:
    return f"{value:.4f}" if isinstance(value, float) else "undefined" if value is None else str(value)
