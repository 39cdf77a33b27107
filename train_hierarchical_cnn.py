#!/usr/bin/env python3
# PYTHON_ARGCOMPLETE_OK
"""Train the hierarchical 1D CNN on log-STFT (or log-mel) frames, fold by fold.

    python train_hierarchical_cnn.py --train_df data/train_curated.csv --train_data_dir data/train_curated/ \\
        --classmap data/classmap.json --preset small

trains all folds of a small network. `--help preset` names other presets; flags given as well count first.
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
