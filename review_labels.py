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

from ops.features import GRAMMAR, parse_features
from toolkit.cli import parser as cli
from toolkit.clips.tables import has_column, read_table
from toolkit.pages.clip_media import ClipMedia, warn_of_unreadable
from toolkit.pages.review import add_media, choose_clips, read_decisions, review_data
from toolkit.pages.template import build_page
from toolkit.runs.predictions import read_predictions
from toolkit.system import console
from toolkit.system.files import write_text

MAX_CLIPS = 200  # in a page that holds its sounds


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = cli.make_parser(__doc__)
    parser.add_argument("--noisy_df", required=True, help="noisy table before, CSV fname,labels")
    parser.add_argument("--relabeled_df", required=True, help="what relabel_noisy_data.py made of it")
    parser.add_argument("--noisy_predictions_df", required=True, help="predictions of all its clips, CSV")
    parser.add_argument("--noisy_data_dir", required=True, help="folder of the noisy clips")
    parser.add_argument("--output", required=True, help="page to write, HTML")
    parser.add_argument(
        "--max_clips", type=cli.COUNT, help=f"clips in the page (default: {MAX_CLIPS}; with --link_audio all)"
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
        type=cli.number(float, 0.1, high=3600),
        default=10,
        help="longer clips are cut off there",
    )
    parser.add_argument(
        "--features",
        default="mel_2048_1024_128",
        type=cli.parsed_by(parse_features),
        help=f"of the pictures: {GRAMMAR}",
    )
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> int:
    args = parse_args(argv)
    output = cli.output_path(args.output)
    weight = ["weight"] if has_column(args.relabeled_df, "weight") else []
    noisy = read_table(args.noisy_df, ["fname", "labels"])
    relabeled = read_table(args.relabeled_df, ["fname", "labels", *weight])
    paths = {
        "noisy": args.noisy_df,
        "relabeled": args.relabeled_df,
        "predictions": args.noisy_predictions_df,
    }
    data, order = review_data(noisy, relabeled, read_predictions(args.noisy_predictions_df), paths)
    data["decided"] = read_decisions(args.reviewed_df, data) if args.reviewed_df else []
    decided = {fname for fname, *_ in data["decided"]}
    order = [row for row in order if data["table"][row][0] not in decided]
    limit = args.max_clips or (len(order) if args.link_audio else MAX_CLIPS)
    rows = choose_clips(order, [clip["status"] for clip in data["clips"]], limit)
    media = None if args.link_audio else ClipMedia(args.features, args.max_seconds)
    add_media(data, rows, args.noisy_data_dir, output, media)
    incomplete = warn_of_unreadable(data["clips"], args.noisy_data_dir)
    stem = Path(args.relabeled_df).stem
    data |= {"saved_table": f"{stem}_reviewed.csv", "saved_decisions": f"{stem}_decisions.csv"}
    page = build_page(
        f"{stem}: review",
        "review",
        ["base", "review"],
        ["dom", "player", "cards", "csv", "decisions", "editor", "review_card", "review"],
        data,
    )
    write_text(output, page)
    counts = ", ".join(f"{count} {name}" for name, count in data["counts"].items())
    console.note(f"{output}: {len(rows)} clips of {len(noisy)} ({counts}), {len(page.encode()) / 1e6:.1f} MB")
    return cli.EXIT_BAD_CLIPS if incomplete else 0


if __name__ == "__main__":
    cli.run_script(main)
