#!/usr/bin/env python3
# PYTHON_ARGCOMPLETE_OK
"""Make a page to review labels by ear: keep, drop or fix clips, save the table to train on.

    python review_labels.py --noisy_df data/train_noisy.csv --relabeled_df data/train_noisy_1.csv \\
        --noisy_predictions_df noisy_predictions.csv --noisy_data_dir data/train_noisy/ --output review.html

shows what a relabeling kept, dropped and changed, an equal share of each; the saved table is for
--noisy_train_df. Wrong labels among the careful ones matter most:

    python review_labels.py --experiment experiments/2d_cnn-0a1b2c3d --output review.html

shows the table that an experiment was trained on, by its out-of-fold predictions; the saved table is for
--train_df. Both show the clips of greatest disagreement between labels and prediction first, and clips of the
same sound together. One HTML file that needs no network; a clip of 10 s takes about 0.1 MB.
"""

import argparse
from pathlib import Path

from toolkit.system.machine import prepare_process

prepare_process()  # before torch is imported

from ops.features import GRAMMAR, parse_features
from toolkit.cli.parser import (
    COUNT,
    EXIT_BAD_CLIPS,
    make_parser,
    number,
    output_path,
    parsed_by,
    run_script,
)
from toolkit.pages.clip_media import DEFAULT_FEATURES, ClipMedia, warn_of_unreadable
from toolkit.pages.review import (
    Review,
    ReviewTables,
    add_media,
    choose_clips,
    curated_review,
    relabeling_review,
    review_page,
    sounds_of,
    with_same_sounds,
)
from toolkit.runs.experiment import Experiment
from toolkit.system import console
from toolkit.system.files import write_text

MAX_CLIPS = 200  # in a page that holds its sounds
OF_RELABELING = ("noisy_df", "relabeled_df", "noisy_predictions_df", "noisy_data_dir")
OF_CURATED = ("experiment", "train_df", "train_data_dir")


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = make_parser(__doc__)
    relabeling = parser.add_argument_group("relabeling")
    relabeling.add_argument("--noisy_df", help="noisy table with the old labels, CSV fname,labels")
    relabeling.add_argument("--relabeled_df", help="what relabel_noisy_data.py made of it")
    relabeling.add_argument("--noisy_predictions_df", help="predictions of all its clips, CSV")
    relabeling.add_argument("--noisy_data_dir", help="folder of the noisy clips")
    curated = parser.add_argument_group("curated set")
    curated.add_argument("--experiment", help="directory of a training run on it")
    curated.add_argument("--train_df", help="curated table, where it is no longer where training found it")
    curated.add_argument("--train_data_dir", help="folder of its clips, likewise")
    page = parser.add_argument_group("page")
    page.add_argument("--output", required=True, help="page to write, HTML")
    page.add_argument(
        "--max_clips", type=COUNT, help=f"clips in the page (default: {MAX_CLIPS}; with --link_audio all)"
    )
    page.add_argument(
        "--reviewed_df", help="decisions saved from an earlier page: taken over, their clips not shown again"
    )
    page.add_argument(
        "--link_audio",
        action="store_true",
        help="refer to the sound files, relative to the page, instead of holding them; without pictures",
    )
    page.add_argument(
        "--max_seconds",
        type=number(float, 0.1, high=3600),
        default=10,
        help="longer clips are cut off there",
    )
    page.add_argument(
        "--features",
        type=parsed_by(parse_features),
        help=f"of the pictures: {GRAMMAR} (default: {DEFAULT_FEATURES}, or the experiment's)",
    )
    args = parser.parse_args(argv)
    check_task(parser, args)
    return args


def check_task(parser: argparse.ArgumentParser, args: argparse.Namespace) -> None:
    """Either the flags of a relabeling, all of them, or those of a curated set."""
    of_relabeling = [f"--{name}" for name in OF_RELABELING if getattr(args, name) is not None]
    of_curated = [f"--{name}" for name in OF_CURATED if getattr(args, name) is not None]
    if of_relabeling and of_curated:
        parser.error(
            f"{of_relabeling[0]} is of a relabeling, {of_curated[0]} of a curated set: give those of one"
        )
    needed = ["--experiment"] if of_curated else [f"--{name}" for name in OF_RELABELING]
    missing = [flag for flag in needed if flag not in of_relabeling + of_curated]
    if not of_relabeling + of_curated:
        parser.error(f"expected {', '.join(needed)} for a relabeling, or --experiment for a curated set")
    if missing:
        parser.error(f"{(of_relabeling + of_curated)[0]} needs {', '.join(missing)}, too")


def main(argv: list[str] | None = None) -> int:
    args = parse_args(argv)
    output = output_path(args.output)
    (content, order), table, folder, features = read_task(args)
    sounds = sounds_of(content, folder)
    limit = args.max_clips or (len(order) if args.link_audio else MAX_CLIPS)
    rows = choose_clips(order, [clip["status"] for clip in content["clips"]], limit)
    rows = with_same_sounds(rows, order, sounds)[:limit]
    add_media(
        content, rows, sounds, folder, output if args.link_audio else ClipMedia(features, args.max_seconds)
    )
    incomplete = warn_of_unreadable(content["clips"], folder)
    page = review_page(content, Path(table).stem)
    write_text(output, page)
    counts = ", ".join(f"{count} {name}" for name, count in content["counts"].items())
    size = f"{len(page.encode()) / 1e6:.1f} MB"
    of = f" ({counts})" if content["task"] == "relabeling" else ""
    console.note(f"{output}: {len(rows)} clips of {len(content['table'])}{of}, {size}")
    return EXIT_BAD_CLIPS if incomplete else 0


def read_task(args: argparse.Namespace) -> tuple[Review, str, str, str | None]:
    """The review, the table that it is of, the folder of its clips, and the features to show, if told."""
    if args.experiment is None:
        tables = ReviewTables(args.noisy_df, args.relabeled_df, args.noisy_predictions_df, args.reviewed_df)
        return relabeling_review(tables), args.relabeled_df, args.noisy_data_dir, args.features
    experiment = Experiment.load(args.experiment)
    data = experiment.config.data
    table = args.train_df or data.train_df
    review = curated_review(experiment, table, args.reviewed_df)
    folder = args.train_data_dir or data.train_data_dir
    return review, table, folder, args.features or experiment.config.features


if __name__ == "__main__":
    run_script(main)
