"""A refactoring that claims to change nothing reproduces the losses of a seeded run's first ten steps.

Where a change of the numbers is meant, rewrite the file: GOLDEN=write python -m pytest tests/test_golden.py
"""

import json
import os
from pathlib import Path

import numpy as np
import torch

from networks.classifiers import NetworkConfig, build_classifier
from ops.losses import LOSSES
from ops.optimization import learning_rates, make_optimizer
from ops.transforms import Augmentation
from toolkit.clips.loading import Segments, TrainingDataset, training_loader
from toolkit.runs.clips import load_splits
from toolkit.runs.config import DataConfig, SubmissionConfig
from toolkit.system.interruption import StopRequest
from toolkit.system.runtime import Runtime
from toolkit.training.fold import DeviceBatches
from toolkit.training.trainer import Recipe, Trainer

GOLDEN = Path(__file__).with_name("golden") / "toy_losses.json"


class Losses:
    """Stands in for the summaries: the running mean of an epoch's loss, undone into single losses."""

    def __init__(self):
        self.values, self.total = [], 0.0

    def spectrograms(self, *_):
        pass

    def training_step(self, step, loss, *_):
        self.values.append(loss * step - self.total)
        self.total = loss * step


def first_losses(toy, kind: str, features: str) -> list[float]:
    folder, classes = toy.folder / "train_noisy", list(json.loads(toy.classmap.read_text()))
    data = DataConfig(
        train_df=f"{folder}.csv",
        train_data_dir=str(folder),
        classmap=str(toy.classmap),
        classes=classes,
        n_folds=2,
        kfold_seed=0,
    )
    clips = (load_splits(data, SubmissionConfig()).curated * 5)[:80]  # ten batches of eight
    augmentation = Augmentation(p_mixup=0.5, p_shuffle=0.3, p_silence=0.3)
    dataset = TrainingDataset(clips, Segments(1.0, seed=3, fold=0), augmentation, switch_off_on=9)
    cpu = torch.device("cpu")
    batches = DeviceBatches(*training_loader(dataset, 8, Runtime(device=cpu, num_workers=0)), cpu)
    torch.manual_seed(0)
    config = NetworkConfig(kind, features, 8, 3, 6, 1.5, 1, "max", 0.2)
    # In float64: in float32 rounding, which differs between processors, makes another run of it within
    # ten steps (ties of maxima, BatchNorm over few clips, Adam's steps along vanishing gradients).
    model = build_classifier(config).double()
    stop = StopRequest()
    rates = learning_rates("1cycle_0.0001_0.003", 10, 10, 0.0)
    optimizer = make_optimizer("adam", model.parameters(), 0.001, 1e-5)
    trainer = Trainer(model, optimizer, Recipe(LOSSES["lsep"], rates, 1, 0), cpu, stop)
    losses = Losses()
    trainer.train_epoch(batches, 1, losses, "golden")
    return losses.values


RUNS = {"2d": "mel_1024_512_32", "1d": "mel_1024_256_64"}


def test_first_losses_are_the_stored_ones(toy):
    found = {kind: first_losses(toy, kind, features) for kind, features in RUNS.items()}
    if os.environ.get("GOLDEN") == "write":
        GOLDEN.write_text(json.dumps(found, indent=2) + "\n")
    stored = json.loads(GOLDEN.read_text())
    for kind, losses in found.items():
        np.testing.assert_allclose(losses, stored[kind], rtol=1e-4)
