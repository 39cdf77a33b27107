"""Starting from the weights of an earlier experiment, fold by fold, without validation clips leaking."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

from ops.errors import DataError
from toolkit.clips.splits import Tables, split_fold
from toolkit.runs.checkpoints import load_checkpoint
from toolkit.runs.experiment import Experiment
from toolkit.runs.noisy_folds import Seen, read_noisy_folds
from toolkit.runs.predictions import read_predictions


def describe(directory: str, folds: Sequence[int] | None = None) -> dict[str, str]:
    """The config's entry `init_from`: the experiment and a digest of its folds' best models, or of some."""
    experiment = Experiment.load(directory)
    digest = hashlib.sha256()
    results = experiment.results()
    for fold in range(experiment.config["data"]["n_folds"]) if folds is None else folds:
        if "metric" not in results.get(f"fold{fold}", {}):
            raise DataError(
                f"{directory}: expected every fold finished, for --init_from, found fold {fold} not; "
                "finish its training"
            )
        for name, values in sorted(
            load_checkpoint(experiment.checkpoint(fold, "best_model"))["model"].items()
        ):
            digest.update(name.encode())
            digest.update(values.contiguous().numpy().tobytes())
    return {"experiment": str(directory), "digest": digest.hexdigest()[:16]}


def check(config: dict[str, Any], tables: Tables, folds: Sequence[int]) -> Seen:
    """Raises DataError where fold k of `init_from` does not fit fold k of this run; else what it saw.

    The networks must be equal, and so must the clips that fold k validates on and those held out: a
    fold whose weights come from training on its validation clips would be scored on what it learned.
    Returns the noisy clips that the earlier folds saw; empty without a warm start.
    """
    if not config["train"].get("init_from"):
        return {}
    directory = config["train"]["init_from"]["experiment"]
    experiment = Experiment.load(directory)
    here, there = (
        {**config["data"], **config["network"]},
        {
            **experiment.config["data"],
            **experiment.config["network"],
        },
    )
    compared = [*config["network"], "classes", "n_folds", "kfold_seed", "holdout_size", "max_samples"]
    for key in compared:
        if here[key] != there.get(key):
            found = "others" if key == "classes" else f"{there.get(key)!r}, here {here[key]!r}"
            raise DataError(
                f"{directory}: --init_from expects an experiment of the same {key}, found {found}; "
                "start from an experiment of the same network and folds, or leave it out"
            )
    for fold in folds:
        _, validation = split_fold(tables, config["data"], fold)
        for part, clips in (("val", validation), ("holdout", tables.holdout)):
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
    return read_noisy_folds(experiment)
