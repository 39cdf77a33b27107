#!/usr/bin/env python3
# PYTHON_ARGCOMPLETE_OK
"""Make the class map of a training table: a JSON object {class: index}, class names sorted.

python create_class_map.py --train_df data/train_curated.csv --output_file data/classmap.json
"""

import argparse

from toolkit.cli.parser import make_parser, output_path, run_script
from toolkit.clips.truth import class_map_of_table
from toolkit.system import console
from toolkit.system.files import write_json


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = make_parser(__doc__)
    parser.add_argument("--train_df", required=True, help="training table, CSV fname,labels")
    parser.add_argument("--output_file", required=True, help="class map to write, JSON")
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    class_map = class_map_of_table(args.train_df)
    write_json(output_path(args.output_file), class_map)
    console.note(f"{args.output_file}: {len(class_map)} classes")


if __name__ == "__main__":
    run_script(main)
