#!/usr/bin/env python3
"""Score prediction tables against true labels: lwlrap, mean average precision, accuracy.

    python score_predictions.py --truth_df data/test_truth.csv \\
        --predictions_df experiments/2d_cnn-0a1b2c3d/predictions/submission.csv --per_class
"""

import argparse
from pathlib import Path

import numpy as np
from sklearn.metrics import average_precision_score

from ops import cli
from ops.errors import DataError
from ops.labels import encode_labels
from ops.metrics import lwlrap, lwlrap_per_class
from ops.predictions import read_predictions
from ops.tables import read_table


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = cli.make_parser(__doc__)
    parser.add_argument("--truth_df", required=True, help="true labels, CSV fname,labels")
    parser.add_argument("--predictions_df", required=True, nargs="+", help="prediction tables, CSV")
    parser.add_argument("--names", nargs="+", help="names of the rows, instead of the files' paths")
    parser.add_argument("--per_class", action="store_true", help="lwlrap of each class, too")
    parser.add_argument("--bootstrap", type=cli.number(int, 0), default=1000, help="resamplings of the clips")
    parser.add_argument("--seed", type=cli.number(int, 0), default=0, help="of the resampling")
    args = parser.parse_args(argv)
    if args.names is not None and len(args.names) != len(args.predictions_df):
        parser.error(f"--names: expected {len(args.predictions_df)} names, got {len(args.names)}")
    return args


def interval(truth: np.ndarray, scores: np.ndarray, n_resamplings: int, seed: int) -> tuple[float, float]:
    """95 % bootstrap interval of lwlrap over clips, percentiles of the resampled metric."""
    rng = np.random.default_rng(seed)
    # lwlrap is a ratio of sums over clips, so each resampling needs sums only.
    counts = truth.sum(axis=1)
    hits = np.array([lwlrap(truth[i : i + 1], scores[i : i + 1]) for i in range(len(truth))]) * counts
    drawn = rng.integers(0, len(truth), (n_resamplings, len(truth)))
    low, high = np.percentile(hits[drawn].sum(axis=1) / counts[drawn].sum(axis=1), [2.5, 97.5])
    return float(low), float(high)


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    table = read_table(args.truth_df, ["fname", "labels"])
    rows, classes_shown = [["predictions", "clips", "lwlrap", "95 % interval", "mAP", "accuracy"]], []
    for name, path in zip(args.names or args.predictions_df, args.predictions_df, strict=True):
        predictions = read_predictions(path)
        class_map = {label: index for index, label in enumerate(predictions.classes)}
        truth = encode_labels(table["labels"], class_map, args.truth_df, table["fname"]) > 0.5
        scores = predictions.rows_of(table["fname"].tolist(), path)
        labelled = truth.any(axis=1)
        if not labelled.any():
            raise DataError(f"{args.truth_df}: expected labels, found none in any row")
        truth, scores = truth[labelled], scores[labelled]
        present = truth.any(axis=0)
        precision = average_precision_score(truth[:, present], scores[:, present], average="macro")
        accuracy = truth[np.arange(len(truth)), scores.argmax(axis=1)].mean()
        limits = "-"
        if args.bootstrap:
            limits = "{:.4f} to {:.4f}".format(*interval(truth, scores, args.bootstrap, args.seed))
        rows.append(
            [
                name,
                str(len(truth)),
                f"{lwlrap(truth, scores):.4f}",
                limits,
                f"{precision:.4f}",
                f"{accuracy:.4f}",
            ]
        )
        classes_shown.append((name, predictions.classes, lwlrap_per_class(truth, scores), truth.sum(axis=0)))
    cli.print_table(rows)
    if args.per_class:
        for name, classes, values, counts in classes_shown:
            print(f"\n{Path(name).name}")
            order = np.argsort(np.nan_to_num(values, nan=2.0))
            cli.print_table(
                [
                    ["class", "clips", "lwlrap"],
                    *([classes[i], str(counts[i]), f"{values[i]:.4f}"] for i in order),
                ]
            )


if __name__ == "__main__":
    cli.run_script(main)
