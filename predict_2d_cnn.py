#!/usr/bin/env python3
# PYTHON_ARGCOMPLETE_OK
"""Predict clips with the average of the folds of one or more experiments (any network).

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

from toolkit.system.machine import prepare_process

prepare_process()  # before torch is imported

from networks.build import build_network, prepare_to_predict
from ops.errors import DataError
from toolkit.cli.parser import COUNT, EXIT_BAD_CLIPS, Parser, make_parser, number, output_path, run_script
from toolkit.cli.training_flags import add_flags, add_runtime_flags, runtime_of
from toolkit.clips.labels import load_class_map
from toolkit.clips.loading import MAX_WHOLE_SECONDS, WINDOW_SECONDS
from toolkit.clips.recordings import in_words
from toolkit.prediction.ensemble import NetworkBuilder, check_classes
from toolkit.prediction.predict import ClipsToPredict, PredictionOptions, Predictor, Scores
from toolkit.runs.config import TrainConfig
from toolkit.runs.experiment import Experiment
from toolkit.system import console, processes
from toolkit.system.interruption import StopRequest

NETWORKS = NetworkBuilder(build_network, prepare_to_predict)


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = make_parser(__doc__)
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
        "--top_k", type=COUNT, help="print the so many classes that each clip sounds like most, by clip"
    )
    group.add_argument(
        "--window_seconds",
        type=number(float, 1),
        help="score clips longer than twice this in windows and take of each class the highest score; "
        f"without it {WINDOW_SECONDS} with --inputs, and with a table {WINDOW_SECONDS} for clips longer than "
        f"{MAX_WHOLE_SECONDS}",
    )
    group = parser.add_argument_group("run")
    group.add_argument(
        "--batch_size", type=COUNT, default=32, help="clips of 10 s per batch; of shorter ones more"
    )
    group.add_argument(
        "--out_of_fold",
        action="store_true",
        help="score a training clip only by the folds that did not train on it",
    )
    add_runtime_flags(group)
    add_flags(group, TrainConfig, ["adapt_batch_norm"])
    args = parser.parse_args(argv)
    check_form(parser, args)
    args.runtime = runtime_of(parser, args)
    return args


def check_form(parser: Parser, args: argparse.Namespace) -> None:
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


def main(argv: list[str] | None = None) -> int:
    args = parse_args(argv)
    output = output_path(args.output_df) if args.output_df else None
    options = PredictionOptions(args.batch_size, args.window_seconds, args.out_of_fold, args.adapt_batch_norm)
    with processes.joined(args.runtime.device), StopRequest() as stop:
        experiments = load_experiments(args)
        clips = find_clips(args)
        scores = Predictor(NETWORKS, options, args.runtime, output, stop).predict(experiments, clips)
    if scores is None:
        return 0  # rank 0 has them
    report(args, clips, scores)
    return EXIT_BAD_CLIPS if scores.errors and processes.launch() is None else 0


def load_experiments(args: argparse.Namespace) -> list[Experiment]:
    """The experiments, all with the classes of the class map, or of each other where none is given."""
    experiments = [Experiment.load(path) for path in args.experiment]
    if args.classmap:
        classes = list(load_class_map(args.classmap))
        for experiment in experiments:
            check_classes(experiment, classes, args.classmap)
    elif others := [e for e in experiments if e.classes != experiments[0].classes]:
        raise DataError(
            f"{others[0].directory}: expected the classes of {experiments[0].directory} in the same order, "
            "found others; predict with each alone, and blend_predictions.py brings their classes together"
        )
    return experiments


def find_clips(args: argparse.Namespace) -> ClipsToPredict:
    """The clips of either form."""
    if args.inputs is not None:
        return ClipsToPredict.of_inputs(args.inputs)
    return ClipsToPredict.of_table(args.test_df, args.test_data_dir)


def report(args: argparse.Namespace, clips: ClipsToPredict, scores: Scores) -> None:
    """What was written, and with --top_k what each readable clip sounds like."""
    if args.output_df:
        networks = f"{scores.n_networks} networks of {', '.join(args.experiment)}"
        console.note(f"{Path(args.output_df)}: {len(clips.fnames)} clips, {networks}")
    if args.top_k is not None:
        predictions = scores.predictions
        width = max(map(len, predictions.fnames))
        for fname, row in zip(predictions.fnames, predictions.probabilities, strict=True):
            print(f"{fname:{width}}  {in_words(row, predictions.classes, args.top_k)}")


if __name__ == "__main__":
    run_script(main)
