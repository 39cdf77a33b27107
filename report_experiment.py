#!/usr/bin/env python3
# PYTHON_ARGCOMPLETE_OK
"""Make a page of an experiment: figures, curves, classes, confusions, clips to look at and hear.

    python report_experiment.py --experiment experiments/2d_cnn-0a1b2c3d --output report.html

One HTML file that needs no network; an experiment that is still training shows what there is so far. A
clip of 10 s takes about 0.1 MB of it. Several experiments, or the rounds of run_noisy_rounds.py, are
compared, without clips:

    python report_experiment.py --rounds_dir rounds --output rounds.html
"""

import argparse
from pathlib import Path

from toolkit.system.machine import prepare_process

prepare_process()  # before torch is imported

from toolkit.cli.parser import EXIT_BAD_CLIPS, make_parser, number, output_path, run_script
from toolkit.pages.clip_media import ClipMedia, warn_of_unreadable
from toolkit.pages.comparison import comparison_data, comparison_page, experiments_of_rounds
from toolkit.pages.report import report_data, report_page, validated_clips
from toolkit.runs.experiment import Experiment
from toolkit.system import console
from toolkit.system.files import write_text


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = make_parser(__doc__)
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--experiment", nargs="+", help="directory of a training run, or several to compare")
    source.add_argument("--rounds_dir", help="folder that run_noisy_rounds.py filled")
    parser.add_argument("--output", required=True, help="page to write, HTML")
    parser.add_argument("--train_df", help="curated table, where it is no longer where training found it")
    parser.add_argument("--train_data_dir", help="folder of its clips, likewise")
    parser.add_argument("--max_clips", type=number(int, 0), default=40, help="clips in the page")
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
    if args.rounds_dir:
        experiments, rounds = experiments_of_rounds(args.rounds_dir)
        name = Path(args.rounds_dir).resolve().name
    else:
        experiments, rounds = [Experiment.load(directory) for directory in args.experiment], []
        name = f"{len(experiments)} experiments"
    if rounds or len(experiments) > 1:
        data = comparison_data(name, experiments, rounds, args.train_df)
        write_text(output, comparison_page(data))
        console.note(f"{output}: {len(experiments)} experiments compared")
        return 0
    return report(args, experiments[0], output)


def report(args: argparse.Namespace, experiment: Experiment, output: Path) -> int:
    """The page of one experiment."""
    data = experiment.config.data
    clips = validated_clips(experiment, args.train_df or data.train_df)
    media = ClipMedia(experiment.config.features, args.max_seconds)
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
