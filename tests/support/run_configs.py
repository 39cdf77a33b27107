"""Configs of experiments that are not trained, for the tests of what reads them."""

from dataclasses import replace

from toolkit.runs.config import DataConfig, RunConfig, TrainConfig

NETWORK = {"kind": "2d", "n_classes": 2, "features": "mel_512_512_16"}


def run_config(
    label: str = "try", network: dict | None = None, train: dict | None = None, **data
) -> RunConfig:
    """A config with some settings changed."""
    paths = {"train_df": "train.csv", "train_data_dir": "train", "classmap": "classmap.json"}
    return RunConfig(
        {**NETWORK, **(network or {})},
        DataConfig(**{**paths, "classes": ["Bark", "Run"], "n_folds": 2, **data}),
        TrainConfig(**{"optimizer": "adam", **(train or {})}),
        label,
    )


def with_train(config: RunConfig, **changes) -> RunConfig:
    return replace(config, train=replace(config.train, **changes))
