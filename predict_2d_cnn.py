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

import numpy as np
import pandas as pd

from networks.classifiers import Classifier, NetworkConfig, build_classifier
from networks.folding import fold_batch_norms
from ops import cli, console, distributed, training_cli
from ops.acceleration import accelerate
from ops.checkpoints import load_weights
from ops.clip_checks import SHOWN, probe_clips, probe_files
from ops.datasets import Clip
from ops.errors import DataError
from ops.experiment import Experiment
from ops.interruption import StopRequest
from ops.labels import load_class_map
from ops.own_sounds import find_sounds, in_words, join_windows, split_into_windows
from ops.predictions import Predictions, write_predictions
from ops.sharding import predict_in_shards, remove_shards
from ops.tables import read_table, write_table
from ops.training import probabilities

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
    training_cli.add_device_arguments(group)
    training_cli.add_acceleration_arguments(group)
    args = parser.parse_args(argv)
    check_form(parser, args)
    training_cli.check_compiler(parser, args)
    args.device = training_cli.resolve_device(parser, args.device)
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
    with distributed.joined(args.device), StopRequest() as stop:
        return run(args, stop)


def run(args: argparse.Namespace, stop: StopRequest) -> int:
    """The whole prediction; returns the exit code."""
    output = cli.output_path(args.output_df) if args.output_df else None
    experiments = [Experiment.load(path) for path in args.experiment]
    classes = experiments[0].config["data"]["classes"]
    if args.classmap:
        classes = list(load_class_map(args.classmap))
    members = [load_models(experiment, args, classes) for experiment in experiments]
    models = [model for folds in members for model in folds]
    fnames, paths, lengths = find_clips(args)
    errors = {row: length for row, length in enumerate(lengths) if isinstance(length, DataError)}
    rows = [row for row in range(len(fnames)) if row not in errors]
    clips = [Clip(fnames[row], paths[row], lengths[row]) for row in rows]
    windows, owners = split_into_windows(clips, args.window_seconds)
    scored = predict_in_shards(
        models,
        windows,
        args.batch_size,
        args.num_workers,
        len(classes),
        args.device,
        output,
        {"amp": args.amp, "compile": args.compile},
        stop,
    )
    if scored is None:
        return 0  # rank 0 has them
    logits, unreadable = scored
    errors.update({rows[owners[index]]: error for index, error in unreadable.items()})
    if len(errors) == len(fnames):
        source = args.test_df or ", ".join(args.inputs)
        raise DataError(f"{source}: none of its {len(fnames)} clips can be read; {errors[0]}")

    good = [index for index, row in enumerate(rows) if row not in errors]
    mean = average_of_members(probabilities(logits), [len(folds) for folds in members])
    scores = join_windows(mean, owners)[good]
    predictions = Predictions([clips[index].fname for index in good], classes, scores)
    if output is not None:
        write_predictions(output, predictions.completed(fnames))
        remove_shards(output)
        console.note(f"{output}: {len(fnames)} clips, {len(models)} networks of {', '.join(args.experiment)}")
    if args.top_k is not None:
        print_in_words(predictions, args.top_k)
    return report_bad_clips(output, fnames, errors) if errors else 0


def print_in_words(predictions: Predictions, top_k: int) -> None:
    """A line a clip that could be read: its name and what it sounds like."""
    width = max(map(len, predictions.fnames))
    for fname, row in zip(predictions.fnames, predictions.probabilities, strict=True):
        print(f"{fname:{width}}  {in_words(row, predictions.classes, top_k)}")


def average_of_members(scores: np.ndarray, sizes: list[int]) -> np.ndarray:
    """(models, clips, classes), the folds of each experiment in a row -> the experiments' mean."""
    ends = np.cumsum(sizes)
    folds = [scores[end - size : end].mean(axis=0) for end, size in zip(ends, sizes, strict=True)]
    return np.mean(folds, axis=0)


def load_models(experiment: Experiment, args: argparse.Namespace, classes: list[str]) -> list[Classifier]:
    """The best models of all finished folds, ready to predict; a warning names folds still to come."""
    if classes != experiment.config["data"]["classes"]:
        raise DataError(
            f"{args.classmap}: its {len(classes)} classes are not those of {experiment.directory}, which "
            f"has {experiment.config['network']['n_classes']}; give the class map it was trained with"
        )
    n_folds = experiment.config["data"]["n_folds"]
    results = experiment.results()
    done = [fold for fold in range(n_folds) if "metric" in results.get(f"fold{fold}", {})]
    if not done:
        raise DataError(f"{experiment.directory}: expected a finished fold, found none; finish its training")
    if len(done) < n_folds and distributed.is_main():
        missing = sorted(set(range(n_folds)) - set(done))
        console.warn(f"folds {missing} are not finished; predicting with {done}")
    models = []
    for fold in done:
        try:
            model = build_classifier(NetworkConfig(**experiment.config["network"]))
        except (TypeError, ValueError) as error:
            raise DataError(f"{experiment.path('config.json')}: section network: {error}") from error
        load_weights(model, experiment.checkpoint(fold, "best_model"))
        fold_batch_norms(model.eval())
        accelerate(model.to(args.device), args.device, args.amp, args.compile)
        models.append(model)
    return models


def report_bad_clips(output: Path | None, fnames: list[str], errors: dict[int, DataError]) -> int:
    """Names the unreadable clips in a file beside the output and in warnings; returns the exit code."""
    bad = sorted(errors)
    consequence = ""
    if output is not None:
        path = output.with_name(output.name + ".bad_clips.csv")
        write_table(
            path, pd.DataFrame({"fname": [fnames[r] for r in bad], "error": [str(errors[r]) for r in bad]})
        )
        consequence = f"; their rows hold the mean of the others, see {path}"
    for row in bad[:SHOWN]:
        console.warn(str(errors[row]))
    console.warn(f"{len(bad)} of {len(fnames)} clips could not be read{consequence}")
    return cli.EXIT_BAD_CLIPS if distributed.launch() is None else 0


if __name__ == "__main__":
    cli.run_script(main)
