"""Prediction of clips with the folds of one or more experiments, by the script and by the rounds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ops.ensembles import mean_of_experiments, seen_by_every_fold
from ops.errors import DataError
from ops.logits import sigmoid
from toolkit.clips.loading import Clip, announce_cache, join_windows, split_into_windows
from toolkit.prediction.clips import ClipsToPredict, PredictionOptions, Scores, write_scores
from toolkit.prediction.ensemble import FoldNetworks, NetworkBuilder, load_networks
from toolkit.prediction.shards import ShardedScorer, remove_shards
from toolkit.runs.experiment import Experiment
from toolkit.runs.predictions import Predictions
from toolkit.runs.records import unseen_by
from toolkit.system.interruption import StopRequest
from toolkit.system.runtime import Runtime
from toolkit.training.embeddings import runtime_to_read


@dataclass(frozen=True)
class Predictor:
    """Scores clips, and writes their table.

    Attributes:
        output: the table to write, or None; beside it stands what a killed run under torchrun had done.
        stop: looked at before each batch.
    """

    builder: NetworkBuilder
    options: PredictionOptions
    runtime: Runtime
    output: Path | None = None
    stop: StopRequest | None = None

    def predict(self, experiments: Sequence[Experiment], clips: ClipsToPredict) -> Scores | None:
        """The mean over the folds, then over the experiments, written where there is an output.

        None on all processes but rank 0.
        """
        reading = replace(self, runtime=self._prepared(experiments, clips.readable))
        adapt_to = clips.readable if self.options.adapt_batch_norm else None
        ensembles = [load_networks(one, self.builder, reading.runtime, adapt_to) for one in experiments]
        scores = reading.score(ensembles, clips)
        if scores is not None:
            write_scores(self.output, scores, clips)
            if self.output is not None:
                remove_shards(self.output)
        return scores

    def _prepared(self, experiments: Sequence[Experiment], clips: list[Clip]) -> Runtime:
        """What the experiments' networks read the clips by: embeddings are computed where these take them."""
        configs, folder = [one.config for one in experiments], experiments[0].directory.parent
        windows, _ = split_into_windows(clips, self.options.window_seconds)
        adapted_to = clips if self.options.adapt_batch_norm else []  # whole ones
        reading = runtime_to_read([*windows, *adapted_to], configs, folder, self.runtime, self.stop)
        if configs[0].embedding is None:
            announce_cache(clips, reading)
        return reading

    def score(self, ensembles: Sequence[FoldNetworks], clips: ClipsToPredict) -> Scores | None:
        """The scores of clips, not written; None on all processes but rank 0."""
        # Before the long part: an experiment that does not say what its folds saw ends it here.
        usable = [self._usable_folds(networks, clips) for networks in ensembles]
        rows, errors = clips.readable_rows, {}
        for row in sorted(set(range(len(clips.fnames))) - set(rows)):
            errors[row] = clips.lengths[row]
        windows, owners = split_into_windows(clips.readable, self.options.window_seconds)
        models = [model for networks in ensembles for model in networks.models]
        checkpoints = [path for networks in ensembles for path in networks.checkpoints]
        classes = ensembles[0].experiment.classes
        scorer = ShardedScorer(models, checkpoints, len(classes), self.runtime, self.stop)
        found = scorer.score(windows, self.options.batch_size, self.output)
        if found is None:
            return None
        logits, unreadable = found
        errors.update({rows[owners[index]]: error for index, error in unreadable.items()})
        if len(errors) == len(clips.fnames):
            raise DataError(f"{clips.source}: none of its {len(clips.fnames)} clips can be read; {errors[0]}")
        ends = np.cumsum([len(networks.models) for networks in ensembles])
        parts = np.split(sigmoid(logits), ends[:-1])
        rows_of_windows = [rows[owner] for owner in owners]
        mean = mean_of_experiments(parts, [mask[:, rows_of_windows] for mask in usable])
        good = [index for index, row in enumerate(rows) if row not in errors]
        fnames = [clips.fnames[rows[index]] for index in good]
        predictions = Predictions(fnames, classes, join_windows(mean, owners)[good])
        seen_by_all = int(seen_by_every_fold(usable)[[rows[index] for index in good]].sum())
        return Scores(predictions, dict(sorted(errors.items())), seen_by_all, len(models))

    def _usable_folds(self, networks: FoldNetworks, clips: ClipsToPredict) -> np.ndarray:
        """(folds, clips) bool: which folds of an experiment may score which clips."""
        if not self.options.out_of_fold:
            return np.ones((len(networks.folds), len(clips.fnames)), dtype=bool)
        marks = clips.marks(networks.experiment.config.data.group_column or "group")
        return unseen_by(networks.experiment, networks.folds, clips.fnames, clips.paths, marks)
