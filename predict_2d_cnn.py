#!/usr/bin/env python3
"""Predict the clips of a table with the average of the folds of one or more experiments (either network).

    python predict_2d_cnn.py --experiment experiments/2d_cnn-0a1b2c3d --test_df data/train_noisy.csv \\
        --test_data_dir data/train_noisy/ --classmap data/classmap.json --output_df noisy_preds.csv

Each clip is decoded once, and its features are computed once for all networks of the same --features.
A clip that cannot be read gets the mean prediction of the others, is named in a warning and in
<output>.bad_clips.csv, and makes the exit code 3.

Under torchrun the processes share the clips, and what is done is kept in <output>.shards/ until the end:
killed and started again, the same command goes on from there. (Its exit code is then 0 with unreadable
clips, too: torchrun would take another one for a failure.)
"""

import argparse

from networks.classifiers import NetworkConfig, build_classifier
from networks.folding import fold_batch_norms
from ops import cli, distributed, training_cli
from ops.ensembles import load_member, note_on_seen_clips, report_bad_clips, score_table
from ops.experiment import Experiment
from ops.interruption import StopRequest
from ops.labels import load_class_map
from ops.predictions import write_predictions
from ops.sharding import remove_shards


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
    parser.add_argument(
        "--out_of_fold",
        action="store_true",
        help="score a noisy clip only by the folds that did not train on it",
    )
    training_cli.add_device_arguments(parser)
    training_cli.add_acceleration_arguments(parser)
    args = parser.parse_args(argv)
    training_cli.check_compiler(parser, args)
    args.device = training_cli.resolve_device(parser, args.device)
    return args


def main(argv: list[str] | None = None) -> int:
    args = parse_args(argv)
    with distributed.joined(args.device), StopRequest() as stop:
        return run(args, stop)


def run(args: argparse.Namespace, stop: StopRequest) -> int:
    """The whole prediction; returns the exit code."""
    output = cli.output_path(args.output_df)
    classes = list(load_class_map(args.classmap))
    members = [
        load_member(
            Experiment.load(path),
            classes,
            args.classmap,
            lambda network: build_classifier(NetworkConfig(**network)),
            fold_batch_norms,
            args.device,
            args.amp,
            args.compile,
        )
        for path in args.experiment
    ]
    scores = score_table(
        members,
        args.test_df,
        args.test_data_dir,
        args.batch_size,
        args.num_workers,
        args.device,
        output,
        {"amp": args.amp, "compile": args.compile},
        out_of_fold=args.out_of_fold,
        stop=stop,
    )
    if scores is None:
        return 0  # rank 0 has them
    fnames = scores.predictions.fnames
    write_predictions(output, scores.predictions)
    remove_shards(output)
    n_models = sum(len(member.models) for member in members)
    print(f"{output}: {len(fnames)} clips, {n_models} networks of {', '.join(args.experiment)}")
    note = note_on_seen_clips(scores, len(fnames))
    if note:
        print(note)
    if scores.errors:
        report_bad_clips(output, fnames, scores.errors)
        return cli.EXIT_BAD_CLIPS if distributed.launch() is None else 0
    return 0


if __name__ == "__main__":
    cli.run_script(main)
