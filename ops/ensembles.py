"""Prediction of a table's clips with the folds of one or more experiments."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import nn

from ops.acceleration import accelerate
from ops.checkpoints import load_weights
from ops.clip_checks import SHOWN, probe_clips
from ops.datasets import Clip
from ops.errors import DataError
from ops.experiment import Experiment
from ops.interruption import StopRequest
from ops.noisy_folds import read_noisy_folds, unseen_folds
from ops.predictions import Predictions
from ops.sharding import predict_in_shards
from ops.tables import read_table, write_table
from ops.training import probabilities

BuildForPrediction = Callable[[dict[str, Any]], nn.Module]  # a config's network section -> a network
Prepare = Callable[[nn.Module], Any]  # what a network with its weights undergoes before it predicts


@dataclass(frozen=True)
class Member:
    """An experiment's finished folds and their networks, ready to predict."""

    experiment: Experiment
    folds: list[int]
    models: list[nn.Module]


@dataclass(frozen=True)
class Scores:
    """Predictions of all rows of a table, and the errors of unreadable clips by row.

    seen_by_all: readable clips that every fold of every experiment trained on.
    """

    predictions: Predictions
    errors: dict[int, DataError]
    seen_by_all: int


def load_member(
    experiment: Experiment,
    classes: Sequence[str],
    classmap: str,
    build_network: BuildForPrediction,
    prepare: Prepare,
    device: torch.device,
    amp: bool = False,
    compile_network: bool = False,
) -> Member:
    """The best models of all finished folds of an experiment of these classes (classmap names them)."""
    if list(classes) != experiment.config["data"]["classes"]:
        raise DataError(
            f"{classmap}: its {len(classes)} classes are not those of {experiment.directory}, which "
            f"has {experiment.config['network']['n_classes']}; give the class map it was trained with"
        )
    folds, models = experiment.finished_folds(), []
    for fold in folds:
        try:
            model = build_network(experiment.config["network"])
        except (TypeError, ValueError) as error:
            raise DataError(f"{experiment.path('config.json')}: section network: {error}") from error
        load_weights(model, experiment.checkpoint(fold, "best_model"))
        prepare(model.eval())
        accelerate(model.to(device), device, amp, compile_network)
        models.append(model)
    return Member(experiment, folds, models)


def score_table(
    members: Sequence[Member],
    table: str | Path,
    data_dir: str,
    batch_size: int,
    num_workers: int,
    device: torch.device,
    output: Path,
    settings: dict[str, object],
    *,
    out_of_fold: bool = False,
    stop: StopRequest | None = None,
) -> Scores | None:
    """Predicts every clip of a table: the mean over folds, then over experiments.

    An unreadable clip gets the mean prediction of the others. With out_of_fold a clip is scored only
    by the folds that did not train on it; one that every fold trained on, by all of them.

    output and settings are those of ops.sharding.predict_in_shards, whose folder the caller removes.
    None on all ranks of torchrun but rank 0.
    """
    classes = members[0].experiment.config["data"]["classes"]
    fnames = read_table(table, ["fname"])["fname"].tolist()
    # Before the long part: an experiment that does not say what its folds saw ends it here.
    usable = [usable_folds(member, fnames, out_of_fold) for member in members]
    paths, lengths = probe_clips(fnames, data_dir, table)
    errors = {row: length for row, length in enumerate(lengths) if isinstance(length, DataError)}
    rows = [row for row in range(len(fnames)) if row not in errors]
    clips = [Clip(fnames[row], paths[row], lengths[row]) for row in rows]
    models = [model for member in members for model in member.models]
    scored = predict_in_shards(
        models, clips, batch_size, num_workers, len(classes), device, output, settings, stop
    )
    if scored is None:
        return None
    logits, unreadable = scored
    errors.update({rows[index]: error for index, error in unreadable.items()})
    if len(errors) == len(fnames):
        raise DataError(f"{table}: none of its {len(fnames)} clips can be read; {errors[0]}")
    good = [index for index in range(len(clips)) if index not in unreadable]
    good_rows = [rows[index] for index in good]
    scores = probabilities(logits[:, good])
    ends = np.cumsum([len(member.models) for member in members])
    parts = [scores[end - len(member.models) : end] for end, member in zip(ends, members, strict=True)]
    mean, unscored = average_of_members(parts, [mask[:, good_rows] for mask in usable])
    predictions = Predictions([fnames[row] for row in good_rows], classes, mean)
    return Scores(predictions.completed(fnames), dict(sorted(errors.items())), unscored)


def usable_folds(member: Member, fnames: Sequence[str], out_of_fold: bool) -> np.ndarray:
    """(folds, clips) bool: which folds of an experiment may score which clips."""
    if not out_of_fold:
        return np.ones((len(member.folds), len(fnames)), dtype=bool)
    return unseen_folds(read_noisy_folds(member.experiment), fnames, member.folds)


def average_of_members(scores: Sequence[np.ndarray], usable: Sequence[np.ndarray]) -> tuple[np.ndarray, int]:
    """The experiments' mean of the mean over usable folds, (clips, classes), and how many had none.

    An experiment without a usable fold for a clip is left out of that clip's mean; a clip that none
    can score is scored by all folds.

    Args:
        scores: of each experiment (folds, clips, classes).
        usable: of each experiment (folds, clips) bool.
    """
    unscored = ~np.any([mask.any(axis=0) for mask in usable], axis=0)
    total, count = np.zeros(scores[0].shape[1:]), np.zeros(scores[0].shape[1])
    for folds, mask in zip(scores, usable, strict=True):
        mask = mask | unscored
        n_usable = mask.sum(axis=0)
        total += (folds * mask[:, :, None]).sum(axis=0) / np.maximum(n_usable, 1)[:, None]
        count += n_usable > 0
    return total / count[:, None], int(unscored.sum())


def note_on_seen_clips(scores: Scores, n_clips: int) -> str | None:
    """What to tell where out-of-fold prediction had no fold left for some clips."""
    if not scores.seen_by_all:
        return None
    return (
        f"note: every fold trained on {scores.seen_by_all} of the {n_clips} clips (--share_noisy, or a warm "
        "start): these are scored by all folds, as without --out_of_fold"
    )


def report_bad_clips(output: Path, fnames: Sequence[str], errors: dict[int, DataError]) -> None:
    """Names the unreadable clips in <output>.bad_clips.csv and in warnings."""
    path = output.with_name(output.name + ".bad_clips.csv")
    names, texts = [fnames[row] for row in errors], [str(error) for error in errors.values()]
    write_table(path, pd.DataFrame({"fname": names, "error": texts}))
    for text in texts[:SHOWN]:
        print(f"warning: {text}; its row holds the mean prediction", file=sys.stderr)
    print(f"warning: {len(errors)} of {len(fnames)} clips could not be read, see {path}", file=sys.stderr)
