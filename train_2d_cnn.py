#!/usr/bin/env python3
# PYTHON_ARGCOMPLETE_OK
"""Train the 2D CNN on log-mel (or log-STFT) spectrograms, fold by fold.

    python train_2d_cnn.py --train_df data/train_curated.csv --train_data_dir data/train_curated/ \\
        --classmap data/classmap.json --features=mel_2048_1024_128 --optimizer=adam --folds 0 1 2 3 4 \\
        --n_folds=5 --aggregation_type=max --scheduler=1cycle_0.0001_0.005 --p_mixup=0.5 --p_aug=0.75
"""

import argparse
import sys

from networks.classifiers import NetworkConfig, build_classifier
from toolkit.cli import parser as cli
from toolkit.cli import training_flags
from toolkit.clips.labels import load_class_map
from toolkit.system import processes
from toolkit.training.cross_validation import run_folds
from toolkit.training.fold import Runtime

KIND = "2d"


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = cli.make_parser(__doc__)
    training_flags.add_training_arguments(parser, label="2d_cnn", frequency_encoding=True)
    args = parser.parse_args(argv)
    training_flags.check_training_arguments(parser, args, KIND, NetworkConfig)
    return args


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    config = training_flags.training_config(args, KIND, load_class_map(args.classmap))
    experiment = run_folds(
        config,
        args.folds,
        lambda network: build_classifier(NetworkConfig(**network)),
        Runtime(args.device, args.num_workers, args.log_interval, args.save_every, args.parallel),
        experiments_dir=args.experiments_dir,
        resume=args.resume,
        sample_submission=args.sample_submission,
        test_data_dir=args.test_data_dir,
        argv=["train_2d_cnn.py", *(sys.argv[1:] if argv is None else argv)],
    )
    if processes.shows_progress():
        print(experiment.directory)


if __name__ == "__main__":
    cli.run_script(main)
