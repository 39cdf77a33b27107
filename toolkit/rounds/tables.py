"""A noisy table, predictions and a mode -> the next training run's noisy table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from ops.calibration import Calibration
from ops.errors import DataError
from ops.relabeling import Relabeling, check_mode, parse_mode
from toolkit.clips.labels import class_index, decode_labels, encode_labels
from toolkit.clips.tables import read_table, read_weights
from toolkit.runs.predictions import read_predictions, unread_clips


@dataclass(frozen=True)
class Relabeled:
    """table: fname, labels and, where the strategy weighs clips, weight; notes: lines for the user."""

    table: pd.DataFrame
    n_clips: int
    n_changed: int
    notes: list[str]

    @property
    def summary(self) -> str:
        return f"kept {len(self.table)} of {self.n_clips} clips, {self.n_changed} with changed labels"


def relabel_table(
    noisy_df: str | Path,
    prediction_paths: Sequence[str | Path],
    mode: str,
    calibrations: Sequence[Calibration | None] | None = None,
) -> Relabeled:
    """Applies a mode to a noisy table, joined with its predictions by fname.

    Clips that prediction could not read (<predictions>.bad_clips.csv) take no clip's place. Several
    prediction tables are averaged, but for a strategy that takes them one by one. calibrations: one for
    each prediction table; None: its probabilities are taken as they are. Further columns of the noisy table
    stay: by one of them the next training may know which clips belong together.
    """
    strategy, parameter = parse_mode(mode)
    noisy = read_table(noisy_df, ["fname", "labels"], all_columns=True)
    n_clips, notes = len(noisy), []
    unread = {name for path in prediction_paths for name in unread_clips(path)} & set(noisy["fname"])
    if unread:
        noisy = noisy[~noisy["fname"].isin(unread)].reset_index(drop=True)
        notes.append(f"note: {len(unread)} clips could not be read in prediction and are left out")
    if noisy.empty:
        raise DataError(f"{noisy_df}: none of its {n_clips} clips could be read in prediction")
    fnames = noisy["fname"].tolist()
    classes: list[str] = []
    tables = []
    for index, path in enumerate(prediction_paths):
        predictions = read_predictions(path)
        if classes and predictions.classes != classes:
            raise DataError(
                f"{path}: expected the classes of {prediction_paths[0]} in the same order, found others; "
                "give predictions of experiments with the same class map"
            )
        classes = predictions.classes
        scores = predictions.rows_of(fnames, path)
        calibration = calibrations[index] if calibrations else None
        tables.append(scores if calibration is None else calibration.apply(scores))
    check_mode(mode, len(classes))
    given_labels = encode_labels(noisy["labels"], class_index(classes), noisy_df, fnames)
    labels = given_labels > 0.5
    scores = np.stack(tables) if strategy.several else sum(tables) / len(tables)

    found = Relabeling(*strategy.apply(labels, scores, fnames, parameter))
    kept, new_labels, weights, noise_rate, doubted = found
    was_unknown = np.isnan(given_labels)
    doubted = np.zeros_like(labels) if doubted is None else doubted & ~was_unknown
    unlabelled = kept & ~new_labels.any(axis=1)
    if unlabelled.any():
        notes.append(f"note: {unlabelled.sum()} clips have no label and are left out")
        kept = kept & ~unlabelled
    earlier = read_weights(str(noisy_df))
    if earlier:  # an earlier relabeling's, or a review's
        given = np.array([earlier[fname] for fname in fnames])
        weights = given if weights is None else given * weights
        notes.append(f"note: the weights of {noisy_df} stay, and multiply those of {mode}")
    if weights is not None:
        kept = kept & (weights > 0)
    changed = ((new_labels != labels) | doubted).any(axis=1) & kept
    # Labels that stay keep their spelling and order.
    spelled = noisy["labels"].to_numpy(dtype=object)
    unknown = (was_unknown | doubted) & ~new_labels
    spelled[changed] = decode_labels(np.where(unknown, np.nan, new_labels)[changed], classes)
    table = pd.DataFrame({"fname": noisy["fname"], "labels": spelled})
    if weights is not None:
        table["weight"] = weights
    further = noisy.drop(columns=["fname", "labels", "weight"], errors="ignore")
    table = pd.concat([table, further], axis=1)[kept]
    if strategy.whole and parameter > len(noisy):
        notes.append(f"note: {mode} asks for {parameter:g} clips, the table has {len(noisy)}; all are kept")
    if noise_rate is not None and np.isnan(noise_rate):
        notes.append(
            "note: the predictions tell too little about the labels to believe or replace any; train longer"
        )
    elif noise_rate is not None:
        notes.append(
            f"note: {noise_rate:.0%} of the labels are wrong, by an estimate from labels and predictions"
        )
    if found.unknown is not None:
        n_labels = (doubted & labels)[kept].sum()
        notes.append(
            f"note: {n_labels} labels of kept clips are in doubt, {doubted[kept].sum() - n_labels} more may "
            "be missing: a ? before them says that nobody knows"
        )
    if not kept.any():
        notes.append("note: no clip is left; training will need another --mode")
    return Relabeled(table, n_clips, int(changed.sum()), notes)


def check_votes(paths: Sequence[str], noisy_df: str, classes: Sequence[str]) -> None:
    """Raises DataError where a prediction table from outside has other classes, or lacks a noisy clip."""
    fnames = read_table(noisy_df, ["fname"])["fname"].tolist()
    for path in paths:
        predictions = read_predictions(path)
        if predictions.classes != list(classes):
            other = set(predictions.classes) ^ set(classes)
            found = f"{min(other)!r} in one of the two alone" if other else "another order"
            raise DataError(
                f"{path}: expected the classes of the rounds' class map in its order, found {found}; give "
                "predictions by an experiment with the same class map"
            )
        predictions.rows_of(fnames, path)
