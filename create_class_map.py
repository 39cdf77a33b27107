#!/usr/bin/env python3
# PYTHON_ARGCOMPLETE_OK
"""Make the class map of a training table: a JSON object {class: index}, class names sorted.

python create_class_map.py --train_df data/train_curated.csv --output_file data/classmap.json
"""

import argparse

from ops.errors import DataError
from toolkit.cli import parser as cli
from toolkit.clips.labels import can_name_a_column, make_class_map
from toolkit.clips.tables import read_table
from toolkit.system import console
from toolkit.system.files import write_json


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = cli.make_parser(__doc__)
    parser.add_argument("--train_df", required=True, help="training table, CSV fname,labels")
    parser.add_argument("--output_file", required=True, help="class map to write, JSON")
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    class_map = make_class_map(read_table(args.train_df, ["fname", "labels"])["labels"])
    if not class_map:
        raise DataError(f"{args.train_df}: expected labels, found none in any row")
    for name in class_map:
        if not can_name_a_column(name):
            raise DataError(
                f"{args.train_df}: {name!r} cannot be a class, it names a column; rename the label"
            )
    if len(class_map) == 1:
        console.warn(f"{args.train_df}: one class, {next(iter(class_map))!r}, leaves nothing to rank")
    joined = [name for name in class_map if ";" in name or "|" in name]
    if joined:
        console.warn(
            f"{args.train_df}: {len(joined)} class names look like several labels, as {joined[0]!r}; several "
            'go into one quoted cell with commas, "Bark,Run"'
        )
    write_json(cli.output_path(args.output_file), class_map)
    console.note(f"{args.output_file}: {len(class_map)} classes")


if __name__ == "__main__":
    cli.run_script(main)
