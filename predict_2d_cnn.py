#!/usr/bin/env python3
# PYTHON_ARGCOMPLETE_OK
"""Predict clips with the average of the folds of one or more experiments (either network).

    python predict_2d_cnn.py --experiment experiments/2d_cnn-0a1b2c3d --test_df data/train_noisy.csv \\
        --test_data_dir data/train_noisy/ --classmap data/classmap.json --output_df noisy_preds.csv

    python predict_2d_cnn.py --experiment experiments/2d_cnn-0a1b2c3d --inputs my_sounds/ door.mp3 --top_k 3

The clips are those of a table and its folder, or with --inputs any sound files: named ones, and all
below named folders. Each clip is decoded once, and its features are computed once for all networks of
the same --features. A clip that cannot be read gets the mean prediction of the others, is named in a
warning and in <output>.bad_clips.csv, and makes the exit code 3.

Under torchrun the processes share the clips, and what is done is kept in <output>.shards/ until the end:
killed and started again, the same command goes on from there. (Its exit code is then 0 with unreadable
clips, too: torchrun would take another one for a failure.)
"""

import argparse
from pathlib import Path

from networks.classifiers import NetworkConfig, build_classifier
from networks.folding import fold_batch_norms
from ops.errors import DataError
from toolkit.cli import parser as cli
from toolkit.cli import training_flags
from toolkit.clips.checks import probe_clips, probe_files
from toolkit.clips.labels import load_class_map
from toolkit.clips.recordings import find_sounds, in_words
from toolkit.clips.tables import read_table
from toolkit.prediction.ensemble import (
    load_member,
    note_on_seen_clips,
    readable_clips,
    report_bad_clips,
    score_clips,
)
from toolkit.prediction.shards import remove_shards
from toolkit.runs.experiment import Experiment
from toolkit.runs.predictions import Predictions, write_predictions
from toolkit.system import console, processes
from toolkit.system.interruption import StopRequest

WINDOW_SECONDS = 30  # of --inputs; as long as the longest clips of FSDKaggle2019


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = cli.make_parser(__doc__)
    parser.add_argument(
        "--experiment", required=True, nargs="+", help="directory of a training run; of several, the average"
    )
    group = parser.add_argument_group("clips")
    group.add_argument("--test_df", help="table of clips, any CSV with fname")
    group.add_argument("--test_data_dir", help="folder of the table's clips")
    group.add_argument(
        "--inputs", nargs="+", metavar="PATH", help="sound files and folders, in place of table and folder"
    )
    group = parser.add_argument_group("predictions")
    group.add_argument("--output_df", help="predictions to write, CSV; optional with --inputs and --top_k")
    group.add_argument("--classmap", help="JSON {class: index} of the experiment; optional with --inputs")
    group.add_argument(
        "--top_k", type=cli.COUNT, help="print so many classes that each clip sounds like, a line a clip"
    )
    group.add_argument(
        "--window_seconds",
        type=cli.number(float, 1),
        help="score clips longer than twice this in windows and take of each class the highest score; "
        f"without it at full length, with --inputs {WINDOW_SECONDS}",
    )
    group = parser.add_argument_group("run")
    group.add_argument(
        "--batch_size", type=cli.COUNT, default=32, help="clips of 10 s per batch; of shorter ones more"
    )
    group.add_argument(
        "--out_of_fold",
        action="store_true",
        help="score a training clip only by the folds that did not train on it",
    )
    training_flags.add_device_arguments(group)
    training_flags.add_acceleration_arguments(group)
    training_flags.add_adaptation_argument(group)
    args = parser.parse_args(argv)
    check_form(parser, args)
    training_flags.check_compiler(parser, args)
    args.device = training_flags.resolve_device(parser, args.device)
    return args


def check_form(parser: argparse.ArgumentParser, args: argparse.Namespace) -> None:
    """parser.error unless the clips are given in exactly one of the two forms."""
    if args.inputs is None:
        needed = ("test_df", "test_data_dir", "classmap", "output_df")
        missing = [f"--{flag}" for flag in needed if getattr(args, flag) is None]
        if missing:
            parser.error(f"the following arguments are required without --inputs: {', '.join(missing)}")
    elif args.test_df or args.test_data_dir:
        parser.error("--inputs stands for --test_df and --test_data_dir: give these two or --inputs")
    elif args.out_of_fold:
        parser.error("--out_of_fold knows training clips by a table's names: give --test_df, not --inputs")
    elif args.output_df is None and args.top_k is None:
        parser.error("nothing to do: give --output_df, --top_k or both")
    elif args.window_seconds is None:
        args.window_seconds = WINDOW_SECONDS


def find_clips(args: argparse.Namespace) -> tuple[list[str], list[Path], list[int | DataError]]:
    """Names, files and lengths of the clips of either form."""
    if args.inputs is not None:
        fnames, paths = find_sounds(args.inputs)
        return fnames, paths, probe_files(paths)
    fnames = read_table(args.test_df, ["fname"])["fname"].tolist()
    return fnames, *probe_clips(fnames, args.test_data_dir, args.test_df)


def main(argv: list[str] | None = None) -> int:
    args = parse_args(argv)
    with processes.joined(args.device), StopRequest() as stop:
        return run(args, stop)


def run(args: argparse.Namespace, stop: StopRequest) -> int:
    """The whole prediction; returns the exit code."""
    output = cli.output_path(args.output_df) if args.output_df else None
    experiments = [Experiment.load(path) for path in args.experiment]
    classes = experiments[0].config["data"]["classes"]
    if args.classmap:
        classes = list(load_class_map(args.classmap))
    elif others := [e for e in experiments if e.config["data"]["classes"] != classes]:
        raise DataError(
            f"{others[0].directory}: expected the classes of {experiments[0].directory} in the same order, "
            "found others; predict with each alone, and blend_predictions.py brings their classes together"
        )
    fnames, paths, lengths = find_clips(args)
    clips = readable_clips(fnames, paths, lengths) if args.adapt_batch_norm else None
    members = [
        load_member(
            experiment,
            classes,
            args.classmap,
            lambda network: build_classifier(NetworkConfig(**network)),
            fold_batch_norms,
            args.device,
            args.amp,
            args.compile,
            clips,
            args.num_workers,
        )
        for experiment in experiments
    ]
    scores = score_clips(
        members,
        fnames,
        paths,
        lengths,
        args.test_df or ", ".join(args.inputs),
        args.batch_size,
        args.num_workers,
        args.device,
        output,
        {"amp": args.amp, "compile": args.compile},
        window_seconds=args.window_seconds,
        out_of_fold=args.out_of_fold,
        stop=stop,
    )
    if scores is None:
        return 0  # rank 0 has them
    if output is not None:
        write_predictions(output, scores.predictions.completed(fnames))
        remove_shards(output)
        n_models = sum(len(member.models) for member in members)
        console.note(f"{output}: {len(fnames)} clips, {n_models} networks of {', '.join(args.experiment)}")
    note = note_on_seen_clips(scores, len(fnames))
    if note:
        console.note(note)
    if args.top_k is not None:
        print_in_words(scores.predictions, args.top_k)
    report_bad_clips(output, fnames, scores.errors)
    return cli.EXIT_BAD_CLIPS if scores.errors and processes.launch() is None else 0


def print_in_words(predictions: Predictions, top_k: int) -> None:
    """A line a clip that could be read: its name and what it sounds like."""
    width = max(map(len, predictions.fnames))
    for fname, row in zip(predictions.fnames, predictions.probabilities, strict=True):
        print(f"{fname:{width}}  {in_words(row, predictions.classes, top_k)}")


if __name__ == "__main__":
    cli.run_script(main)
