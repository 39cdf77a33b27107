"""Prediction of clips with the folds of one or more experiments, by the script and by the rounds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path

import numpy as np
import pandas as pd

from ops.errors import DataError
from ops.logits import sigmoid
from toolkit.clips.checks import probe_clips, probe_files
from toolkit.clips.identity import sound_digest
from toolkit.clips.loading import Clip, announce_cache, join_windows, split_into_windows
from toolkit.clips.problems import MAX_NAMED
from toolkit.clips.recordings import find_sounds
from toolkit.clips.sound_files import read_audio
from toolkit.clips.tables import column_of, read_table, write_table
from toolkit.prediction.ensemble import FoldNetworks, NetworkBuilder, load_networks
from toolkit.prediction.shards import ShardedScorer, remove_shards
from toolkit.runs.experiment import Experiment
from toolkit.runs.predictions import Predictions, bad_clips_path, write_predictions
from toolkit.runs.records import Mark, unseen_by
from toolkit.system import console
from toolkit.system.files import remove_with_sum
from toolkit.system.interruption import StopRequest
from toolkit.system.runtime import Runtime
from toolkit.training.embeddings import runtime_to_read


@dataclass(frozen=True)
class ClipsToPredict:
    """Clips by name, their files, and their lengths in samples at 44,100 Hz or why they cannot be used.

    source: the table, or the files and folders, that name them.
    """

    source: str
    fnames: list[str]
    paths: list[Path]
    lengths: list[int | DataError]

    @classmethod
    def of_table(cls, table: str, data_dir: str) -> ClipsToPredict:
        """The clips of any CSV table with the column fname, in its order."""
        fnames = read_table(table, ["fname"])["fname"].tolist()
        return cls(table, fnames, *probe_clips(fnames, data_dir, table))

    @classmethod
    def of_inputs(cls, inputs: Sequence[str]) -> ClipsToPredict:
        """Sound files, and those below folders."""
        fnames, paths = find_sounds(inputs)
        return cls(", ".join(inputs), fnames, paths, probe_files(paths))

    def marks(self, group_column: str) -> list[list[Mark]]:
        """Of each clip of a table its group and the digest of its sound, as far as there are."""
        groups = column_of(self.source, group_column)
        marks = [[("group", groups[fname])] if groups.get(fname) else [] for fname in self.fnames]
        for row, sound in self._sounds.items():
            if sound:
                marks[row].append(("sound", sound))
        return marks

    @cached_property
    def _sounds(self) -> dict[int, str]:
        """Row -> digest of its sound, read once for all experiments that score the clips."""
        return {
            row: sound_digest(partial(read_audio, self.paths[row]), self.lengths[row])
            for row in self.readable_rows
        }

    @property
    def readable_rows(self) -> list[int]:
        return [row for row, length in enumerate(self.lengths) if not isinstance(length, DataError)]

    @property
    def readable(self) -> list[Clip]:
        """Those whose headers could be read."""
        return [Clip(self.fnames[row], self.paths[row], self.lengths[row]) for row in self.readable_rows]


@dataclass(frozen=True)
class PredictionOptions:
    """How clips are scored.

    Attributes:
        batch_size: clips of 10 s per batch; of shorter ones more.
        window_seconds: longer clips are scored in windows, see split_into_windows; None: very long ones.
        out_of_fold: a clip is scored only by the folds that did not train on it, where there are such.
        adapt_batch_norm: networks take BatchNorm's statistics from the clips that they predict.
    """

    batch_size: int = 32
    window_seconds: float | None = None
    out_of_fold: bool = False
    adapt_batch_norm: bool = False


@dataclass(frozen=True)
class Scores:
    """Predictions of the clips that could be read, and the errors of the others by row.

    seen_by_all: readable clips that every fold of every experiment trained on. n_networks: how many scored.
    """

    predictions: Predictions
    errors: dict[int, DataError]
    seen_by_all: int
    n_networks: int


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
            self._write(scores, clips)
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

    def _write(self, scores: Scores, clips: ClipsToPredict) -> None:
        if scores.seen_by_all:
            console.note(
                f"note: no fold is left that did not train on {scores.seen_by_all} of the "
                f"{len(clips.fnames)} clips (--share_noisy, a warm start, or some of the folds alone): these "
                "are scored by all, as without --out_of_fold"
            )
        # The list of bad clips first: relabeling tells by it which rows hold only the others' mean.
        report_bad_clips(self.output, clips.fnames, scores.errors)
        if self.output is not None:
            write_predictions(self.output, scores.predictions.completed(clips.fnames))
            remove_shards(self.output)


def seen_by_every_fold(usable: Sequence[np.ndarray]) -> np.ndarray:
    """(clips,) bool: no fold of any experiment may score it; usable as in mean_of_experiments."""
    return ~np.any([mask.any(axis=0) for mask in usable], axis=0)


def mean_of_experiments(scores: Sequence[np.ndarray], usable: Sequence[np.ndarray]) -> np.ndarray:
    """(clips, classes): the experiments' mean of the mean over usable folds.

    An experiment without a usable fold for a clip is left out of that clip's mean; a clip that none
    can score is scored by all folds.

    Args:
        scores: of each experiment (folds, clips, classes).
        usable: of each experiment (folds, clips) bool: whether a fold may score a clip.
    """
    nobody = seen_by_every_fold(usable)
    total, count = np.zeros(scores[0].shape[1:]), np.zeros(scores[0].shape[1])
    for folds, mask in zip(scores, usable, strict=True):
        mask = mask | nobody
        n_usable = mask.sum(axis=0)
        total += (folds * mask[:, :, None]).sum(axis=0) / np.maximum(n_usable, 1)[:, None]
        count += n_usable > 0
    return total / count[:, None]


def report_bad_clips(output: Path | None, fnames: Sequence[str], errors: dict[int, DataError]) -> None:
    """Names the clips that cannot be read, if any, in a file beside the output and in warnings."""
    if not errors:
        if output is not None:
            remove_with_sum(bad_clips_path(output))  # of an earlier prediction
        return
    names, texts = [fnames[row] for row in errors], [str(error) for error in errors.values()]
    consequence = ""
    if output is not None:
        path = bad_clips_path(output)
        write_table(path, pd.DataFrame({"fname": names, "error": texts}), with_sum=True)
        consequence = f"; their rows hold the mean of the others, see {path}"
    for text in texts[:MAX_NAMED]:
        console.warn(text)
    console.warn(f"{len(errors)} of {len(fnames)} clips could not be read{consequence}")
