#!/usr/bin/env python3
# PYTHON_ARGCOMPLETE_OK
"""Train a head on embeddings of clips by a pretrained network, frozen, fold by fold.

    python train_embedding_head.py --backbone onnx:yamnet.onnx --train_df data/train_curated.csv \\
        --train_data_dir data/train_curated/ --classmap data/classmap.json --n_folds=5 --folds 0 1 2 3 4

The network is an ONNX file with its settings beside it, or a folder of the transformers library; nothing is
downloaded. docs/backbones.md says which ones there are and how to get them. Each clip's embedding is computed
once and kept on disk, and the head takes seconds to train. All else is as with train_2d_cnn.py.
"""

import argparse
import sys

from toolkit.system.machine import prepare_process

prepare_process()  # before torch is imported

from networks.embeddings import EmbeddingConfig, EmbeddingHead
from toolkit.cli.parser import run_script
from toolkit.cli.training_flags import TrainingScript
from toolkit.system import processes

SCRIPT = TrainingScript(__doc__, "embedding", EmbeddingConfig, EmbeddingHead)


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    return SCRIPT.parse_args(argv)


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    experiment = SCRIPT.run(args, ["train_embedding_head.py", *(sys.argv[1:] if argv is None else argv)])
    if processes.shows_progress():
        print(experiment.directory)


if __name__ == "__main__":
    run_script(main)
