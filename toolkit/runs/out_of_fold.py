"""An experiment's predictions of the clips that its folds validated on, joined with their labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ops.errors import DataError
from toolkit.clips.truth import truth_of
from toolkit.runs.experiment import Experiment
from toolkit.runs.predictions import Predictions, read_predictions


@dataclass(frozen=True)
class OutOfFold:
    """Clips that finished folds validated on: truth (clips, classes) 0, 1 or NaN, and scores likewise."""

    fnames: list[str]
    folds: np.ndarray
    classes: list[str]
    truth: np.ndarray
    scores: np.ndarray

    @property
    def labels(self) -> np.ndarray:
        """(clips, classes) bool: what the clips carry."""
        return self.truth > 0.5


def out_of_fold_predictions(experiment: Experiment, folds: Sequence[int]) -> list[Predictions]:
    """A table a fold: its predictions of the clips that it validated on. DataError where there is none."""
    paths = [experiment.predictions(f"val_preds_fold_{fold}") for fold in folds]
    missing = [fold for fold, path in zip(folds, paths, strict=True) if not path.exists()]
    if missing:
        raise DataError(
            f"{experiment.directory}: expected out-of-fold predictions of {len(folds)} folds, found none of "
            f"{missing}; finish its training with --resume"
        )
    return [read_predictions(path, experiment.classes) for path in paths]


def read_out_of_fold(
    experiment: Experiment, folds: Sequence[int], train_df: str, remedy: str = "restore the table"
) -> OutOfFold:
    """The predictions of these folds; DataError, with the remedy, where train_df lacks one of the clips."""
    tables = out_of_fold_predictions(experiment, folds)
    fnames = [fname for table in tables for fname in table.fnames]
    classes = experiment.classes
    remedy = f"it is not the one that {experiment.directory} was trained on; {remedy}"
    truth = truth_of(train_df, fnames, classes, remedy)
    rows = np.repeat(folds, [len(table.fnames) for table in tables])
    return OutOfFold(fnames, rows, classes, truth, np.concatenate([t.probabilities for t in tables]))
