#!/usr/bin/env python3
# PYTHON_ARGCOMPLETE_OK
"""Blend the predictions of several models into one table: the plain mean, or another.

    python blend_predictions.py --output_df final.csv --predictions experiments/a-0a1b2c3d \\
        experiments/b-4e5f6a7b noisy_free.csv
    python blend_predictions.py --output_df final.csv --method weighted --truth_df data/train_curated.csv \\
        --predictions experiments/a-0a1b2c3d experiments/b-4e5f6a7b

Each of --predictions is a table or an experiment's directory, of which submission.csv is taken. Clips are
joined by fname, classes by name. Methods:

  mean       plain mean of the probabilities: the published final answer, over 11 models
  geometric  geometric mean of the probabilities
  logit      geometric mean of the odds; shifts of all scores of a clip, which LSEP leaves free, cancel
  rank       mean of the classes' ranks within each clip: what LSEP trains and lwlrap measures
  clip_rank  mean of the clips' ranks within each class: for models trained with bce, focal or zlpr, whose
             scores compare between clips, and for measures such as mAP; it makes all classes equally
             frequent among the predicted clips
  weighted   weighted mean; weights fitted to the highest lwlrap of out-of-fold predictions

weighted takes the out-of-fold predictions of the experiments, or those of --out_of_fold in the same order,
and their labels from --truth_df. Fitted weights always look good where they were fitted. Therefore they
are fitted again without a part of the clips, part by part, and scored on it (nested); where that does not
beat the plain mean beyond chance, the plain mean is written, unless --force_weights.
"""

import argparse
from pathlib import Path

import numpy as np

from ops.blending import MEANS, Fit, fit_with_guard
from ops.errors import DataError
from toolkit.cli import parser as cli
from toolkit.clips.labels import encode_labels
from toolkit.clips.tables import read_table
from toolkit.prediction.blending import read_member, read_out_of_fold, stacked
from toolkit.runs.predictions import Predictions, write_predictions
from toolkit.system import console


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = cli.make_parser(__doc__)
    parser.add_argument("--predictions", required=True, nargs="+", help="tables, or experiments' directories")
    parser.add_argument("--output_df", required=True, help="blended predictions to write, CSV")
    parser.add_argument("--method", choices=(*MEANS, "weighted"), default="mean", help="kind of mean")
    parser.add_argument("--truth_df", help="for weighted: labels of the out-of-fold clips, CSV fname,labels")
    parser.add_argument(
        "--out_of_fold",
        nargs="+",
        help="for weighted: out-of-fold tables, or experiments, of each of --predictions in this order; "
        "without it the experiments' own",
    )
    parser.add_argument(
        "--n_folds", type=cli.number(int, 2), default=5, help="for weighted: parts of the guard"
    )
    parser.add_argument("--seed", type=cli.number(int, 0, high=2**32 - 1), default=0, help="of these parts")
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


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    output = cli.output_path(args.output_df)
    tables = [read_member(path) for path in args.predictions]
    scores = stacked(tables, args.predictions)
    if args.method == "weighted":
        fit = fitted(args, tables[0].classes)
        report(fit, args.predictions)
        use = fit.is_worth_it or args.force_weights
        print(verdict(fit, args.force_weights))
        blend = np.tensordot(fit.weights, scores, axes=1).clip(0, 1) if use else MEANS["mean"](scores)
        method = "fitted weights" if use else "plain mean"
    else:
        blend, method = MEANS[args.method](scores), args.method
    write_predictions(output, Predictions(tables[0].fnames, tables[0].classes, blend))
    console.note(f"{output}: {len(blend)} clips, {method} of {len(tables)} predictions")


def fitted(args: argparse.Namespace, classes: list[str]) -> Fit:
    """The weights of the out-of-fold predictions, joined with the labels of the same clips."""
    tables = [read_out_of_fold(path) for path in args.out_of_fold]
    common = set.intersection(*(set(table.fnames) for table in tables))
    fnames = [fname for fname in tables[0].fnames if fname in common]
    if not fnames:
        raise DataError(f"{args.out_of_fold[0]}: expected clips that all of --out_of_fold have, found none")
    most = max(len(table.fnames) for table in tables)
    if len(fnames) < most:
        console.note(f"note: weights are fitted on the {len(fnames)} clips that all have (of up to {most})")
    tables = [Predictions(fnames, t.classes, t.rows_of(fnames, "")) for t in tables]
    if set(tables[0].classes) != set(classes):
        raise DataError(
            f"{args.out_of_fold[0]}: expected the classes of {args.predictions[0]}, found others; give the "
            "same models to --predictions and --out_of_fold"
        )
    scores = stacked(tables, args.out_of_fold)
    frame = read_table(args.truth_df, ["fname", "labels"]).set_index("fname")["labels"]
    unknown = [fname for fname in fnames if fname not in frame.index]
    if unknown:
        raise DataError(
            f"{args.truth_df}: expected the labels of all out-of-fold clips, found none of {unknown[0]!r} "
            f"({len(unknown)} missing); give the table that the models were trained on"
        )
    class_map = {name: index for index, name in enumerate(tables[0].classes)}
    truth = encode_labels(frame[fnames], class_map, args.truth_df, fnames)
    labelled = truth.any(axis=1)
    if not labelled.any():
        raise DataError(f"{args.truth_df}: expected labels of the out-of-fold clips, found none")
    return fit_with_guard(truth[labelled], scores[:, labelled], args.n_folds, args.seed)


def report(fit: Fit, names: list[str]) -> None:
    cli.print_table(
        [["weight", "predictions"], *([f"{w:.2f}", name] for w, name in zip(fit.weights, names, strict=True))]
    )
    print()
    cli.print_table(
        [
            ["out-of-fold lwlrap", ""],
            ["plain mean", f"{fit.mean:.4f}"],
            ["weights, nested", f"{fit.nested:.4f}  fitted without the clips that are scored"],
            ["weights, fitted on all", f"{fit.fitted:.4f}  on the same clips, so too high"],
        ]
    )


def verdict(fit: Fit, forced: bool) -> str:
    interval = f"nested - mean {fit.nested - fit.mean:+.4f}, 95 % interval {fit.low:+.4f} to {fit.high:+.4f}"
    if fit.is_worth_it:
        return f"the weights are worth it: {interval}"
    outcome = "used nonetheless (--force_weights)" if forced else "the plain mean is kept"
    return f"the weights are not worth it: {interval}; {outcome}"


if __name__ == "__main__":
    cli.run_script(main)
