"""Starting from the weights of an earlier experiment, fold by fold, without validation clips leaking."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from ops.errors import DataError
from toolkit.clips.splits import Splits
from toolkit.runs.checkpoints import load_checkpoint
from toolkit.runs.config import InitFrom, RunConfig
from toolkit.runs.experiment import Experiment
from toolkit.runs.predictions import read_predictions

OF_HEAD = ("n_classes", "output_dropout")  # settings of a network that its blocks do not depend on


def describe(directory: str, folds: Sequence[int] | None = None) -> InitFrom:
    """The config's entry `init_from`: the experiment and a digest of its folds' best models, or of some."""
    experiment = Experiment.load(directory)
    digest = hashlib.sha256()
    trained = experiment.fold_results()
    folds = range(experiment.n_folds) if folds is None else folds
    if experiment.is_pretraining:
        if "pretraining" not in experiment.results():
            raise DataError(f"{directory}: its pretraining, for --init_from, is not finished; finish it")
        folds, trained = [0], [0]
    for fold in folds:
        if fold not in trained:
            raise DataError(
                f"{directory}: expected every fold finished, for --init_from, found fold {fold} not; "
                "finish its training"
            )
        weights = load_checkpoint(experiment.start_of(fold), experiment.config)["model"]
        for name, values in sorted(weights.items()):
            digest.update(name.encode())
            digest.update(values.contiguous().numpy().tobytes())
    return InitFrom(str(directory), digest.hexdigest()[:16])


def check(config: RunConfig, splits: Splits, folds: Sequence[int]) -> Experiment:
    """The experiment of `init_from`; DataError where its fold k does not fit fold k of this run.

    The networks must be equal, and so must the clips that fold k validates on and those held out: a
    fold whose weights come from training on its validation clips would be scored on what it learned.
    Pretraining saw no labels: its blocks serve any folds and classes.
    """
    directory = config.train.init_from.experiment
    experiment = Experiment.load(directory)
    compared = [*config.network, "classes", "n_folds", "kfold_seed", "holdout_size", "max_samples"]
    if experiment.is_pretraining:
        compared = [name for name in config.network if name not in OF_HEAD]
    here, there = (
        {**config.network_defaults, **one.network, **vars(one.data)} for one in (config, experiment.config)
    )
    folds_too = "" if experiment.is_pretraining else " and folds"
    for key in compared:
        if here[key] != there.get(key):
            found = "others" if key == "classes" else f"{there.get(key)!r}, here {here[key]!r}"
            raise DataError(
                f"{directory}: --init_from expects an experiment of the same {key}, found {found}; "
                f"start from an experiment of the same network{folds_too}, or leave it out"
            )
    for fold in () if experiment.is_pretraining else folds:
        parts = {"val": splits.folds[fold].validation, "holdout": splits.holdout}
        for part, clips in parts.items():
            if not clips:
                continue
            theirs = read_predictions(experiment.predictions(f"{part}_preds_fold_{fold}")).fnames
            if set(theirs) != {clip.fname for clip in clips}:
                what = "validated on" if part == "val" else "held out"
                raise DataError(
                    f"{directory}: --init_from expects that fold {fold} {what} the same clips as here, "
                    "found others, so that its weights have learned some of them; give it the same "
                    "curated table"
                )
    return experiment
