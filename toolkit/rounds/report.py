"""What rounds.csv says of a round: its noisy clips, its metrics, and how right the kept labels are."""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import Any

import numpy as np
import pandas as pd

from ops.errors import DataError
from ops.metrics import lwlrap
from ops.relabeling import parse_mode
from toolkit.clips.cells import split_labels
from toolkit.clips.tables import read_table
from toolkit.clips.truth import truth_of
from toolkit.rounds.plan import RoundsConfig, RoundsDirectory
from toolkit.runs.experiment import Experiment
from toolkit.runs.predictions import average, read_predictions


def report_of_round(
    number: int,
    plan: RoundsConfig,
    directory: RoundsDirectory,
    experiment: Experiment,
    noisy_truth_df: str | None,
) -> dict[str, Any]:
    """A row of rounds.csv, from what is on disk."""
    row: dict[str, Any] = {
        "round": number,
        "mode": plan.modes[number - 1] if number else "",
        "experiment": experiment.directory.name,
        "noisy_clips": 0,
        "changed_labels": 0,
        "out_of_fold_lwlrap": experiment.results().get("metric"),
        "holdout_lwlrap": holdout_lwlrap(experiment, plan.folds),
    }
    kept, given = {}, label_sets(plan.noisy_df)
    if number:
        kept = label_sets(directory.table(number))
        row["noisy_clips"] = len(kept)
        row["changed_labels"] = sum(labels != given[fname] for fname, labels in kept.items())
    if noisy_truth_df:
        row.update(label_quality(kept, given, label_sets(noisy_truth_df), noisy_truth_df))
    return row


def label_sets(table: Any) -> dict[str, frozenset[str]]:
    """fname -> its labels."""
    frame = read_table(table, ["fname", "labels"])
    return {
        fname: frozenset(split_labels(labels))
        for fname, labels in zip(frame["fname"], frame["labels"], strict=True)
    }


def label_quality(
    kept: dict[str, frozenset[str]], noisy: Collection[str], truth: dict[str, frozenset[str]], truth_df: str
) -> dict[str, float | None]:
    """Precision and recall of kept clips and of their labels; None where nothing was kept.

    noisy are the fnames of all noisy clips, kept or not; truth, read from the table truth_df, may hold
    further clips, as those of the test. Raises DataError where a noisy clip has no true labels.

    A clip is right where its labels are exactly the true ones. kept_precision: right clips of those
    kept; kept_recall: of all noisy clips. label_precision: true labels of those given to kept clips;
    label_recall: of all true labels of the noisy clips.
    """
    missing = [fname for fname in noisy if fname not in truth]
    if missing:
        raise DataError(
            f"{truth_df}: expected the true labels of every noisy clip, found none of {missing[0]!r} "
            f"({len(missing)} missing in all); give the noisy clips' own table"
        )
    right = sum(labels == truth[fname] for fname, labels in kept.items())
    common = sum(len(labels & truth[fname]) for fname, labels in kept.items())
    n_given, n_true = sum(map(len, kept.values())), sum(len(truth[fname]) for fname in noisy)
    return {
        "kept_precision": right / len(kept) if kept else None,
        "kept_recall": right / len(noisy) if kept else None,
        "label_precision": common / n_given if n_given else None,
        "label_recall": common / n_true if kept and n_true else None,
    }


def check_truth(noisy_df: str, truth_df: str) -> None:
    """Raises DataError where a table of true labels lacks a noisy clip."""
    label_quality({}, label_sets(noisy_df), label_sets(truth_df), truth_df)


def holdout_lwlrap(experiment: Experiment, folds: list[int]) -> float | None:
    """lwlrap of the mean of the folds' holdout predictions; None without a holdout, or where undefined."""
    data = experiment.config.data
    if not data.holdout_size:
        return None
    tables = [
        read_predictions(experiment.predictions(f"holdout_preds_fold_{fold}"), data.classes) for fold in folds
    ]
    mean = average(tables)
    value = lwlrap(truth_of(data.train_df, mean.fnames, data.classes), mean.probabilities)
    return None if np.isnan(value) else value


def planned_rounds(plan: RoundsConfig, n_curated: int, n_noisy: int, n_done: int) -> list[list[str]]:
    """The rows of a dry run's table, header first; clips per fold, as far as they are known before.

    n_noisy clips are predicted; of these, and of those kept, --max_samples are trained on.
    """
    rows = [["round", "noisy clips", "training clips a fold", "epochs", "then", "state"]]
    for number in range(plan.n_rounds):
        max_noisy, noisy, is_bound = 0, "none", False
        if number:
            mode = plan.modes[number - 1]
            strategy, parameter = parse_mode(mode)
            max_noisy = min(int(parameter), n_noisy) if strategy.whole else n_noisy
            is_bound = not strategy.whole
            noisy = f"{mode}: {'at most ' * is_bound}{max_noisy}"
        max_drawn = plan.n_drawn(max_noisy)
        curated_per_fold, noisy_per_fold = plan.clips_per_fold(number, n_curated, max_drawn)
        clips = f"{round(curated_per_fold)} curated"
        if number:
            clips += f" + {'at most ' * is_bound}{math.ceil(noisy_per_fold)} noisy"
        if number < plan.n_predicting:
            then = f"predict {n_noisy} noisy clips{', out of fold' * plan.out_of_fold}"
        else:
            then = "the end" if number == len(plan.modes) else "the next"
        epochs = str(plan.epochs(number, n_curated, plan.n_drawn(n_noisy), max_drawn))
        if is_bound and plan.equal_steps:
            epochs += " or more"
        rows.append([str(number), noisy, clips, epochs, then, "done" if number < n_done else "to do"])
    return rows


def printable(rows: list[dict[str, Any]]) -> list[list[str]]:
    """The rows of rounds.csv as texts, header first; columns without a value are left out."""
    frame = pd.DataFrame(rows).dropna(axis=1, how="all")
    return [
        list(frame.columns),
        *[[_format(value) for value in row] for row in frame.itertuples(index=False)],
    ]


def _format(value: Any) -> str:
    if value is None or (isinstance(value, float) and np.isnan(value)):
        return "-"
    return f"{value:.4f}" if isinstance(value, float) else str(value) or "-"
