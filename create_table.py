#!/usr/bin/env python3
# PYTHON_ARGCOMPLETE_OK
"""Make the tables of clips that lie in folders named after their classes, as recordings/Bark/1.wav.

    python create_table.py --data_dir recordings/ --output_dir tables/ --test_size 0.2

writes train.csv (fname,labels) and classmap.json, and with --test_size, of the clips that are left for
testing, test_truth.csv and sample_submission.csv. Folders below a class's folder are searched, too. A clip
that lies in several classes' folders, the same to the last byte, has all their labels.

Clips that were cut from one recording, or are of one person or place, must not lie on both sides of a
division: --group_folders takes the other folders of a clip's path for its group (of Bark/rex/1.wav rex),
--group_regex a part of its path. Training keeps groups whole, too.
"""

import argparse
import re
from pathlib import Path

from ops.errors import DataError
from toolkit.cli.parser import make_parser, number, parsed_by, run_script
from toolkit.clips.class_folders import CLASS_FOLDERS, FolderLayout, classes_without, split, table_of_folders
from toolkit.clips.tables import write_table
from toolkit.clips.truth import class_map_of
from toolkit.system import console
from toolkit.system.console import counted
from toolkit.system.files import write_json


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = make_parser(__doc__)
    parser.add_argument("--data_dir", required=True, help="folder with a folder of clips for each class")
    parser.add_argument("--output_dir", required=True, help="folder of the tables, made where missing")
    parser.add_argument(
        "--class_folder",
        choices=list(CLASS_FOLDERS),
        default="first",
        help="which folder of a clip's path names its class",
    )
    groups = parser.add_mutually_exclusive_group()
    groups.add_argument(
        "--group_folders", action="store_true", help="the other folders of a clip's path name its group"
    )
    groups.add_argument(
        "--group_regex",
        type=parsed_by(pattern),
        metavar="REGEX",
        help="what of a clip's path names its group, the part in brackets: by '/(.+)_' rex of Bark/rex_1.wav",
    )
    parser.add_argument(
        "--test_size", type=number(float, 0, below=1), default=0, help="share of the clips left for testing"
    )
    parser.add_argument("--seed", type=number(int, 0), default=0, help="of the division")
    parser.add_argument("--overwrite", action="store_true", help="replace tables that are there already")
    return parser.parse_args(argv)


def pattern(text: str) -> None:
    """Raises ValueError where a text is no regular expression."""
    try:
        re.compile(text)
    except re.error as error:
        raise ValueError(f"expected a regular expression, got {text!r} ({error})") from error


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    output = Path(args.output_dir)
    names = ["train.csv", "classmap.json"]
    names += ["test_truth.csv", "sample_submission.csv"] if args.test_size else []
    there = [str(output / name) for name in names if (output / name).exists()]
    if there and not args.overwrite:
        raise DataError(
            f"{there[0]}: exists already; give another --output_dir, or --overwrite to replace it"
        )
    layout = FolderLayout(args.class_folder, args.group_folders, args.group_regex)
    train = table_of_folders(args.data_dir, layout)
    classes = class_map_of(train, args.data_dir)
    parts = {"train.csv": train}
    if args.test_size:
        train, test = split(train, args.test_size, args.seed)
        submission = test[["fname"]].assign(**dict.fromkeys(classes, 0))
        parts = {"train.csv": train, "test_truth.csv": test, "sample_submission.csv": submission}
    output.mkdir(parents=True, exist_ok=True)
    write_json(output / "classmap.json", classes)
    for name, table in parts.items():
        write_table(output / name, table)
    for name in names[::2]:
        table = parts[name]
        missing = classes_without(table, classes)
        counts = [counted("clip", len(table)), counted("class", len(classes) - len(missing))]
        counts += [counted("group", table["group"].nunique())] if layout.has_groups else []
        console.note(f"{output / name}: {', '.join(counts)}")
        if missing:
            console.warn(f"{output / name}: no clip of {', '.join(map(repr, missing))}")


if __name__ == "__main__":
    run_script(main)
