#!/usr/bin/env python3
# PYTHON_ARGCOMPLETE_OK
"""Score prediction tables against true labels: lwlrap, mean average precision, accuracy.

    python score_predictions.py --truth_df data/test_truth.csv \\
        --predictions_df experiments/2d_cnn-0a1b2c3d/predictions/submission.csv --per_class

Where the true labels have a column `usage`, as those of FSDKaggle2019's test clips (Public or Private), there
is a row for each of its values too: the competition's leaderboards. Another column divides the clips
with --part_column, for example the folds of ESC-50.

lwlrap and accuracy rank the classes of a clip. mAP ranks the clips of a class, for which networks
trained with LSEP are not made: their scores do not compare between clips.
"""

import argparse
import math
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from ops.errors import DataError
from ops.metrics import lwlrap_per_class
from toolkit.cli import parser as cli
from toolkit.clips.labels import encode_labels, split_labels
from toolkit.clips.tables import check_columns, read_table, write_table
from toolkit.prediction.scoring import Score, score
from toolkit.runs.experiment import Experiment
from toolkit.runs.predictions import Predictions, read_predictions

PARTS = "usage"


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = cli.make_parser(__doc__)
    parser.add_argument("--truth_df", required=True, help="true labels, CSV fname,labels")
    parser.add_argument(
        "--predictions_df", required=True, nargs="+", help="prediction tables, CSV, or experiments"
    )
    parser.add_argument("--names", nargs="+", help="names of the rows, instead of the files' paths")
    parser.add_argument("--per_class", action="store_true", help="lwlrap of each class, too")
    parser.add_argument(
        "--part_column", help=f"column of the true labels that divides the clips; without it {PARTS!r} if any"
    )
    parser.add_argument("--bootstrap", type=cli.number(int, 0), default=1000, help="resamplings of the clips")
    parser.add_argument("--seed", type=cli.number(int, 0), default=0, help="of the resampling")
    parser.add_argument("--csv", help="table of all figures to write, unrounded")
    args = parser.parse_args(argv)
    if args.names is not None and len(args.names) != len(args.predictions_df):
        parser.error(f"--names: expected {len(args.predictions_df)} names, got {len(args.names)}")
    names = args.names or args.predictions_df
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        parser.error(f"expected a name for each row, found {twice[0]!r} twice; give --names")
    return args


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    output = cli.output_path(args.csv) if args.csv else None
    table = read_table(args.truth_df, ["fname", "labels"], all_columns=True)
    if args.part_column:
        check_columns(list(table), args.truth_df, [args.part_column], "a table with the column to divide by")
    if not any(split_labels(cell) for cell in table["labels"]):
        raise DataError(f"{args.truth_df}: expected labels, found none in any row")
    parts = list(parts_of(table, args.part_column or PARTS))
    figures = []
    for name, path in zip(args.names or args.predictions_df, args.predictions_df, strict=True):
        if Path(path).is_dir():  # an experiment's
            path = str(Experiment.load(path).predictions("submission"))
        predictions = read_predictions(path)
        truth, scores = joined(table, args.truth_df, predictions, path)
        for part, rows in parts:
            whole = score(truth[rows], scores[rows], args.bootstrap, args.seed)
            figures.append((name, part, "", whole))
            if args.per_class:
                counts, values = truth[rows].sum(axis=0), lwlrap_per_class(truth[rows], scores[rows])
                for label, count, value in zip(predictions.classes, counts, values, strict=True):
                    figures.append((name, part, label, Score(int(count), value, *[math.nan] * 4)))
    if output is not None:
        write_table(output, as_frame(figures))
    show(figures, has_parts=len(parts) > 1)


def joined(
    table: pd.DataFrame, truth_df: str, predictions: Predictions, path: str
) -> tuple[np.ndarray, np.ndarray]:
    """(clips, classes) truth and scores of the true labels' clips; says which predictions have none."""
    known = set(predictions.classes)
    lacking = sorted({name for cell in table["labels"] for name in split_labels(cell)} - known)
    if lacking:
        raise DataError(
            f"{path}: expected a column for each class of {truth_df}, found none for {lacking[0]!r} "
            f"({len(lacking)} missing in all); predict with the class map of these labels"
        )
    class_map = {label: index for index, label in enumerate(predictions.classes)}
    truth = encode_labels(table["labels"], class_map, truth_df, table["fname"]) > 0.5
    scores = predictions.rows_of(table["fname"].tolist(), path)
    n_further = len(set(predictions.fnames) - set(table["fname"]))
    if n_further:
        print(
            f"note: {path}: {n_further} of its clips are not in {truth_df} and do not count", file=sys.stderr
        )
    return truth, scores


def parts_of(table: pd.DataFrame, column: str) -> Iterator[tuple[str, np.ndarray]]:
    """All clips, called "all"; then those of each value of the column, where the table has it."""
    yield "all", np.ones(len(table), dtype=bool)
    if column in table:
        values = table[column].str.strip()
        for value in sorted(set(values) - {""}):
            yield value, (values == value).to_numpy()


def show(figures: list[tuple[str, str, str, Score]], has_parts: bool) -> None:
    """Prints a table of the figures over all classes, then one a prediction of its classes, worst first."""
    rows = [["predictions", "part", "clips", "lwlrap", "95 % interval", "mAP", "accuracy"]]
    classes: dict[str, dict[str, list[Score]]] = {}  # name -> class -> its scores, of all clips first
    for name, part, label, found in figures:
        if label:
            classes.setdefault(name, {}).setdefault(label, []).append(found)
            continue
        limits = "-" if math.isnan(found.low) else f"{cell(found.low)} to {cell(found.high)}"
        others = [cell(found.mean_average_precision), cell(found.accuracy)]
        rows.append([name, part, str(found.clips), cell(found.lwlrap), limits, *others])
    cli.print_table(rows if has_parts else [[row[0], *row[2:]] for row in rows])
    parts = list(dict.fromkeys(part for _, part, _, _ in figures))
    for name, of_classes in classes.items():
        print(f"\n{name}")
        worst_first = sorted(of_classes.items(), key=lambda item: np.nan_to_num(item[1][0].lwlrap, nan=2.0))
        body = [
            [label, str(found[0].clips), *(cell(part.lwlrap) for part in found)]
            for label, found in worst_first
        ]
        cli.print_table([["class", "clips", "lwlrap", *parts[1:]], *body])


def cell(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.4f}"


def as_frame(figures: list[tuple[str, str, str, Score]]) -> pd.DataFrame:
    columns = [
        "predictions",
        "part",
        "class",
        "clips",
        "lwlrap",
        "lwlrap_low",
        "lwlrap_high",
        "mAP",
        "accuracy",
    ]
    rows = [(name, part, label, *vars(found).values()) for name, part, label, found in figures]
    return pd.DataFrame(rows, columns=columns)


if __name__ == "__main__":
    cli.run_script(main)
