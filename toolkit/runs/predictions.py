"""Prediction tables: a column per class in class-map order, then `fname`; a row per clip."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from ops.errors import DataError
from toolkit.clips.tables import check_columns, read_numbers, read_table, write_table

EXPECTED = "a predictions table, a column of probabilities per class and fname"


@dataclass(frozen=True)
class Predictions:
    """probabilities (clips, classes) float64 in [0, 1], rows named by fnames, columns by classes."""

    fnames: list[str]
    classes: list[str]
    probabilities: np.ndarray

    def rows_of(self, fnames: Sequence[str], path: str | Path) -> np.ndarray:
        """Probabilities of the given clips, in their order; DataError naming `path` if one is missing."""
        position = pd.Index(self.fnames).get_indexer(pd.Index(fnames))
        if (position < 0).any():
            missing = [name for name, row in zip(fnames, position, strict=True) if row < 0]
            raise DataError(
                f"{path}: expected a prediction of every clip, found none of {missing[0]!r} "
                f"({len(missing)} missing in all); predict the same table again, or give the one that was "
                "predicted"
            )
        return self.probabilities[position]

    def completed(self, fnames: Sequence[str]) -> Predictions:
        """Rows of the given clips, in their order; those without a prediction get the mean of the table."""
        position = pd.Index(self.fnames).get_indexer(pd.Index(fnames))
        rows = self.probabilities[position]
        rows[position < 0] = self.probabilities.mean(axis=0)
        return Predictions(list(fnames), self.classes, rows)


def bad_clips_path(path: str | Path) -> Path:
    """Table of the clips that could not be read; the predictions beside it give them the others' mean."""
    return Path(path).with_name(Path(path).name + ".bad_clips.csv")


def write_predictions(path: str | Path, predictions: Predictions, with_sum: bool = False) -> None:
    """Writes the table; its float64 read back bit by bit. with_sum as in write_table."""
    if "fname" in predictions.classes:
        raise DataError(f"{path}: a class is called 'fname', as the column of clip names is; rename it")
    frame = pd.DataFrame(predictions.probabilities, columns=predictions.classes)
    frame["fname"] = predictions.fnames
    write_table(path, frame, with_sum)


def read_predictions(path: str | Path, classes: Sequence[str] | None = None) -> Predictions:
    """Reads a predictions table; its columns ordered as `classes` where they are given.

    Raises DataError where a column is missing, or a value is not a number from 0 to 1.
    """
    frame = read_numbers(path, EXPECTED)
    names = [name for name in frame.columns if name != "fname"]
    if classes is not None:
        check_columns(list(frame.columns), path, classes, EXPECTED)
        names = list(classes)
    if not names:
        raise DataError(f"{path}: expected {EXPECTED}, found no class column")
    if "" in names:
        raise DataError(
            f"{path}: expected {EXPECTED}, found a column without a name; write the table without row numbers"
        )
    try:
        values = frame[names].to_numpy(dtype=np.float64)
    except (ValueError, TypeError, OverflowError):
        values = frame[names].map(_to_float).to_numpy(dtype=np.float64)
    bad = ~((values >= 0) & (values <= 1))  # NaN, too
    if bad.any():
        row, column = np.argwhere(bad)[0]
        raise DataError(
            f"{path}: expected probabilities from 0 to 1, found {str(frame[names].iat[row, column])!r} "
            f"in column {names[column]!r} of clip {frame['fname'].iat[row]!r}"
        )
    return Predictions(frame["fname"].tolist(), names, values)


def _to_float(value: object) -> float:
    """The number; NaN for what is none."""
    try:
        return float(value)
    except (ValueError, TypeError, OverflowError):
        return math.nan


def average(tables: Sequence[Predictions]) -> Predictions:
    """The plain mean of prediction tables of the same clips and classes, joined by fname."""
    first = tables[0]
    total = np.zeros_like(first.probabilities)
    for table in tables:
        if table.classes != first.classes:
            raise DataError("expected prediction tables of the same classes in the same order")
        total += table.rows_of(first.fnames, "a prediction table")
    return Predictions(first.fnames, first.classes, total / len(tables))


def unread_clips(predictions: str | Path) -> list[str]:
    """The clips that have no prediction of their own, only the others' mean."""
    path = bad_clips_path(predictions)
    return read_table(path, ["fname"])["fname"].tolist() if path.exists() else []
