"""How good predictions are, in a few numbers, and how far these would move with other clips."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from ops.errors import DataError
from ops.metrics import lwlrap_per_class
from ops.scores import Score, score
from toolkit.clips.cells import named_labels, split_labels
from toolkit.clips.labels import class_index, encode_labels
from toolkit.clips.spellings import KnownLabels
from toolkit.clips.tables import check_columns, read_table
from toolkit.runs.experiment import Experiment
from toolkit.runs.out_of_fold import out_of_fold_predictions
from toolkit.runs.predictions import Predictions, read_predictions, unread_clips
from toolkit.system import console

USAGE = "usage"  # the column that divides FSDKaggle2019's test clips


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


@dataclass(frozen=True)
class ScoreOptions:
    """What is computed: n_resamplings, seed and unlabelled as in `score`; figures of each class, too."""

    n_resamplings: int
    seed: int
    per_class: bool = False
    unlabelled: bool = False


@dataclass(frozen=True)
class ToScore:
    """Predictions, the table or the experiment that they come from, and the true labels of their clips."""

    path: str
    predictions: Predictions
    true: TrueLabels

    @classmethod
    def of_test(cls, path: str, true: TrueLabels) -> ToScore:
        """A predictions table, or an experiment's test predictions."""
        if Path(path).is_dir():
            file = Experiment.load(path).predictions("submission")
            if not file.exists():
                raise DataError(
                    f"{path}: expected test predictions, found none; --out_of_fold scores those of validation"
                )
            path = str(file)
        return cls(path, read_predictions(path), true)

    @classmethod
    def of_validation(cls, path: str, truth_df: str | None, part_column: str | None) -> ToScore:
        """An experiment's out-of-fold predictions; truth_df None: the table that it was trained on."""
        if not Path(path).is_dir():
            raise DataError(
                f"{path}: expected an experiment, whose out-of-fold predictions are scored, found no folder; "
                "give --truth_df to score a table"
            )
        experiment = Experiment.load(path)
        experiment.require_classes()
        folds = list(experiment.fold_results())
        if not folds:
            raise DataError(f"{path}: expected a finished fold, found none; finish its training")
        tables = out_of_fold_predictions(experiment, folds)
        rows = np.concatenate([table.probabilities for table in tables])
        predictions = Predictions([f for table in tables for f in table.fnames], experiment.classes, rows)
        if len(folds) < experiment.n_folds:
            missing = sorted(set(range(experiment.n_folds)) - set(folds))
            console.warn(f"{path}: folds {missing} are not finished, their clips are left out")
        true = read_true_labels(truth_df or experiment.config.data.train_df, part_column)
        known = true.table["fname"].isin(predictions.fnames).to_numpy()  # others are of a holdout, too
        if not known.any():
            raise DataError(
                f"{true.path}: expected labels of the clips that {path} was validated on, found none"
            )
        parts = {name: rows[known] for name, rows in true.parts.items()}
        table = true.table[known].reset_index(drop=True)
        return cls(path, predictions, TrueLabels(true.path, table, parts))


def score_table(scored: ToScore, name: str, options: ScoreOptions) -> list[Figure]:
    """Figures of predictions, called `name`."""
    true, predictions = scored.true, scored.predictions
    truth, scores = _joined(true, predictions, scored.path)
    figures = []
    for part, rows in true.parts.items():
        found = score(truth[rows], scores[rows], options.n_resamplings, options.seed, options.unlabelled)
        figures.append(Figure(name, part, "", found))
        if options.per_class:
            counts, values = (truth[rows] > 0.5).sum(axis=0), lwlrap_per_class(truth[rows], scores[rows])
            for label, count, value in zip(predictions.classes, counts, values, strict=True):
                figures.append(Figure(name, part, label, Score(int(count), value, *[math.nan] * 4)))
    return figures


def _joined(true: TrueLabels, predictions: Predictions, path: str) -> tuple[np.ndarray, np.ndarray]:
    """(clips, classes) truth and scores of the true labels' clips; says which predictions have none."""
    fnames, cells = true.table["fname"].tolist(), true.table["labels"]
    names = {cell: set(named_labels(cell)) for cell in cells}
    lacking = sorted(set().union(*names.values()) - set(predictions.classes))
    if lacking:
        cell = next(cell for cell in cells if lacking[0] in names[cell])
        told = KnownLabels(predictions.classes).unknown(cell)[0]
        raise DataError(
            f"{path}: expected a column for each class of {true.path}, found none for {told} "
            f"({len(lacking)} missing in all); predict with the class map of these labels"
        )
    truth = encode_labels(cells, class_index(predictions.classes), true.path, fnames)
    scores = predictions.rows_of(fnames, path)
    n_unread = len(set(unread_clips(path)) & set(fnames))
    if n_unread:
        note = (
            f"note: {path}: {n_unread} of its clips could not be read in prediction: they count with a mean"
        )
        print(note, file=sys.stderr)
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


def unlabelled_note(true: TrueLabels, unlabelled: bool) -> str | None:
    """What becomes of the clips without labels, in a line; None where there is none."""
    n_left_out = sum(not split_labels(cell) for cell in true.table["labels"])
    if not n_left_out:
        return None
    counted = (
        "count in mAP alone, as negatives" if unlabelled else "are left out (--unlabelled has mAP count them)"
    )
    return f"note: {true.path}: {n_left_out} of its {len(true.table)} clips have no label and {counted}"


def class_tables(figures: Sequence[Figure]) -> dict[str, list[list[str]]]:
    """Predictions -> rows of a table to print, heading first: lwlrap of each class and part, worst first."""
    parts = list(dict.fromkeys(figure.part for figure in figures))
    classes: dict[str, dict[str, list[Score]]] = {}  # predictions -> class -> its scores, of all clips first
    for figure in figures:
        if figure.label:
            classes.setdefault(figure.predictions, {}).setdefault(figure.label, []).append(figure.score)
    tables = {}
    for name, of_classes in classes.items():
        rows = sorted(
            of_classes.items(), key=lambda item: (np.nan_to_num(item[1][0].lwlrap, nan=2.0), item[0])
        )
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
