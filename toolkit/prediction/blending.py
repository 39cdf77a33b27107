"""The predictions that are blended: read from tables or experiments, joined by name."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ops.errors import DataError
from toolkit.runs.experiment import Experiment
from toolkit.runs.predictions import Predictions, read_predictions


def read_member(path: str | Path) -> Predictions:
    """A predictions table; of an experiment's directory its submission.csv."""
    if not Path(path).is_dir():
        return read_predictions(path)
    experiment = Experiment.load(path)
    submission = experiment.predictions("submission")
    if not submission.exists():
        raise DataError(
            f"{submission}: expected the test predictions of all folds, found none; finish its folds with "
            "--sample_submission and --test_data_dir, or give the table that predict_2d_cnn.py wrote"
        )
    return read_predictions(submission, experiment.config["data"]["classes"])


def read_out_of_fold(path: str | Path) -> Predictions:
    """A table of out-of-fold predictions; of an experiment's directory those of all its folds."""
    if not Path(path).is_dir():
        return read_predictions(path)
    experiment = Experiment.load(path)
    classes, n_folds = experiment.config["data"]["classes"], experiment.config["data"]["n_folds"]
    paths = [experiment.predictions(f"val_preds_fold_{fold}") for fold in range(n_folds)]
    missing = [fold for fold, path in enumerate(paths) if not path.exists()]
    if missing:
        raise DataError(
            f"{path}: expected out-of-fold predictions of {n_folds} folds, found none of {missing}; finish "
            "its training with --resume"
        )
    tables = [read_predictions(path, classes) for path in paths]
    fnames = [fname for table in tables for fname in table.fnames]
    return Predictions(fnames, classes, np.concatenate([table.probabilities for table in tables]))


def stacked(tables: Sequence[Predictions], names: Sequence[str]) -> np.ndarray:
    """(models, clips, classes) of the first one's clips and classes, joined by name.

    Raises DataError where another has fewer or further clips or classes.
    """
    first, rows = tables[0], []
    for table, name in zip(tables, names, strict=True):
        for what, ours, theirs in (
            ("classes", table.classes, first.classes),
            ("clips", table.fnames, first.fnames),
        ):
            lacking, further = set(theirs) - set(ours), set(ours) - set(theirs)
            if lacking or further:
                found = f"lacks {min(lacking)!r}" if lacking else f"has {min(further)!r}, too"
                raise DataError(
                    f"{name}: expected the {len(theirs)} {what} of {names[0]}, but it {found} "
                    f"({len(lacking)} lacking, {len(further)} further); predict the same table with the "
                    "same class map"
                )
        columns = [table.classes.index(label) for label in first.classes]
        rows.append(table.rows_of(first.fnames, name)[:, columns])
    return np.stack(rows)
