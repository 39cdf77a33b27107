#!/usr/bin/env python3
"""Which of the noisy labels are wrong, by tables of predictions: each alone, and all of them together.

    python benchmarks/votes.py --noisy_df train_noisy.csv --truth_df train_noisy_truth.csv \\
        --predictions_df predictions/round_0.csv predictions/round_0.neighbours.csv

Of each table, and of all by one fit (ops.noise_model): the share of wrong labels that it estimates, AUROC of
1 - trust for "this clip's labels are wrong", the clips that trust_0.95 keeps and how many of them are right,
and the share of all clips whose labels are right after correction. A clip is right where its labels are
exactly the true ones. The tables of --votes and --neighbours lie in a rounds directory's predictions/.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
from sklearn.metrics import roc_auc_score

sys.path[:0] = [str(Path(__file__).resolve().parent.parent)]
from ops.noise_model import correct_labels  # noqa: E402
from toolkit.cli.parser import print_table  # noqa: E402
from toolkit.clips.tables import read_table  # noqa: E402
from toolkit.clips.truth import truth_of  # noqa: E402
from toolkit.rounds.report import check_truth  # noqa: E402
from toolkit.runs.predictions import read_predictions  # noqa: E402

MIN_TRUST = 0.95
HEADER = ["tables", "e", "wrong", "AUROC", f"trust_{MIN_TRUST:g} keeps", "of these right", "right corrected"]


def row_of(name: str, scores: np.ndarray, given: np.ndarray, truth: np.ndarray) -> list[str]:
    """A row of the table; scores (tables, clips, classes), given and true labels (clips, classes)."""
    found = correct_labels(given, scores)
    wrong = (given != truth).any(axis=1)
    trusted = found.trust >= MIN_TRUST
    auroc = roc_auc_score(wrong, 1 - found.trust) if 0 < wrong.sum() < len(wrong) else np.nan
    right = 1 - wrong[trusted].mean() if trusted.any() else np.nan
    corrected = (found.labels == truth).all(axis=1).mean()
    shares = [found.noise_rate, wrong.mean(), auroc, right, corrected]
    e, wrong_share, *others = (f"{share:.3f}" for share in shares)
    return [name, e, wrong_share, others[0], str(trusted.sum()), *others[1:]]


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--noisy_df", type=Path, required=True, help="labels as given")
    parser.add_argument("--truth_df", type=Path, required=True, help="true labels of the same clips")
    parser.add_argument("--predictions_df", type=Path, nargs="+", required=True, help="one table or several")
    args = parser.parse_args(argv)
    check_truth(args.noisy_df, args.truth_df)
    tables = [read_predictions(path) for path in args.predictions_df]
    fnames, classes = read_table(args.noisy_df, ["fname"])["fname"].tolist(), tables[0].classes
    scores = np.stack(
        [table.rows_of(fnames, path) for table, path in zip(tables, args.predictions_df, strict=True)]
    )
    given, truth = (truth_of(path, fnames, classes) > 0.5 for path in (args.noisy_df, args.truth_df))
    rows = [
        row_of(path.stem, scores[index : index + 1], given, truth)
        for index, path in enumerate(args.predictions_df)
    ]
    if len(tables) > 1:
        rows.append(row_of("all", scores, given, truth))
    print_table([HEADER, *rows])


if __name__ == "__main__":
    main()
