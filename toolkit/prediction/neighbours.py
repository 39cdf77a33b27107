"""Predictions of clips by the labels of their neighbours, in what an experiment's networks make of sounds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ops.ensembles import mean_of_experiments, seen_by_every_fold
from ops.errors import DataError
from ops.neighbours import neighbour_votes
from toolkit.clips.checks import probe_clips
from toolkit.clips.identity import joined_groups
from toolkit.clips.loading import Clip, split_into_windows
from toolkit.clips.tables import read_table
from toolkit.clips.truth import truth_of
from toolkit.prediction.clips import ClipsToPredict, PredictionOptions, Scores, write_scores
from toolkit.prediction.ensemble import FoldNetworks, NetworkBuilder, load_networks
from toolkit.runs.experiment import Experiment
from toolkit.runs.predictions import Predictions
from toolkit.runs.records import unseen_by, validated_clips
from toolkit.system import processes
from toolkit.system.interruption import StopRequest
from toolkit.system.runtime import Runtime
from toolkit.training.embeddings import runtime_to_read
from toolkit.training.evaluation import require_finite
from toolkit.training.tag_fitting import score_with_vectors


@dataclass(frozen=True)
class NeighbourVoter:
    """Predicts a table's labelled clips by those most like them: its own, and the curated ones.

    Like is what the head of a network reads alike: pooled maps, or a backbone's embedding, standardised. Each
    fold's network places the clips that it did not train on (with out_of_fold; else all), and these alone
    vote there; a clip that all folds trained on counts for all. See ops.neighbours. Under torchrun rank 0
    does it.

    Attributes:
        k: how many neighbours vote.
        output: the table to write, or None.
        stop: looked at before each batch.
    """

    k: int
    builder: NetworkBuilder
    options: PredictionOptions
    runtime: Runtime
    output: Path | None = None
    stop: StopRequest | None = None

    def predict(self, experiments: Sequence[Experiment], clips: ClipsToPredict) -> Scores | None:
        """The mean over the folds, then over the experiments, written where there is an output.

        None on all processes but rank 0.
        """
        crowds = [_Crowd.of(experiment, clips) for experiment in experiments]
        everything = [clip for crowd in crowds for clip in crowd.readable]
        windows, _ = split_into_windows(everything, None)
        adapt_to = clips.readable if self.options.adapt_batch_norm else None
        configs, folder = [one.config for one in experiments], experiments[0].directory.parent
        heard = [*windows, *(adapt_to or [])]
        runtime = runtime_to_read(heard, configs, folder, self.runtime, self.stop)
        ensembles = [load_networks(one, self.builder, runtime, adapt_to) for one in experiments]
        scores = processes.from_main(lambda: self._scores(crowds, ensembles, runtime), self.stop)
        return scores if processes.is_main() else None

    def _scores(
        self, crowds: Sequence[_Crowd], ensembles: Sequence[FoldNetworks], runtime: Runtime
    ) -> Scores:
        clips, votes, usable, errors = crowds[0].asked, [], [], {}
        for crowd, networks in zip(crowds, ensembles, strict=True):
            unseen = crowd.unseen_by(networks, self.options.out_of_fold)
            places, unread = self._places(crowd, networks, runtime)
            votes.append(crowd.votes(places, unseen, self.k))
            usable.append(unseen[:, : len(clips.fnames)])
            errors |= unread
        if len(errors) == len(clips.fnames):
            raise DataError(f"{clips.source}: none of its {len(clips.fnames)} clips can be read; {errors[0]}")
        good = [row for row in range(len(clips.fnames)) if row not in errors]
        mean = mean_of_experiments(votes, usable)[good]
        classes = ensembles[0].experiment.classes
        predictions = Predictions([clips.fnames[row] for row in good], classes, mean)
        seen_by_all = int(seen_by_every_fold(usable)[good].sum())
        n_networks = sum(len(networks.models) for networks in ensembles)
        scores = Scores(predictions, dict(sorted(errors.items())), seen_by_all, n_networks)
        write_scores(self.output, scores, clips)
        return scores

    def _places(
        self, crowd: _Crowd, networks: FoldNetworks, runtime: Runtime
    ) -> tuple[np.ndarray, dict[int, DataError]]:
        """(folds, clips, dimensions) what the heads read, NaN where a clip cannot be read, and the errors.

        Of a very long clip the mean over its windows. The errors are those of clips that ask, by row.
        """
        windows, owners = split_into_windows(crowd.readable, None)
        rows = np.array(crowd.readable_rows)[owners]
        classes = networks.experiment.classes
        found, vectors = score_with_vectors(
            networks.models, windows, len(classes), runtime, self.stop, self.options.batch_size
        )
        require_finite(found.logits, [clip.fname for clip in windows], found.errors, networks.checkpoints)
        n_asked = len(crowd.asked.fnames)
        errors = {
            row: length for row, length in enumerate(crowd.asked.lengths) if isinstance(length, DataError)
        } | {int(rows[index]): error for index, error in found.errors.items() if rows[index] < n_asked}
        good = rows[[index for index in range(len(windows)) if index not in found.errors]]
        places = np.full((len(vectors), len(crowd.labels), vectors[0].shape[1]), np.nan, dtype=np.float32)
        for of_fold, of_windows in zip(places, vectors, strict=True):
            of_fold[good] = 0
            np.add.at(of_fold, good, of_windows)
            of_fold[good] /= np.bincount(good)[good][:, None]
        return places, errors


@dataclass(frozen=True)
class _Crowd:
    """The clips that ask and, behind them, an experiment's curated ones; all of them vote.

    Attributes:
        labels: (clips, classes) 1, 0 or NaN.
        units: (clips,) numbers, equal where clips belong together.
    """

    experiment: Experiment
    asked: ClipsToPredict
    curated: ClipsToPredict
    labels: np.ndarray
    units: np.ndarray

    @classmethod
    def of(cls, experiment: Experiment, asked: ClipsToPredict) -> _Crowd:
        """Curated are those that the folds validated on: none that is held out or left out votes."""
        data = experiment.config.data
        validated = validated_clips(experiment)
        fnames = [
            fname for fname in read_table(data.train_df, ["fname"])["fname"].tolist() if fname in validated
        ]
        curated = ClipsToPredict(
            data.train_df, fnames, *probe_clips(fnames, data.train_data_dir, data.train_df)
        )
        sides = (asked, curated)
        labels = np.concatenate([truth_of(side.source, side.fnames, experiment.classes) for side in sides])
        column = data.group_column or "group"
        marks = [
            [*own, ("file", str(path.resolve()))]
            for side in sides
            for own, path in zip(side.marks(column), side.paths, strict=True)
        ]
        names = [name or f"alone {row}" for row, name in enumerate(joined_groups(marks))]
        return cls(experiment, asked, curated, labels, np.unique(names, return_inverse=True)[1])

    @property
    def readable(self) -> list[Clip]:
        return [*self.asked.readable, *self.curated.readable]

    @property
    def readable_rows(self) -> list[int]:
        n_asked = len(self.asked.fnames)
        return [*self.asked.readable_rows, *(n_asked + row for row in self.curated.readable_rows)]

    def unseen_by(self, networks: FoldNetworks, out_of_fold: bool) -> np.ndarray:
        """(folds, clips) bool: which of an ensemble's folds may place which clips."""
        if not out_of_fold:
            return np.ones((len(networks.folds), len(self.labels)), dtype=bool)
        column = self.experiment.config.data.group_column or "group"
        parts = [
            unseen_by(self.experiment, networks.folds, side.fnames, side.paths, side.marks(column))
            for side in (self.asked, self.curated)
        ]
        return np.concatenate(parts, axis=1)

    def votes(self, places: np.ndarray, unseen: np.ndarray, k: int) -> np.ndarray:
        """(folds, asked clips, classes) the votes on clips that a fold may place; on others one half.

        Args:
            places: (folds, clips, dimensions), NaN of clips that could not be read.
            unseen: (folds, clips) bool.
        """
        n_asked = len(self.asked.fnames)
        found = np.full((len(places), n_asked, self.labels.shape[1]), 0.5)
        for fold, vectors in enumerate(places):
            may_vote = unseen[fold] | seen_by_every_fold([unseen])
            rows = np.flatnonzero(may_vote & ~np.isnan(vectors).any(axis=1))
            asked = rows[rows < n_asked]
            found[fold, asked] = neighbour_votes(
                vectors[rows], self.labels[rows], self.units[rows], k, len(asked)
            )
        return found
