"""Prediction of a table's clips with the folds of one or more experiments."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import nn

from ops.errors import DataError
from ops.logits import sigmoid
from toolkit.clips.loading import Clip
from toolkit.clips.problems import MAX_NAMED
from toolkit.clips.recordings import join_windows, split_into_windows
from toolkit.clips.tables import write_table
from toolkit.prediction.shards import predict_in_shards
from toolkit.runs.checkpoints import load_weights
from toolkit.runs.experiment import Experiment
from toolkit.runs.noisy_folds import folds_of_curated_clips, read_noisy_folds, united, unseen_folds
from toolkit.runs.predictions import Predictions, bad_clips_path
from toolkit.system import console
from toolkit.system.interruption import StopRequest
from toolkit.system.runtime import accelerate
from toolkit.training.batch_norm import adapt_batch_norms

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
    """Predictions of the clips that could be read, and the errors of the others by row.

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
    adapt_to: Sequence[Clip] | None = None,
    num_workers: int = 0,
) -> Member:
    """The best models of all finished folds of an experiment of these classes (classmap names them).

    adapt_to: clips that their batch norms take statistics of, see toolkit.training.batch_norm.
    """
    if list(classes) != experiment.config["data"]["classes"]:
        theirs = experiment.config["data"]["classes"]
        if sorted(classes) == sorted(theirs):
            found = "has the same classes in another order"
        else:
            unknown = [name for name in classes if name not in theirs]
            found = f"has {len(classes)} classes, the experiment {len(theirs)}"
            found += f", {unknown[0]!r} not among them" if unknown else ""
        raise DataError(
            f"{classmap}: expected the classes of {experiment.directory}: it {found}; give the class map "
            "that it was trained with"
        )
    folds, models = experiment.finished_folds(), []
    for fold in folds:
        try:
            model = build_network(experiment.config["network"])
        except (TypeError, ValueError) as error:
            raise DataError(f"{experiment.path('config.json')}: section network: {error}") from error
        load_weights(model, experiment.checkpoint(fold, "best_model"))
        model.eval().to(device)
        if adapt_to is not None:
            adapt_batch_norms(model, adapt_to, experiment.config, num_workers, device)
        prepare(model)
        accelerate(model, device, amp, compile_network)
        models.append(model)
    return Member(experiment, folds, models)


def score_clips(
    members: Sequence[Member],
    fnames: Sequence[str],
    paths: Sequence[Path],
    lengths: Sequence[int | DataError],
    source: str,
    batch_size: int,
    num_workers: int,
    device: torch.device,
    output: Path | None,
    settings: dict[str, object],
    *,
    window_seconds: float | None = None,
    out_of_fold: bool = False,
    stop: StopRequest | None = None,
) -> Scores | None:
    """Predicts clips: the mean over folds, then over experiments.

    With out_of_fold a clip is scored only by the folds that did not train on it; one that every fold
    trained on, by all of them. Names, files and lengths are those of toolkit.clips.checks, source names
    them; window_seconds as in toolkit.clips.recordings. output and settings are those of
    predict_in_shards, whose folder the caller removes. None on all ranks but rank 0.
    """
    classes = members[0].experiment.config["data"]["classes"]
    # Before the long part: an experiment that does not say what its folds saw ends it here.
    usable = [usable_folds(member, fnames, paths, out_of_fold) for member in members]
    errors = {row: length for row, length in enumerate(lengths) if isinstance(length, DataError)}
    rows = [row for row in range(len(fnames)) if row not in errors]
    clips = readable_clips(fnames, paths, lengths)
    windows, owners = split_into_windows(clips, window_seconds)
    models = [model for member in members for model in member.models]
    scored = predict_in_shards(
        models, windows, batch_size, num_workers, len(classes), device, output, settings, stop
    )
    if scored is None:
        return None
    logits, unreadable = scored
    errors.update({rows[owners[index]]: error for index, error in unreadable.items()})
    if len(errors) == len(fnames):
        raise DataError(f"{source}: none of its {len(fnames)} clips can be read; {errors[0]}")
    scores = sigmoid(logits)
    ends = np.cumsum([len(member.models) for member in members])
    parts = [scores[end - len(member.models) : end] for end, member in zip(ends, members, strict=True)]
    rows_of_windows = [rows[owner] for owner in owners]
    mean = average_of_members(parts, [mask[:, rows_of_windows] for mask in usable])
    good = [index for index, row in enumerate(rows) if row not in errors]
    predictions = Predictions([fnames[rows[i]] for i in good], classes, join_windows(mean, owners)[good])
    seen_by_all = int(seen_by_every_fold(usable)[[rows[i] for i in good]].sum())
    return Scores(predictions, dict(sorted(errors.items())), seen_by_all)


def readable_clips(
    fnames: Sequence[str], paths: Sequence[Path], lengths: Sequence[int | DataError]
) -> list[Clip]:
    """The clips whose headers toolkit.clips.checks could read."""
    rows = zip(fnames, paths, lengths, strict=True)
    return [Clip(*row) for row in rows if not isinstance(row[2], DataError)]


def usable_folds(
    member: Member, fnames: Sequence[str], paths: Sequence[Path], out_of_fold: bool
) -> np.ndarray:
    """(folds, clips) bool: which folds of an experiment may score which clips."""
    if not out_of_fold:
        return np.ones((len(member.folds), len(fnames)), dtype=bool)
    curated = folds_of_curated_clips(member.experiment, fnames, paths)
    seen = united(curated, read_noisy_folds(member.experiment))
    return unseen_folds(seen, fnames, member.folds)


def seen_by_every_fold(usable: Sequence[np.ndarray]) -> np.ndarray:
    """(clips,) bool: no fold of any experiment may score it."""
    return ~np.any([mask.any(axis=0) for mask in usable], axis=0)


def average_of_members(scores: Sequence[np.ndarray], usable: Sequence[np.ndarray]) -> np.ndarray:
    """(clips, classes): the experiments' mean of the mean over usable folds.

    An experiment without a usable fold for a clip is left out of that clip's mean; a clip that none
    can score is scored by all folds.

    Args:
        scores: of each experiment (folds, clips, classes).
        usable: of each experiment (folds, clips) bool.
    """
    nobody = seen_by_every_fold(usable)
    total, count = np.zeros(scores[0].shape[1:]), np.zeros(scores[0].shape[1])
    for folds, mask in zip(scores, usable, strict=True):
        mask = mask | nobody
        n_usable = mask.sum(axis=0)
        total += (folds * mask[:, :, None]).sum(axis=0) / np.maximum(n_usable, 1)[:, None]
        count += n_usable > 0
    return total / count[:, None]


def note_on_seen_clips(scores: Scores, n_clips: int) -> str | None:
    """What to tell where out-of-fold prediction had no fold left for some clips."""
    if not scores.seen_by_all:
        return None
    return (
        f"note: no fold is left that did not train on {scores.seen_by_all} of the {n_clips} clips "
        "(--share_noisy, a warm start, or some of the folds alone): these are scored by all, as without "
        "--out_of_fold"
    )


def report_bad_clips(output: Path | None, fnames: Sequence[str], errors: dict[int, DataError]) -> None:
    """Names the unreadable clips, if any, in a file beside the output and in warnings."""
    if not errors:
        if output is not None:
            bad_clips_path(output).unlink(missing_ok=True)  # of an earlier prediction
        return
    names, texts = [fnames[row] for row in errors], [str(error) for error in errors.values()]
    consequence = ""
    if output is not None:
        path = bad_clips_path(output)
        write_table(path, pd.DataFrame({"fname": names, "error": texts}))
        consequence = f"; their rows hold the mean of the others, see {path}"
    for text in texts[:MAX_NAMED]:
        console.warn(text)
    console.warn(f"{len(errors)} of {len(fnames)} clips could not be read{consequence}")
