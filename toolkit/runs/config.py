"""What a run's result depends on, as dataclasses: flags, config.json and names of experiments come from them.

A new flag is a field here. Its name is the flag's and the key in config.json, its metadata (see
toolkit.system.options) what --help says of it and which values it takes. A field with a default renames no
experiment: names are digests over the values that differ from the defaults.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ops.errors import DataError
from ops.optimization import GRAMMAR as SCHEDULER_GRAMMAR
from ops.optimization import OPTIMIZERS, parse_scheduler
from ops.samples import DEFAULT_EFFECTS, EFFECTS_ENGINES, MIXUPS
from toolkit.runs.objectives import Pretraining
from toolkit.system.files import read_json
from toolkit.system.options import WAVEFORM_KINDS, before, option, section_from_json

MAX_SEED = 2**32 - 1
ENGINES, MIXING = (
    "; ".join(f"{name}: {what}" for name, what in choices.items()) for choices in (EFFECTS_ENGINES, MIXUPS)
)


def _loss_names() -> list[str]:
    from ops.losses import LOSSES  # here: it loads torch, which takes seconds and few readers of configs need

    return sorted(LOSSES)


@dataclass(frozen=True, kw_only=True)
class SubmissionConfig:
    """The clips that a run predicts with each fold, or None; they may be given later than the rest."""

    test_data_dir: str | None = option("folder of the test clips", None)
    sample_submission: str | None = option(
        "test table, any CSV with fname; without it no test prediction", None
    )

    def __post_init__(self):
        if (self.test_data_dir is None) != (self.sample_submission is None):
            raise ValueError("--test_data_dir and --sample_submission go together: give both or none")


@dataclass(frozen=True, kw_only=True)
class DataConfig:
    """The section `data`: which clips a run learns from, and how they are divided; classes in order."""

    train_df: str = option("curated table, CSV fname,labels")
    train_data_dir: str = option("folder of its clips")
    noisy_train_df: str | None = option("noisy table, CSV fname,labels", None)
    noisy_train_data_dir: str | None = option("folder of its clips", None)
    share_noisy: bool = option(
        "train every fold on all noisy clips instead of on its own share of 1/n_folds", False
    )
    cross_fit_noisy: bool = option("train every fold on all noisy clips but its own share", False)
    soft_labels: str | None = option(
        "predictions of the noisy clips, CSV: what they train on in place of their labels",
        None,
        group="optimisation",
    )
    soft_power: float = option(
        "of --soft_labels: 1 as predicted, above sharper", 1.0, low=0.01, high=100, group="optimisation"
    )
    classmap: str = option("JSON {class: index}, see create_class_map.py")
    classes: list[str]
    max_audio_length: float = option(
        "seconds; longer clips give a random segment in training",
        10,
        low=0.01,
        high=3600,
        kinds=WAVEFORM_KINDS,
    )
    max_samples: int | None = option("take at most so many clips of each table", None, low=1)
    holdout_size: float = option(
        "share of the curated clips that no fold trains or validates on", 0, low=0, below=1
    )
    skip_bad_clips: bool = option(
        "decode every clip first and go on without the unusable ones, listed in skipped_clips.csv", False
    )
    drop_known_bad: bool = option(
        "leave out the curated clips of data/known_bad_clips.csv, listed in skipped_clips.csv", False
    )
    group_column: str | None = option(
        "column of the tables whose clips belong together, as of an uploader: one group lies in one fold; "
        "without it `group` where there is such a column",
        None,
        group="folds",
    )
    fold_column: str | None = option(
        "column of the curated table with the fold that validates each clip, 0 to n_folds - 1, in place of "
        "drawn folds; without it `fold` where there is such a column",
        None,
        group="folds",
    )
    n_folds: int = option("number of cross-validation folds", 4, low=2, group="folds")
    kfold_seed: int = option("seed of the division into folds", 42, low=0, high=MAX_SEED, group="folds")

    def __post_init__(self):
        if not all(isinstance(name, str) for name in self.classes):
            raise ValueError(f"classes: expected a list of names, found {str(self.classes)[:80]}")
        if (self.noisy_train_df is None) != (self.noisy_train_data_dir is None):
            raise ValueError("--noisy_train_df and --noisy_train_data_dir go together: give both or none")
        for flag in ("share_noisy", "cross_fit_noisy"):
            if getattr(self, flag) and self.noisy_train_df is None:
                raise ValueError(
                    f"--{flag} divides noisy clips: give --noisy_train_df and --noisy_train_data_dir"
                )
        if self.soft_labels is not None and self.noisy_train_df is None:
            raise ValueError(
                "--soft_labels are those of noisy clips: give --noisy_train_df and --noisy_train_data_dir"
            )
        if self.soft_power != 1 and self.soft_labels is None:
            raise ValueError("--soft_power sharpens --soft_labels: give these, or leave it out")
        if self.share_noisy and self.cross_fit_noisy:
            raise ValueError("--share_noisy and --cross_fit_noisy divide the noisy clips: give one of them")


@dataclass(frozen=True)
class InitFrom:
    """The experiment whose best models a run starts from, and a digest of their weights."""

    experiment: str
    digest: str


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """The section `train`: loss, optimisation, augmentation."""

    loss: str = option("loss function", "lsep", choices=_loss_names)
    optimizer: str = option(
        "adam (with AMSGrad) or momentum (SGD, 0.9, Nesterov)", choices=sorted(OPTIMIZERS)
    )
    lr: float = option("learning rate of steplr; 1cycle has its own", 0.01, low=0)
    scheduler: str = option(f"learning rates: {SCHEDULER_GRAMMAR}", "steplr_1_0.5", parse=parse_scheduler)
    weight_decay: float = option("L2 penalty on the weights", 1e-5, low=0)
    epochs: int = option("passes over the training clips", 100, low=1)
    batch_size: int = option("clips a batch, over all processes of torchrun", 64, low=1)
    accumulation_steps: int = option("batches averaged for one optimizer step", 1, low=1)
    seed: int = option("seed of every other random draw", 0, low=0, high=MAX_SEED)

    p_mixup: float = option(
        "probability of OR-MixUp: two clips mixed, their labels united",
        0.0,
        low=0,
        high=1,
        group="augmentation",
    )
    mixup: str = option(
        f"how the two clips are mixed; {MIXING}",
        "concat",
        choices=sorted(MIXUPS),
        before="add",
        kinds=WAVEFORM_KINDS,
        group="augmentation",
    )
    p_aug: float = option(
        "probability of the effects chain: reverb, pitch, overdrive, tempo",
        0.0,
        low=0,
        high=1,
        kinds=WAVEFORM_KINDS,
        group="augmentation",
    )
    effects: str = option(
        f"what computes the effects; {ENGINES}",
        DEFAULT_EFFECTS,
        choices=sorted(EFFECTS_ENGINES),
        kinds=WAVEFORM_KINDS,
        group="augmentation",
    )
    p_shuffle: float = option(
        "probability of shuffling chunks of 0.5 s",
        0.0,
        low=0,
        high=1,
        kinds=WAVEFORM_KINDS,
        group="augmentation",
    )
    p_silence: float = option(
        "probability of silencing a quarter of the clip",
        0.0,
        low=0,
        high=1,
        kinds=WAVEFORM_KINDS,
        group="augmentation",
    )
    p_spec_augment: float = option(
        "probability of SpecAugment: two bands of frequency and two of time hidden in the spectrogram",
        0.0,
        low=0,
        high=1,
        kinds=WAVEFORM_KINDS,
        group="augmentation",
    )
    switch_off_augmentations_on: int = option(
        "epoch, counted from 0, from which on there is no augmentation", 20, low=0, group="augmentation"
    )

    adapt_batch_norm: bool = option(
        "predict with BatchNorm statistics of all clips to predict, for those recorded unlike training's",
        False,
        group="run",
    )
    amp: bool = False  # flags of toolkit.system.runtime, which change the result
    compile: bool = False
    graphs: bool = False
    init_from: InitFrom | None = None
    pretraining: Pretraining | None = None  # of pretrain.py alone: no labels, one network for all folds

    @property
    def without_idle(self) -> TrainConfig:
        """The same training, settings that it does not use as versions without them had them."""
        return self if self.p_mixup else dataclasses.replace(self, mixup="add")


SECTIONS = {"data": DataConfig, "train": TrainConfig}


@dataclass(frozen=True)
class RunConfig:
    """All that the result of a training run depends on.

    Attributes:
        network: the fields of the network's config, by name; this package builds no networks.
        label: first part of the experiment's name.
        network_defaults: of these fields; needed where an experiment is named or compared.
    """

    network: dict[str, Any]
    data: DataConfig
    train: TrainConfig
    label: str
    network_defaults: Mapping[str, Any] = field(default_factory=dict, compare=False)

    @property
    def features(self) -> str | None:
        """The descriptor of the front end; None of a network that takes embeddings."""
        return self.network.get("features")

    @property
    def embedding(self) -> tuple[str, str, int] | None:
        """The backbone whose embeddings the network takes, its digest, their size; None: waveforms."""
        names = ("backbone", "backbone_digest", "embedding_size")
        return tuple(self.network.get(name) for name in names) if self.features is None else None

    @property
    def n_classes(self) -> int:
        return len(self.data.classes)

    def to_json(self) -> dict[str, Any]:
        """What config.json holds."""
        sections = {name: dataclasses.asdict(getattr(self, name)) for name in SECTIONS}
        return {"network": self.network, **sections, "label": self.label}

    @classmethod
    def from_json(cls, content: Any, path: str | Path) -> RunConfig:
        """The config in a JSON value that was read from `path`; DataError for any other value."""
        if not isinstance(content, dict) or not {"network", "data", "train", "label"} <= set(content):
            raise DataError(f"{path}: expected the sections network, data, train and label")
        network = content["network"]
        try:
            if not isinstance(network, dict) or not (_has_features(network) or _has_backbone(network)):
                raise ValueError(
                    "section network: expected an object with the entry 'features', or with 'backbone', "
                    "'backbone_digest' and 'embedding_size'"
                )
            if not isinstance(content["label"], str):
                raise ValueError(f"label: expected a text, found {content['label']!r}")
            sections = {
                name: section_from_json(kind, content[name], f"section {name}")
                for name, kind in SECTIONS.items()
            }
        except ValueError as error:
            raise DataError(
                f"{path}: expected an experiment's configuration; {error}; restore the file, or update this "
                "code where a newer version wrote it"
            ) from error
        return cls(network, label=content["label"], **sections)

    def digest(self) -> str:
        """8 hex digits of the values that differ from those of a config that lacks them, with the label."""
        of_network = {
            name: value
            for name, value in self.network.items()
            if self.network_defaults.get(name, ...) != value
        }
        used = dataclasses.replace(self, train=self.train.without_idle)
        sections = {
            name: {
                key: value
                for key, value in dataclasses.asdict(getattr(used, name)).items()
                if before(kind).get(key, ...) != value
            }
            for name, kind in SECTIONS.items()
        }
        text = json.dumps(
            {"network": of_network, **sections, "label": self.label}, sort_keys=True, allow_nan=False
        )
        return hashlib.sha256(text.encode()).hexdigest()[:8]

    def is_of(self, other: RunConfig) -> bool:
        """Whether another config, perhaps of an earlier version that lacks settings, is of the same run."""
        here, there = (
            dataclasses.replace(
                config,
                network={**self.network_defaults, **config.network},
                train=config.train.without_idle,
            )
            for config in (self, other)
        )
        return here == there

    def is_of_another_backbone(self, other: RunConfig) -> bool:
        """Whether another config is of the same run but for the content of its backbone."""
        if self.embedding is None or other.embedding is None or self.embedding == other.embedding:
            return False
        names = ("backbone_digest", "embedding_size")
        content = {name: self.network[name] for name in names}
        return self.is_of(dataclasses.replace(other, network={**other.network, **content}))

    def settings(self) -> dict[str, Any]:
        """The settings of all sections by their flags' names; the class names' number in their place."""
        sections = [self.network, *(dataclasses.asdict(getattr(self, name)) for name in SECTIONS)]
        settings = {name: value for section in sections for name, value in section.items()}
        settings["n_classes"] = len(settings.pop("classes"))
        settings |= settings.pop("pretraining") or {}
        return {
            name: json.dumps(value) if isinstance(value, list | dict) else value
            for name, value in settings.items()
        }


def _has_features(network: dict[str, Any]) -> bool:
    return isinstance(network.get("features"), str)


def _has_backbone(network: dict[str, Any]) -> bool:
    kinds = {"backbone": str, "backbone_digest": str, "embedding_size": int}
    return "features" not in network and all(type(network.get(name)) is kind for name, kind in kinds.items())


def read_config(path: Path) -> RunConfig:
    """Reads a config.json. Raises DataError where it is none."""
    return RunConfig.from_json(read_json(path, "an experiment's configuration"), path)
