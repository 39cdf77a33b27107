"""How good predictions are, in a few numbers, and how far these would move with other clips."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.metrics import average_precision_score

from ops.errors import DataError
from ops.metrics import bootstrap_interval, lrap_per_clip, lwlrap_per_class
from toolkit.clips.cells import split_labels
from toolkit.clips.labels import class_index, encode_labels
from toolkit.clips.spellings import KnownLabels
from toolkit.clips.tables import check_columns, read_table
from toolkit.runs.experiment import Experiment
from toolkit.runs.predictions import Predictions, read_predictions

USAGE = "usage"  # the column that divides FSDKaggle2019's test clips


@dataclass(frozen=True)
class Score:
    """Of the labelled ones among some clips. NaN where nothing is left to score.

    clips: how many. lwlrap with low and high, its 95 % interval. mean_average_precision: over classes
    with a clip. accuracy: share of clips whose highest class is among their labels.
    """

    clips: int
    lwlrap: float
    low: float
    high: float
    mean_average_precision: float
    accuracy: float


def score(truth: np.ndarray, scores: np.ndarray, n_resamplings: int, seed: int) -> Score:
    """Scores of predictions; the interval from n_resamplings resamplings of the clips (0: none).

    Args:
        truth: (clips, classes) multi-hot.
        scores: (clips, classes). lwlrap and accuracy compare classes within a clip. Average precision
            compares clips within a class, which scores trained with a rank loss alone are not made for.
    """
    truth = np.asarray(truth) > 0.5
    labelled = truth.any(axis=1)
    truth, scores = truth[labelled], np.asarray(scores)[labelled]
    if not len(truth):
        return Score(0, *[math.nan] * 5)
    counts = truth.sum(axis=1)
    hits = lrap_per_clip(truth, scores) * counts
    low, high = bootstrap_interval(hits, counts, n_resamplings, seed) if n_resamplings else (math.nan,) * 2
    precisions = [
        average_precision_score(truth[:, k], scores[:, k]) for k in np.flatnonzero(truth.any(axis=0))
    ]
    accuracy = truth[np.arange(len(truth)), scores.argmax(axis=1)].mean()
    return Score(
        len(truth), hits.sum() / counts.sum(), low, high, float(np.mean(precisions)), float(accuracy)
    )


@dataclass(frozen=True)
class TrueLabels:
    """A table of true labels; parts: name -> which of its clips, (clips,) bool, "all" first."""

    path: str
    table: pd.DataFrame
    parts: dict[str, np.ndarray]


@dataclass(frozen=True)
class Figure:
    """A row of the result: whose predictions, of which part of the clips, of which class ("" for all)."""

    predictions: str
    part: str
    label: str
    score: Score


def read_true_labels(path: str, part_column: str | None) -> TrueLabels:
    """Reads a CSV table fname,labels, and divides it by a column: the one given, or `usage` if any."""
    table = read_table(path, ["fname", "labels"], all_columns=True)
    if part_column:
        check_columns(list(table), path, [part_column], "a table with the column to divide by")
    if not any(split_labels(cell) for cell in table["labels"]):
        raise DataError(f"{path}: expected labels, found none in any row")
    parts = {"all": np.ones(len(table), dtype=bool)}
    if (part_column or USAGE) in table:
        values = table[part_column or USAGE].str.strip()
        parts |= {value: (values == value).to_numpy() for value in sorted(set(values) - {""})}
    return TrueLabels(path, table, parts)


def score_table(
    true: TrueLabels, path: str, name: str, n_resamplings: int, seed: int, per_class: bool
) -> list[Figure]:
    """Figures of a predictions table, or of an experiment's test predictions, called `name`."""
    if Path(path).is_dir():
        path = str(Experiment.load(path).predictions("submission"))
    predictions = read_predictions(path)
    truth, scores = _joined(true, predictions, path)
    figures = []
    for part, rows in true.parts.items():
        figures.append(Figure(name, part, "", score(truth[rows], scores[rows], n_resamplings, seed)))
        if per_class:
            counts, values = truth[rows].sum(axis=0), lwlrap_per_class(truth[rows], scores[rows])
            for label, count, value in zip(predictions.classes, counts, values, strict=True):
                figures.append(Figure(name, part, label, Score(int(count), value, *[math.nan] * 4)))
    return figures


def _joined(true: TrueLabels, predictions: Predictions, path: str) -> tuple[np.ndarray, np.ndarray]:
    """(clips, classes) truth and scores of the true labels' clips; says which predictions have none."""
    fnames, cells = true.table["fname"].tolist(), true.table["labels"]
    lacking = sorted({name for cell in cells for name in split_labels(cell)} - set(predictions.classes))
    if lacking:
        cell = next(cell for cell in cells if lacking[0] in split_labels(cell))
        told = KnownLabels(predictions.classes).unknown(cell)[0]
        raise DataError(
            f"{path}: expected a column for each class of {true.path}, found none for {told} "
            f"({len(lacking)} missing in all); predict with the class map of these labels"
        )
    truth = encode_labels(cells, class_index(predictions.classes), true.path, fnames) > 0.5
    scores = predictions.rows_of(fnames, path)
    n_further = len(set(predictions.fnames) - set(fnames))
    if n_further:
        note = f"note: {path}: {n_further} of its clips are not in {true.path} and do not count"
        print(note, file=sys.stderr)
    return truth, scores


def summary_table(figures: Sequence[Figure]) -> list[list[str]]:
    """Rows of a table to print, heading first: the figures over all classes."""
    rows = [["predictions", "part", "clips", "lwlrap", "95 % interval", "mAP", "accuracy"]]
    for figure in figures:
        if not figure.label:
            found = figure.score
            interval = "-" if math.isnan(found.low) else f"{_rounded(found.low)} to {_rounded(found.high)}"
            last = [_rounded(found.mean_average_precision), _rounded(found.accuracy)]
            lwlrap = _rounded(found.lwlrap)
            rows.append([figure.predictions, figure.part, str(found.clips), lwlrap, interval, *last])
    has_parts = any(figure.part != "all" for figure in figures)
    return rows if has_parts else [[row[0], *row[2:]] for row in rows]


def class_tables(figures: Sequence[Figure]) -> dict[str, list[list[str]]]:
    """Predictions -> rows of a table to print, heading first: lwlrap of each class and part, worst first."""
    parts = list(dict.fromkeys(figure.part for figure in figures))
    classes: dict[str, dict[str, list[Score]]] = {}  # predictions -> class -> its scores, of all clips first
    for figure in figures:
        if figure.label:
            classes.setdefault(figure.predictions, {}).setdefault(figure.label, []).append(figure.score)
    tables = {}
    for name, of_classes in classes.items():
        rows = sorted(of_classes.items(), key=lambda item: np.nan_to_num(item[1][0].lwlrap, nan=2.0))
        body = [
            [label, str(found[0].clips), *(_rounded(part.lwlrap) for part in found)] for label, found in rows
        ]
        tables[name] = [["class", "clips", "lwlrap", *parts[1:]], *body]
    return tables


def figures_table(figures: Sequence[Figure]) -> pd.DataFrame:
    """All figures with all digits, to write."""
    names = "predictions part class clips lwlrap lwlrap_low lwlrap_high mAP accuracy"
    rows = [(row.predictions, row.part, row.label, *vars(row.score).values()) for row in figures]
    return pd.DataFrame(rows, columns=names.split())


def _rounded(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.4f}"
