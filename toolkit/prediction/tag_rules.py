"""The rules by which an experiment's scores are tags: those that training kept, or fitted now."""

from __future__ import annotations

import os

import numpy as np

from ops.errors import DataError
from toolkit.clips.checks import probe_clips
from toolkit.clips.loading import Clip
from toolkit.prediction.ensemble import NetworkBuilder
from toolkit.runs.experiment import Experiment
from toolkit.runs.out_of_fold import OutOfFold, read_out_of_fold
from toolkit.runs.tag_rules import TagRules, read_rules
from toolkit.system import console
from toolkit.system.interruption import StopRequest
from toolkit.system.runtime import Runtime
from toolkit.training.tag_fitting import FittingTools, fit_rules, keep


def rules_of(
    experiment: Experiment, builder: NetworkBuilder, runtime: Runtime, stop: StopRequest | None = None
) -> TagRules:
    """tags.json; without it fitted on the out-of-fold predictions, and kept where all of them are there.

    Raises DataError where these or their labels are gone, or tell nothing.
    """
    rules = read_rules(experiment.path("tags.json"), experiment.classes)
    if rules is not None:
        return rules
    folds = experiment.trained_folds()
    data = experiment.config.data
    clips = read_out_of_fold(experiment, folds, data.train_df)
    validated = _audio_of(clips, data.train_data_dir, data.train_df)
    console.note(f"{experiment.directory}: no tags.json, fitting it on {len(clips.fnames)} out-of-fold clips")
    rules = fit_rules(
        experiment, clips.scores, clips.truth, validated, FittingTools(builder.build, runtime, stop)
    )
    if len(folds) == experiment.n_folds and validated and os.access(experiment.directory, os.W_OK):
        keep(experiment, rules)
    return rules


def _audio_of(clips: OutOfFold, data_dir: str, table: str) -> dict[int, list[Clip]]:
    """Fold -> the clips that it validated on; none, and a warning, where they cannot be read any more."""
    try:
        paths, lengths = probe_clips(clips.fnames, data_dir, table)
        errors = [length for length in lengths if isinstance(length, DataError)]
        if errors:
            raise errors[0]
    except DataError as error:
        console.warn(
            f"sound unlike anything in training will be tagged, too: that is fitted on its clips ({error})"
        )
        return {}
    found: dict[int, list[Clip]] = {int(fold): [] for fold in np.unique(clips.folds)}
    for fold, fname, path, length in zip(clips.folds, clips.fnames, paths, lengths, strict=True):
        found[int(fold)].append(Clip(fname, path, length))
    return found
