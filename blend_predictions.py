#!/usr/bin/env python3
# PYTHON_ARGCOMPLETE_OK
"""Blend the predictions of several models into one table: the plain mean, or another.

    python blend_predictions.py --output_df final.csv --predictions experiments/a-0a1b2c3d \\
        experiments/b-4e5f6a7b noisy_free.csv
    python blend_predictions.py --output_df final.csv --method weighted --truth_df data/train_curated.csv \\
        --predictions experiments/a-0a1b2c3d experiments/b-4e5f6a7b

Each of --predictions is a table or an experiment's directory, of which submission.csv is taken. Clips are
joined by fname, classes by name. Methods:

  mean       plain mean of the probabilities: the published answer
  geometric  geometric mean of the probabilities
  logit      geometric mean of the odds; shifts of all scores of a clip,
             which LSEP leaves free, cancel
  rank       mean of the classes' ranks within each clip: what LSEP trains
             and lwlrap measures
  clip_rank  mean of the clips' ranks within each class: for models trained
             with bce, focal or zlpr, whose scores compare between clips,
             and for measures such as mAP; it makes all classes equally
             frequent among the predicted clips
  weighted   weighted mean; weights fitted to the highest lwlrap of
             out-of-fold predictions

weighted takes the out-of-fold predictions of the experiments, or those of --out_of_fold in the same order,
and their labels from --truth_df. Fitted weights always look good where they were fitted. Therefore they
are fitted again without a part of the clips, part by part, and scored on it (nested); where that does not
beat the plain mean beyond chance, the plain mean is written, unless --force_weights.
"""

import argparse
from pathlib import Path

import numpy as np

from ops.blending import MEANS, weighted_mean
from toolkit.cli.parser import make_parser, number, output_path, print_table, run_script
from toolkit.prediction.blending import (
    fit_members,
    guard_table,
    read_member,
    stacked,
    verdict,
    weights_table,
)
from toolkit.runs.predictions import Predictions, write_predictions
from toolkit.system import console


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = make_parser(__doc__)
    parser.add_argument(
        "--predictions", required=True, nargs="+", metavar="PATH", help="tables, or experiments' directories"
    )
    parser.add_argument("--output_df", required=True, help="blended predictions to write, CSV")
    parser.add_argument("--method", choices=(*MEANS, "weighted"), default="mean", help="kind of mean")
    parser.add_argument("--truth_df", help="for weighted: labels of the out-of-fold clips, CSV fname,labels")
    parser.add_argument(
        "--out_of_fold",
        nargs="+",
        metavar="PATH",
        help="for weighted: out-of-fold tables, or experiments, of each of --predictions in this order; "
        "without it the experiments' own",
    )
    parser.add_argument("--n_folds", type=number(int, 2), default=5, help="for weighted: parts of the guard")
    parser.add_argument("--seed", type=number(int, 0, high=2**32 - 1), default=0, help="of these parts")
    parser.add_argument(
        "--force_weights",
        action="store_true",
        help="for weighted: use the weights though they are not worth it",
    )
    args = parser.parse_args(argv)
    if args.method != "weighted":
        given = [name for name in ("truth_df", "out_of_fold", "force_weights") if getattr(args, name)]
        if given:
            parser.error(f"--{given[0]} belongs to --method weighted")
        return args
    if args.truth_df is None:
        parser.error("--method weighted needs the labels of the out-of-fold clips: give --truth_df")
    if args.out_of_fold is None:
        tables = [path for path in args.predictions if not Path(path).is_dir()]
        if tables:
            parser.error(f"--method weighted: {tables[0]} is no experiment's directory; give --out_of_fold")
        args.out_of_fold = args.predictions
    if len(args.out_of_fold) != len(args.predictions):
        parser.error(
            f"--out_of_fold: expected {len(args.predictions)}, one each, got {len(args.out_of_fold)}"
        )
    return args


def weighted_blend(
    args: argparse.Namespace, classes: list[str], scores: np.ndarray
) -> tuple[np.ndarray, str]:
    """(models, clips, classes) -> (clips, classes) and how: by fitted weights where these are worth it."""
    fit = fit_members(args.out_of_fold, args.predictions, classes, args.truth_df, args.n_folds, args.seed)
    print_table(weights_table(fit, args.predictions))
    print()
    print_table(guard_table(fit))
    print(verdict(fit, args.force_weights))
    if fit.is_worth_it or args.force_weights:
        return weighted_mean(fit.weights, scores).clip(0, 1), "fitted weights"
    return MEANS["mean"](scores), "plain mean"


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    output = output_path(args.output_df)
    tables = [read_member(path) for path in args.predictions]
    fnames, classes, scores = tables[0].fnames, tables[0].classes, stacked(tables, args.predictions)
    if args.method == "weighted":
        blend, method = weighted_blend(args, classes, scores)
    else:
        blend, method = MEANS[args.method](scores), args.method
    write_predictions(output, Predictions(fnames, classes, blend))
    console.note(f"{output}: {len(fnames)} clips, {method} of {len(tables)} predictions")


if __name__ == "__main__":
    run_script(main)
