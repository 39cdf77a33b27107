"""An experiment's predictions of the clips that its folds validated on, joined with their labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ops.errors import DataError
from toolkit.clips.labels import encode_labels
from toolkit.clips.tables import read_table
from toolkit.runs.experiment import Experiment
from toolkit.runs.predictions import read_predictions


@dataclass(frozen=True)
class OutOfFold:
    """Clips that finished folds validated on: truth (clips, classes) bool, scores likewise."""

    fnames: list[str]
    folds: np.ndarray
    classes: list[str]
    truth: np.ndarray
    scores: np.ndarray


def read_out_of_fold(
    experiment: Experiment, folds: Sequence[int], train_df: str, advice: str = "restore the table"
) -> OutOfFold:
    """The predictions of these folds; DataError, with the advice, where train_df lacks one of the clips."""
    classes = experiment.config["data"]["classes"]
    tables = [read_predictions(experiment.predictions(f"val_preds_fold_{k}"), classes) for k in folds]
    fnames = [fname for table in tables for fname in table.fnames]
    labels = read_table(train_df, ["fname", "labels"]).set_index("fname")["labels"]
    missing = [fname for fname in fnames if fname not in labels.index]
    if missing:
        raise DataError(
            f"{train_df}: expected the clips that {experiment.directory} was trained on, found no "
            f"{missing[0]!r} ({len(missing)} missing in all); {advice}"
        )
    class_map = {name: index for index, name in enumerate(classes)}
    truth = encode_labels(labels[fnames], class_map, train_df, fnames) > 0.5
    rows = np.repeat(folds, [len(table.fnames) for table in tables])
    return OutOfFold(fnames, rows, classes, truth, np.concatenate([t.probabilities for t in tables]))
