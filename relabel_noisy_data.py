#!/usr/bin/env python3
# PYTHON_ARGCOMPLETE_OK
"""Relabel noisy clips by a model's predictions: the next training run's --noisy_train_df.

    python relabel_noisy_data.py --noisy_df data/train_noisy.csv --noisy_predictions_df noisy_preds.csv \\
        --output_df data/train_noisy_round_1.csv --mode scoring_1000
"""

import argparse

from ops.relabeling import STRATEGIES, parse_mode
from toolkit.cli.parser import make_parser, output_path, parsed_by, run_script
from toolkit.clips.tables import write_table
from toolkit.prediction.calibration import calibrations_of
from toolkit.rounds.tables import relabel_table
from toolkit.system import console


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = make_parser(__doc__)
    parser.add_argument("--noisy_df", required=True, help="noisy table, CSV fname,labels")
    parser.add_argument(
        "--noisy_predictions_df",
        required=True,
        nargs="+",
        help="predictions of all its clips, CSV; several are averaged, but consensus compares them, and "
        "trust, correct, their -soft variants and doubt find what each is worth",
    )
    parser.add_argument("--output_df", required=True, help="relabeled table to write, CSV fname,labels")
    parser.add_argument(
        "--mode",
        required=True,
        type=parsed_by(parse_mode),
        help=f"<strategy>_<parameter>, or given alone, see docs/rounds.md: {', '.join(STRATEGIES)}",
    )
    parser.add_argument(
        "--calibrate",
        action="store_true",
        help="make scores comparable between clips first, by --experiment's out-of-fold predictions",
    )
    parser.add_argument(
        "--experiment", nargs="+", help="what made the predictions: one, or one a table of predictions"
    )
    args = parser.parse_args(argv)
    if args.calibrate != (args.experiment is not None):
        parser.error("--calibrate and --experiment go together: give both or none")
    return args


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    output = output_path(args.output_df)
    paths = args.noisy_predictions_df
    calibrations = calibrations_of(args.experiment, len(paths)) if args.calibrate else None
    relabeled = relabel_table(args.noisy_df, paths, args.mode, calibrations)
    write_table(output, relabeled.table)
    console.note(f"{output}: {relabeled.summary}")
    for note in relabeled.notes:
        console.note(note)


if __name__ == "__main__":
    run_script(main)
