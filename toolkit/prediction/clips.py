"""What prediction takes and gives: clips, how they are scored, their scores and the table of these."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from ops.errors import DataError
from toolkit.clips.checks import probe_clips, probe_files
from toolkit.clips.identity import sound_digest
from toolkit.clips.loading import Clip
from toolkit.clips.problems import MAX_NAMED
from toolkit.clips.recordings import find_sounds
from toolkit.clips.sound_files import read_audio
from toolkit.clips.tables import column_of, read_table, write_table
from toolkit.runs.predictions import Predictions, bad_clips_path, write_predictions
from toolkit.system import console
from toolkit.system.files import remove_with_sum

if TYPE_CHECKING:
    from toolkit.runs.records import Mark


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


def write_scores(output: Path | None, scores: Scores, clips: ClipsToPredict) -> None:
    """Writes the table where there is an output; tells of clips that all folds saw, or nobody could read."""
    if scores.seen_by_all:
        console.note(
            f"note: no fold is left that did not train on {scores.seen_by_all} of the "
            f"{len(clips.fnames)} clips (--share_noisy, a warm start, or some of the folds alone): these "
            "are scored by all, as without --out_of_fold"
        )
    # The list of bad clips first: relabeling tells by it which rows hold only the others' mean.
    report_bad_clips(output, clips.fnames, scores.errors)
    if output is not None:
        write_predictions(output, scores.predictions.completed(clips.fnames))


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
