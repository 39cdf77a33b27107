#!/usr/bin/env python3
# PYTHON_ARGCOMPLETE_OK
"""Score predictions against true labels: lwlrap, mean average precision, accuracy.

    python score_predictions.py experiments/2d_cnn-0a1b2c3d

scores the predictions of the clips that an experiment validated on, each by the fold that did not train on
it: no test set is needed. With true labels, test predictions:

    python score_predictions.py --truth_df data/test_truth.csv \\
        --predictions_df experiments/2d_cnn-0a1b2c3d --per_class

Where the true labels have a column `usage`, as those of FSDKaggle2019's test clips (Public or Private), there
is a row for each of its values too: the competition's leaderboards. Another column divides the clips
with --part_column, for example the folds of ESC-50.

lwlrap and accuracy rank the classes of a clip. mAP ranks the clips of a class, for which networks
trained with LSEP are not made: their scores do not compare between clips. Clips without labels are left
out; with --unlabelled they count in mAP, as negatives of every class. Accuracy counts a clip whose highest
class is one of its labels; where classes tie for the highest, by the share of these that are.
"""

import argparse
import sys

from toolkit.cli.parser import make_parser, number, output_path, print_table, run_script
from toolkit.clips.tables import write_table
from toolkit.prediction.scoring import (
    USAGE,
    ScoreOptions,
    ToScore,
    class_tables,
    figures_table,
    read_true_labels,
    score_table,
    summary_table,
    unlabelled_note,
)


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = make_parser(__doc__)
    parser.add_argument("predictions", nargs="*", help="experiments, or with --truth_df prediction tables")
    parser.add_argument("--predictions_df", nargs="+", default=[], help="the same as a flag")
    parser.add_argument(
        "--truth_df",
        help="true labels, CSV fname,labels; without it experiments are scored on what they validated on",
    )
    parser.add_argument(
        "--out_of_fold",
        action="store_true",
        help="so, too, with --truth_df, where the training table is no longer where it was",
    )
    parser.add_argument("--names", nargs="+", help="names of the rows, instead of the files' paths")
    parser.add_argument("--per_class", action="store_true", help="lwlrap of each class, too")
    parser.add_argument(
        "--part_column", help=f"column of the true labels that divides the clips; without it {USAGE!r} if any"
    )
    parser.add_argument("--unlabelled", action="store_true", help="let mAP count clips without labels, too")
    parser.add_argument("--bootstrap", type=number(int, 0), default=1000, help="resamplings of the clips")
    parser.add_argument("--seed", type=number(int, 0), default=0, help="of the resampling")
    parser.add_argument("--csv", help="table of all figures to write, unrounded")
    args = parser.parse_args(argv)
    args.predictions += args.predictions_df
    if not args.predictions:
        parser.error("nothing to score: give experiments, or prediction tables and --truth_df")
    if args.names is not None and len(args.names) != len(args.predictions):
        parser.error(f"--names: expected {len(args.predictions)} names, got {len(args.names)}")
    names = args.names = args.names or args.predictions
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        parser.error(f"expected a name for each row, found {twice[0]!r} twice; give --names")
    return args


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    output = output_path(args.csv) if args.csv else None
    options = ScoreOptions(args.bootstrap, args.seed, args.per_class, args.unlabelled)
    true = read_true_labels(args.truth_df, args.part_column) if args.truth_df else None
    scored, figures = [], []
    for path in args.predictions:
        if true is None or args.out_of_fold:
            scored.append(ToScore.of_validation(path, args.truth_df, args.part_column))
        else:
            scored.append(ToScore.of_test(path, true))
    for name, one in zip(args.names, scored, strict=True):
        figures += score_table(one, name, options)
    if output is not None:
        write_table(output, figures_table(figures))
    print_table(summary_table(figures))
    for note in dict.fromkeys(unlabelled_note(one.true, args.unlabelled) for one in scored):
        if note:
            print(note, file=sys.stderr)
    for name, rows in class_tables(figures).items():
        print(f"\n{name}")
        print_table(rows)


if __name__ == "__main__":
    run_script(main)
