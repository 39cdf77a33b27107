#!/usr/bin/env python3
# PYTHON_ARGCOMPLETE_OK
"""Train the hierarchical 1D CNN on log-STFT (or log-mel) frames, fold by fold.

    python train_hierarchical_cnn.py --train_df data/train_curated.csv --train_data_dir data/train_curated/ \\
        --classmap data/classmap.json --features=stft_256_128 --optimizer=adam --folds 0 1 2 3 4 \\
        --n_folds=5 --aggregation_type=max --scheduler=1cycle_0.0001_0.005 --p_mixup=0.5 --p_aug=0.75
"""

import argparse
import sys

from toolkit.system.machine import prepare_process

prepare_process()  # before torch is imported

from networks.classifiers import NetworkConfig, build_classifier
from toolkit.cli.parser import run_script
from toolkit.cli.training_flags import TrainingScript
from toolkit.system import processes

SCRIPT = TrainingScript(__doc__, "1d", NetworkConfig, build_classifier)


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    return SCRIPT.parse_args(argv)


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    experiment = SCRIPT.run(args, ["train_hierarchical_cnn.py", *(sys.argv[1:] if argv is None else argv)])
    if processes.shows_progress():
        print(experiment.directory)


if __name__ == "__main__":
    run_script(main)
