"""From what is heard in windows to tags and their times: tables, and label files for Audacity."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from ops.activity import Span
from ops.errors import DataError
from ops.sampling import SAMPLE_RATE
from toolkit.clips.loading import Clip
from toolkit.clips.recordings import highest_first
from toolkit.system.files import disk_errors, write_text

COLUMNS = ["file", "start", "end", "class", "probability"]
NONE = "none of the classes"


@dataclass(frozen=True)
class Heard:
    """A recording, window by window.

    Attributes:
        fname: its name.
        spans: where it is not silent, samples.
        span_of: (windows,) the span of each window; those of a span are in order.
        edges: (windows, 2) first sample, and the one behind the last.
        probabilities: (windows, classes).
    """

    fname: str
    spans: list[Span]
    span_of: np.ndarray
    edges: np.ndarray
    probabilities: np.ndarray


@dataclass(frozen=True)
class Tags:
    """A table of tags, what it was made of, and the errors of clips that cannot be read, by their number."""

    table: pd.DataFrame
    heard: list[Heard]
    errors: dict[int, DataError]

    def of_all(self) -> Tags:
        """These, where every clip could be read; raises the first error else."""
        for error in self.errors.values():
            raise error
        return self


def highest_of(
    heard: Sequence[Heard], clips: Sequence[Clip], classes: Sequence[str], thresholds: np.ndarray
) -> pd.DataFrame:
    """A row for each class that applies to a recording, most probable first, with the window where it is so.

    A recording to which none applies has one row, of class None.
    """
    rows = []
    for one, clip in zip(heard, clips, strict=True):
        best = one.probabilities.max(axis=0, initial=0)
        applying = [index for index in highest_first(best, classes) if best[index] >= thresholds[index]]
        if not len(one.edges) or not applying:
            rows.append((one.fname, 0.0, clip.n_samples / SAMPLE_RATE, None, np.nan))
            continue
        for index in applying:
            start, end = one.edges[one.probabilities[:, index].argmax()] / SAMPLE_RATE
            rows.append((one.fname, start, end, classes[index], best[index]))
    table = pd.DataFrame(rows, columns=COLUMNS)
    table["class"] = pd.Series([row[3] for row in rows], dtype=object)  # in which None stays None
    return table


def events_of(heard: Sequence[Heard], classes: Sequence[str], thresholds: np.ndarray) -> pd.DataFrame:
    """A row for each stretch in which a class goes on, in order of time, with its highest probability.

    A window speaks for the time around its middle, half way to its neighbours'; the first and the last of a
    sound reach to its ends. So a class begins where it fills enough of a window to be heard, not half a
    window before.
    """
    rows = []
    for one in heard:
        tagged, cells = one.probabilities >= thresholds, _cells(one)
        for index in range(len(classes)):
            runs = _runs(tagged[:, index], one.span_of)
            for first, last in runs:
                value = one.probabilities[first : last + 1, index].max()
                rows.append((one.fname, cells[first, 0], cells[last, 1], classes[index], value))
    table = pd.DataFrame(rows, columns=COLUMNS)
    order = {one.fname: number for number, one in enumerate(heard)}
    keys = [table["class"], table["start"], table["file"].map(order)]
    return table.iloc[np.lexsort(keys)].reset_index(drop=True) if rows else table


def _cells(heard: Heard) -> np.ndarray:
    """(windows, 2) the seconds that each window speaks for."""
    middles, cells = heard.edges.mean(axis=1), np.empty((len(heard.edges), 2))
    for number, (start, end) in enumerate(heard.spans):
        own = heard.span_of == number
        between = (middles[own][:-1] + middles[own][1:]) / 2
        cells[own] = np.stack([np.append(start, between), np.append(between, end)], axis=1)
    return cells / SAMPLE_RATE


def _runs(tagged: np.ndarray, span_of: np.ndarray) -> list[tuple[int, int]]:
    """First and last window of each run of tagged ones within a span."""
    runs: list[tuple[int, int]] = []
    for row in np.flatnonzero(tagged):
        if runs and runs[-1][1] == row - 1 and span_of[row] == span_of[row - 1]:
            runs[-1] = (runs[-1][0], int(row))
        else:
            runs.append((int(row), int(row)))
    return runs


def rounded(table: pd.DataFrame) -> pd.DataFrame:
    """To write: milliseconds, four digits of probabilities."""
    return table.round({"start": 3, "end": 3, "probability": 4})


def write_labels(folder: Path, table: pd.DataFrame, fnames: Sequence[str]) -> None:
    """Audacity's label files, <folder>/<fname>.txt, one for each: start, end and class, separated by tabs.

    File, Import, Labels reads them.
    """
    for fname in fnames:
        path = folder / f"{fname}.txt"
        with disk_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
        own = table[table["file"] == fname]
        lines = [
            f"{start:.3f}\t{end:.3f}\t{' '.join(label.split())} {probability:.2f}\n"
            for start, end, label, probability in own[COLUMNS[1:]].itertuples(index=False)
        ]
        write_text(path, "".join(lines))


def tags_in_words(table: pd.DataFrame, fname: str) -> str:
    """ "Bark 0.97, Growling 0.41", or that none applies; table as highest_of gives it."""
    own = table[table["file"] == fname].dropna(subset=["class"])
    words = [f"{label} {value:.2f}" for label, value in zip(own["class"], own["probability"], strict=True)]
    return ", ".join(words) or NONE
