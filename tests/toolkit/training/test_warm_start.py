"""--init_from: fold k starts from fold k's best model, and from none that knows its validation clips."""

import json

import numpy as np
import pandas as pd
import pytest
import torch

import train_2d_cnn
import train_hierarchical_cnn
from ops.errors import DataError


@pytest.fixture
def train(training_flags, tmp_path):
    """train(flags...) -> the experiment's directory."""

    def run(*extra: str, script=train_2d_cnn, **changed):
        before = set((tmp_path / "experiments").glob("*"))
        script.main(training_flags(*extra, **{"epochs": 1, **changed}))
        (found,) = set((tmp_path / "experiments").glob("*")) - before
        return found

    return run


def weights(experiment, fold: int, name: str) -> dict:
    path = experiment / f"checkpoints/fold_{fold}/{name}.pth"
    return torch.load(path, weights_only=True)["model"]


def test_each_fold_starts_from_its_own_best_model(train):
    first = train()
    # A learning rate of 0: what comes out is what went in, but for BatchNorm's running statistics.
    second = train(init_from=first, scheduler=None, lr=0)
    for fold in (0, 1):
        before, after = weights(first, fold, "best_model"), weights(second, fold, "final_model")
        for name in before:
            if "running" not in name and "num_batches" not in name:
                assert torch.equal(before[name], after[name]), name
    entry = json.loads((second / "config.json").read_text())["train"]["init_from"]
    assert entry["experiment"] == str(first) and len(entry["digest"]) == 16


def test_a_run_without_it_says_so_in_its_config(train):
    assert json.loads((train() / "config.json").read_text())["train"]["init_from"] is None


def test_other_weights_make_another_experiment(train, training_flags):
    first = train()
    second = train(init_from=first)
    path = first / "checkpoints/fold_0/best_model.pth"
    content = torch.load(path, weights_only=True)
    content["model"]["head.1.bias"] += 1
    torch.save(content, path)
    third = train(init_from=first)
    assert third != second


def test_resuming_a_warm_start_changes_nothing(train, training_flags, tmp_path):
    first = train()
    whole = train(init_from=first, epochs=2)
    train_2d_cnn.main(
        training_flags("--folds", "0", init_from=first, epochs=2, experiments_dir=tmp_path / "p")
    )
    train_2d_cnn.main(training_flags("--folds", "1", "--resume", init_from=first, epochs=2,
                                     experiments_dir=tmp_path / "p"))  # fmt: skip
    (parts,) = (tmp_path / "p").iterdir()
    for fold in (0, 1):
        for name, values in weights(whole, fold, "final_model").items():
            assert torch.equal(values, weights(parts, fold, "final_model")[name])


@pytest.mark.parametrize(
    "changed, named",
    [
        ({"kfold_seed": 1}, "kfold_seed"),
        ({"conv_base_depth": 5}, "conv_base_depth"),
        ({"holdout_size": 0.2}, "holdout_size"),
        ({"max_samples": 20}, "max_samples"),
    ],
)
def test_other_folds_or_networks_are_refused(train, changed, named, tmp_path):
    first = train()
    with pytest.raises(DataError, match=f"expects an experiment of the same {named}"):
        train(init_from=first, **changed)
    assert list((tmp_path / "experiments").iterdir()) == [first]


def test_another_kind_and_unfinished_folds_are_refused(train):
    first = train("--folds", "0")
    with pytest.raises(DataError, match="expected every fold finished.*fold 1"):
        train(init_from=first)
    second = train("--resume", "--folds", "0", "1", kfold_seed=2)
    with pytest.raises(DataError, match="same kind"):
        train(script=train_hierarchical_cnn, init_from=second, kfold_seed=2)


def test_folds_that_learned_the_validation_clips_are_refused(toy, train, tmp_path):
    """The same flags, but the rows of the curated table are others: so are the folds."""
    first = train()
    table = tmp_path / "shuffled.csv"
    order = np.random.default_rng(0).permutation(24)
    pd.read_csv(toy.folder / "train_curated.csv").iloc[order].to_csv(table, index=False)
    with pytest.raises(DataError, match="fold 0 validated on the same clips"):
        train(init_from=first, train_df=table)
