#!/usr/bin/env python3
# PYTHON_ARGCOMPLETE_OK
"""List experiments: the settings in which they differ, folds done, metric and training time.

    python list_experiments.py --experiments_dir experiments --sort metric

`metric` is lwlrap over all out-of-fold predictions, there once every fold is done; `folds_mean` is the
mean of the done folds' best validation lwlrap. The time is that of all epochs in history/, summed over
folds.
"""

import argparse

import pandas as pd

from toolkit.cli import parser as cli
from toolkit.clips.tables import write_table
from toolkit.runs.comparison import find_experiments, sorted_by, table_of


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = cli.make_parser(__doc__)
    parser.add_argument("--experiments_dir", default="experiments", help="where experiments are kept")
    parser.add_argument(
        "--sort",
        default="experiment",
        metavar="COLUMN",
        help="column to order by, as metric, seconds or a setting; numbers highest first",
    )
    parser.add_argument("--csv", help="table to write, with all digits and seconds as a number")
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    output = cli.output_path(args.csv) if args.csv else None
    table = sorted_by(table_of(find_experiments(args.experiments_dir)), args.sort)
    if output is not None:
        write_table(output, table)
    heading = [{"seconds": "time"}.get(name, name) for name in table.columns]
    rows = table.itertuples(index=False, name=None)
    cli.print_table([heading, *([shown(*cell) for cell in zip(table, row, strict=True)] for row in rows)])


def shown(column: str, value: object) -> str:
    if pd.isna(value):
        return "-"
    if column == "seconds":
        return as_clock(value)
    if column in ("metric", "folds_mean"):
        return f"{value:.4f}"
    return f"{value:g}" if isinstance(value, float) else str(value)


def as_clock(seconds: float) -> str:
    """0:00:07, 1:02:03, 25:00:00: hours, minutes and seconds."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}"


if __name__ == "__main__":
    cli.run_script(main)
