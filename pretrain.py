#!/usr/bin/env python3
# PYTHON_ARGCOMPLETE_OK
"""Pretrain a network without labels on all clips, for training to start from.

    python pretrain.py --objective contrastive --network 2d --preset small \\
        --train_df data/train_curated.csv --train_data_dir data/train_curated/ \\
        --noisy_train_df data/train_noisy.csv --noisy_train_data_dir data/train_noisy/ \\
        --classmap data/classmap.json

learns from the sound of curated, noisy and, where they are given, test clips. Training of the same network
starts from the experiment with --init_from, whatever its folds and classes. Labels of curated clips serve the
linear probe alone, a logistic regression on frozen features that tells how far pretraining has come.
"""

import argparse
import dataclasses
import sys
from typing import Any

from toolkit.system.machine import prepare_process

prepare_process()  # before torch is imported

from torch import nn

from networks.classifiers import NetworkConfig
from networks.pretraining import build_pretraining
from toolkit.cli.parser import COUNT, make_parser, run_script
from toolkit.cli.presets import PRESETS, add_preset_flags, take_defaults
from toolkit.cli.training_flags import (
    add_experiment_flags,
    add_flags,
    add_runtime_flags,
    check_batch_size,
    check_sections,
    run_config_of,
    runtime_of,
    values_of,
)
from toolkit.runs.config import DataConfig, SubmissionConfig, TrainConfig
from toolkit.runs.objectives import Pretraining
from toolkit.system import processes
from toolkit.system.runtime import Runtime
from toolkit.training.cross_validation import Session
from toolkit.training.pretraining import pretrain

OF_TABLES = (
    *("train_df", "train_data_dir", "noisy_train_df", "noisy_train_data_dir", "classmap", "max_samples"),
    *("skip_bad_clips", "drop_known_bad", "group_column", "fold_column", "n_folds", "kfold_seed"),
)
OF_TRAINING = ("optimizer", "lr", "scheduler", "weight_decay", "epochs", "batch_size", "seed")
DEFAULTS = {
    "optimizer": "adam",
    "scheduler": "1cycle_0.0001_0.003",
    "epochs": 50,
    "max_audio_length": 2.0,
}


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = make_parser(__doc__)
    group = parser.add_argument_group("pretraining")
    group.add_argument("--network", required=True, choices=("2d", "1d"), help="2D or hierarchical 1D CNN")
    group.add_argument(
        "--probe_every", type=COUNT, help="epochs between linear probes; without it one at the end"
    )
    add_preset_flags(parser, None, what="network")
    titles = ("data", "folds", "network", "optimisation", "run", "machine")
    groups: dict[str, Any] = {title: parser.add_argument_group(title) for title in titles}
    add_flags({**groups, "": groups["data"]}, DataConfig, (*OF_TABLES, "max_audio_length"))
    add_flags({**groups, "": group}, Pretraining)
    add_flags(groups["network"], NetworkConfig)
    add_flags(groups["optimisation"], TrainConfig, OF_TRAINING)
    add_experiment_flags(groups["run"], label="pretrained")
    add_flags(groups["run"], Runtime, ("log_interval",))
    add_runtime_flags(groups["machine"])
    parser.take(DEFAULTS)
    parser.offer("--preset NAME", PRESETS["published"])
    of_network = [field.name for field in dataclasses.fields(NetworkConfig)]
    preset = take_defaults(parser, sys.argv[1:] if argv is None else argv, None, {*of_network, *OF_TABLES})
    args = parser.parse_args(argv)
    check_sections(parser, args, NetworkConfig, args.network)
    check_batch_size(parser, args)
    if args.objective != "cpc" and args.steps != Pretraining.steps:
        parser.error("--steps goes with --objective=cpc")
    args.pretraining = Pretraining(**values_of(args, Pretraining))
    args.notes = [preset] if preset else []
    args.runtime = runtime_of(parser, args)
    return args


def build(network: dict[str, Any], pretraining: Pretraining) -> nn.Module:
    """The network to pretrain, of a config's section `network`."""
    return build_pretraining(NetworkConfig(**network), pretraining.objective, pretraining.steps)


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    session = Session(
        [],
        ["pretrain.py", *(sys.argv[1:] if argv is None else argv)],
        args.experiments_dir,
        args.resume,
        SubmissionConfig(**values_of(args, SubmissionConfig)),
        notes=args.notes,
    )
    config = run_config_of(args, NetworkConfig, args.network)
    experiment = pretrain(config, session, build, args.runtime, args.probe_every)
    if processes.shows_progress():
        print(experiment.directory)


if __name__ == "__main__":
    run_script(main)
