#!/usr/bin/env python3
# PYTHON_ARGCOMPLETE_OK
"""List experiments: the settings in which they differ, folds done, metric and training time.

    python list_experiments.py --experiments_dir experiments --sort metric

`metric` is lwlrap over all out-of-fold predictions, there once every fold is done; `folds_mean` is the
mean of the done folds' best validation lwlrap. The time is that of all epochs in history/, summed over
folds. An experiment that cannot be read is named in a warning, and makes the exit code 3.
"""

import argparse

from toolkit.cli.parser import EXIT_BAD_CLIPS, make_parser, output_path, print_table, run_script
from toolkit.clips.tables import write_table
from toolkit.runs.comparison import find_experiments, printed, sorted_by, table_of
from toolkit.system import console


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = make_parser(__doc__)
    parser.add_argument("--experiments_dir", default="experiments", help="where experiments are kept")
    parser.add_argument(
        "--sort",
        default="experiment",
        metavar="COLUMN",
        help="column to order by, as metric, seconds or a setting; numbers highest first",
    )
    parser.add_argument("--csv", help="table to write, with all digits and seconds as a number")
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> int:
    args = parse_args(argv)
    output = output_path(args.csv) if args.csv else None
    table, errors = table_of(find_experiments(args.experiments_dir))
    for error in errors:
        console.warn(f"{error}; this experiment is not listed")
    table = sorted_by(table, args.sort)
    if output is not None:
        write_table(output, table)
    print_table(printed(table))
    return EXIT_BAD_CLIPS if errors else 0


if __name__ == "__main__":
    run_script(main)
