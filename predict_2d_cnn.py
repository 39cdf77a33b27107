#!/usr/bin/env python3
# PYTHON_ARGCOMPLETE_OK
"""Predict the clips of a table with the average of the folds of one or more experiments (either network).

    python predict_2d_cnn.py --experiment experiments/2d_cnn-0a1b2c3d --test_df data/train_noisy.csv \\
        --test_data_dir data/train_noisy/ --classmap data/classmap.json --output_df noisy_preds.csv

Each clip is decoded once, and its features are computed once for all networks of the same --features.
A clip that cannot be read gets the mean prediction of the others, is named in a warning and in
<output>.bad_clips.csv, and makes the exit code 3.
"""

import argparse

import numpy as np
import pandas as pd

from networks.classifiers import Classifier, NetworkConfig, build_classifier
from networks.folding import fold_batch_norms
from ops import cli, console, training_cli
from ops.acceleration import accelerate
from ops.checkpoints import load_weights
from ops.clip_checks import SHOWN, probe_clips
from ops.datasets import Clip, evaluation_loader
from ops.errors import DataError
from ops.experiment import Experiment
from ops.labels import load_class_map
from ops.predictions import Predictions, write_predictions
from ops.tables import read_table, write_table
from ops.training import predict, probabilities


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = cli.make_parser(__doc__)
    parser.add_argument(
        "--experiment", required=True, nargs="+", help="directory of a training run; of several, the average"
    )
    parser.add_argument("--test_df", required=True, help="table of clips, any CSV with fname")
    parser.add_argument("--output_df", required=True, help="predictions to write, CSV")
    parser.add_argument("--test_data_dir", required=True, help="folder of the clips")
    parser.add_argument("--classmap", required=True, help="JSON {class: index} of the experiment")
    parser.add_argument(
        "--batch_size", type=cli.COUNT, default=32, help="clips of 10 s per batch; of shorter ones more"
    )
    training_cli.add_device_arguments(parser)
    training_cli.add_acceleration_arguments(parser)
    args = parser.parse_args(argv)
    training_cli.check_compiler(parser, args)
    args.device = training_cli.resolve_device(parser, args.device)
    return args


def main(argv: list[str] | None = None) -> int:
    args = parse_args(argv)
    output = cli.output_path(args.output_df)
    classes = list(load_class_map(args.classmap))
    members = [load_models(Experiment.load(path), args, classes) for path in args.experiment]
    models = [model for folds in members for model in folds]
    fnames = read_table(args.test_df, ["fname"])["fname"].tolist()
    paths, lengths = probe_clips(fnames, args.test_data_dir, args.test_df)
    errors = {row: length for row, length in enumerate(lengths) if isinstance(length, DataError)}
    rows = [row for row in range(len(fnames)) if row not in errors]
    clips = [Clip(fnames[row], paths[row], lengths[row]) for row in rows]
    loader = evaluation_loader(clips, args.batch_size, args.num_workers, args.device.type == "cuda")
    logits, _, unreadable = predict(models, loader, len(classes), args.device, "prediction")
    errors.update({rows[index]: error for index, error in unreadable.items()})
    if len(errors) == len(fnames):
        raise DataError(f"{args.test_df}: none of its {len(fnames)} clips can be read; {errors[0]}")

    good = [index for index in range(len(clips)) if index not in unreadable]
    mean = average_of_members(probabilities(logits[:, good]), [len(folds) for folds in members])
    predictions = Predictions([clips[index].fname for index in good], classes, mean)
    write_predictions(output, predictions.completed(fnames))
    console.note(f"{output}: {len(fnames)} clips, {len(models)} networks of {', '.join(args.experiment)}")
    return report_bad_clips(output, fnames, errors) if errors else 0


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
    if len(done) < n_folds:
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


def report_bad_clips(output, fnames: list[str], errors: dict[int, DataError]) -> int:
    """Names the unreadable clips in a file and in warnings; returns the exit code."""
    bad = sorted(errors)
    path = output.with_name(output.name + ".bad_clips.csv")
    write_table(
        path, pd.DataFrame({"fname": [fnames[r] for r in bad], "error": [str(errors[r]) for r in bad]})
    )
    for row in bad[:SHOWN]:
        console.warn(f"{errors[row]}; its row holds the mean prediction")
    console.warn(f"{len(bad)} of {len(fnames)} clips could not be read, see {path}")
    return cli.EXIT_BAD_CLIPS


if __name__ == "__main__":
    cli.run_script(main)
