#!/usr/bin/env python3
# PYTHON_ARGCOMPLETE_OK
"""Make a page to review a relabeling by ear: keep, drop or fix clips, save the table to train on.

    python review_labels.py --noisy_df data/train_noisy.csv --relabeled_df data/train_noisy_1.csv \\
        --noisy_predictions_df noisy_predictions.csv --noisy_data_dir data/train_noisy/ --output review.html

One HTML file that needs no network. The page holds the clips of greatest disagreement between their labels
and the prediction, an equal share of those kept, dropped and changed; a clip of 10 s takes about 0.1 MB.
What the page saves is the whole table, for --noisy_train_df.
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
from toolkit.pages.clip_media import ClipMedia, warn_of_unreadable
from toolkit.pages.review import ReviewTables, add_media, choose_clips, review_data, review_page
from toolkit.system import console
from toolkit.system.files import write_text

MAX_CLIPS = 200  # in a page that holds its sounds


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = make_parser(__doc__)
    parser.add_argument("--noisy_df", required=True, help="noisy table before, CSV fname,labels")
    parser.add_argument("--relabeled_df", required=True, help="what relabel_noisy_data.py made of it")
    parser.add_argument("--noisy_predictions_df", required=True, help="predictions of all its clips, CSV")
    parser.add_argument("--noisy_data_dir", required=True, help="folder of the noisy clips")
    parser.add_argument("--output", required=True, help="page to write, HTML")
    parser.add_argument(
        "--max_clips", type=COUNT, help=f"clips in the page (default: {MAX_CLIPS}; with --link_audio all)"
    )
    parser.add_argument(
        "--reviewed_df", help="decisions saved from an earlier page: taken over, their clips not shown again"
    )
    parser.add_argument(
        "--link_audio",
        action="store_true",
        help="refer to the sound files, relative to the page, instead of holding them; without pictures",
    )
    parser.add_argument(
        "--max_seconds",
        type=number(float, 0.1, high=3600),
        default=10,
        help="longer clips are cut off there",
    )
    parser.add_argument(
        "--features",
        default="mel_2048_1024_128",
        type=parsed_by(parse_features),
        help=f"of the pictures: {GRAMMAR}",
    )
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> int:
    args = parse_args(argv)
    output = output_path(args.output)
    tables = ReviewTables(args.noisy_df, args.relabeled_df, args.noisy_predictions_df, args.reviewed_df)
    content, order = review_data(tables)
    limit = args.max_clips or (len(order) if args.link_audio else MAX_CLIPS)
    rows = choose_clips(order, [clip["status"] for clip in content["clips"]], limit)
    media = None if args.link_audio else ClipMedia(args.features, args.max_seconds)
    add_media(content, rows, args.noisy_data_dir, output, media)
    incomplete = warn_of_unreadable(content["clips"], args.noisy_data_dir)
    page = review_page(content, Path(args.relabeled_df).stem)
    write_text(output, page)
    counts = ", ".join(f"{count} {name}" for name, count in content["counts"].items())
    size = f"{len(page.encode()) / 1e6:.1f} MB"
    console.note(f"{output}: {len(rows)} clips of {len(content['table'])} ({counts}), {size}")
    return EXIT_BAD_CLIPS if incomplete else 0


if __name__ == "__main__":
    run_script(main)
