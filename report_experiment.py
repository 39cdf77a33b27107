#!/usr/bin/env python3
# PYTHON_ARGCOMPLETE_OK
"""Make a page of an experiment: curves, classes, costly confusions, its worst clips to look at and hear.

    python report_experiment.py --experiment experiments/2d_cnn-0a1b2c3d --output report.html

One HTML file that needs no network; an experiment that is still training shows what there is so far. A
clip of 10 s takes about 0.1 MB of it.
"""

import argparse

from toolkit.system.machine import prepare_process

prepare_process()  # before torch is imported

from toolkit.cli.parser import EXIT_BAD_CLIPS, make_parser, number, output_path, run_script
from toolkit.pages.clip_media import DEFAULT_FEATURES, ClipMedia, warn_of_unreadable
from toolkit.pages.report import report_data, report_page, validated_clips
from toolkit.runs.experiment import Experiment
from toolkit.system import console
from toolkit.system.files import write_text


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = make_parser(__doc__)
    parser.add_argument("--experiment", required=True, help="directory of a training run")
    parser.add_argument("--output", required=True, help="page to write, HTML")
    parser.add_argument("--train_df", help="curated table, where it is no longer where training found it")
    parser.add_argument("--train_data_dir", help="folder of its clips, likewise")
    parser.add_argument("--max_clips", type=number(int, 0), default=40, help="worst clips in the page")
    parser.add_argument(
        "--max_seconds",
        type=number(float, 0.1, high=3600),
        default=10,
        help="longer clips are cut off there",
    )
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> int:
    args = parse_args(argv)
    output = output_path(args.output)
    experiment = Experiment.load(args.experiment)
    data = experiment.config.data
    clips = validated_clips(experiment, args.train_df or data.train_df)
    media = ClipMedia(experiment.config.features or DEFAULT_FEATURES, args.max_seconds)
    folder = args.train_data_dir or data.train_data_dir
    content = report_data(experiment, clips, folder, media, args.max_clips)
    incomplete = warn_of_unreadable(content["clips"], folder)
    page = report_page(content)
    write_text(output, page)
    done = sum(fold["finished"] for fold in content["folds"])
    console.note(
        f"{output}: {done} of {content['n_folds']} folds finished, {len(content['clips'])} clips, "
        f"{len(page.encode()) / 1e6:.1f} MB"
    )
    return EXIT_BAD_CLIPS if incomplete else 0


if __name__ == "__main__":
    run_script(main)
