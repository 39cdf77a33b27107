#!/usr/bin/env python3
# PYTHON_ARGCOMPLETE_OK
"""Check tables, class map and every clip before training; all problems are reported at once.

    python check_data.py --train_df data/train_curated.csv --train_data_dir data/train_curated/ \\
        --test_df data/sample_submission.csv --test_data_dir data/test/ --classmap data/classmap.json

Clips and seconds of each class come first. Errors (clips that are missing, empty or unreadable, duplicate
or unsafe names, unknown labels, tables that cannot be used) would stop training and make the exit code 1.
Warnings (clips known to be wrong, silence, clips shorter than a window, labels that look like mistakes,
classes too small for the folds, files that are not in the table, the same audio in training and test)
leave it 0. Notes (other sample rates, several channels) need nothing done.
"""

import argparse

from toolkit.cli.parser import (
    COUNT,
    EXIT_DATA,
    make_parser,
    number,
    output_path,
    parsed_by,
    print_table,
    run_script,
)
from toolkit.clips.overview import overview, totals
from toolkit.clips.problems import count_errors, summary, table_of
from toolkit.clips.report import check_sources
from toolkit.clips.sources import Source
from toolkit.clips.tables import write_table
from toolkit.system import console

PAIRS = (
    ("train_df", "train_data_dir", "curated"),
    ("noisy_train_df", "noisy_train_data_dir", "noisy"),
    ("test_df", "test_data_dir", "test"),
)


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = make_parser(__doc__)
    parser.add_argument("--train_df", help="curated table, CSV fname,labels")
    parser.add_argument("--train_data_dir", help="folder of its clips")
    parser.add_argument("--noisy_train_df", help="noisy table, CSV fname,labels")
    parser.add_argument("--noisy_train_data_dir", help="folder of its clips")
    parser.add_argument("--test_df", "--sample_submission", help="test table, any CSV with fname")
    parser.add_argument("--test_data_dir", help="folder of its clips")
    parser.add_argument("--classmap", help="JSON {class: index}; without it labels are not checked")
    parser.add_argument("--group_column", help="column of clips that belong together; without it `group`")
    parser.add_argument("--fold_column", help="column of given folds; without it `fold`")
    parser.add_argument("--n_folds", type=number(int, 2), default=4, help="folds of the training run")
    parser.add_argument(
        "--features",
        type=parsed_by(window_of),
        help="front end of the training run; clips shorter than its window are reported",
    )
    parser.add_argument("--num_workers", type=COUNT, default=4, help="threads that read clips")
    parser.add_argument("--output_csv", help="all problems to write, CSV kind,table,fname,detail")
    args = parser.parse_args(argv)
    for table, folder, _ in PAIRS:
        if (getattr(args, table) is None) != (getattr(args, folder) is None):
            parser.error(f"--{table} and --{folder} go together: give both or none")
    if not any(getattr(args, table) for table, _, _ in PAIRS):
        parser.error(
            "nothing to check: give --train_df and --train_data_dir, or another table and its folder"
        )
    return args


def window_of(descriptor: str) -> int:
    """The window of a feature descriptor, in samples."""
    from ops.features import parse_features  # it loads torch, which takes seconds

    return parse_features(descriptor).n_fft


def main(argv: list[str] | None = None) -> int:
    args = parse_args(argv)
    output = output_path(args.output_csv) if args.output_csv else None
    sources = [
        Source(
            getattr(args, table),
            getattr(args, folder),
            role,
            group_column=args.group_column,
            fold_column=args.fold_column,
        )
        for table, folder, role in PAIRS
        if getattr(args, table)
    ]
    n_fft = window_of(args.features) if args.features else None
    problems = check_sources(sources, args.classmap, args.n_folds, n_fft, args.num_workers)
    for source in sources:
        if source.labels:
            console.note(f"{source.table}: {totals(source)}")
    rows = overview(sources)
    if len(rows) > 1 and not args.quiet:
        print_table(rows)
    for line in summary(problems):
        print(line)
    if output is not None:
        write_table(output, table_of(problems))
    return EXIT_DATA if count_errors(problems) else 0


if __name__ == "__main__":
    run_script(main)
