"""Which clips a run trains, validates, holds out and tests on: divided once, whoever asks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np

from ops.errors import DataError
from ops.folds import plain_folds, stratified_folds
from toolkit.clips.loading import Clip


@dataclass(frozen=True)
class Fold:
    """Training clips, curated and noisy, and validation clips, which are curated."""

    training: list[Clip]
    validation: list[Clip]


@dataclass(frozen=True)
class Division:
    """How clips go into folds.

    noisy: which noisy clips fold k trains on: its "share" (the k-th of n_folds), "all", or all "others".
    """

    n_folds: int
    seed: int
    noisy: str = "share"


@dataclass(frozen=True)
class Splits:
    """The clips of a run, checked and divided; test_fnames are all rows of the test table, readable or not.

    Attributes:
        folds: the same clips, fold by fold.
        skipped: table, fname and reason of clips that are left out.
        known_bad: curated clips that the project knows to be wrong and that are trained on nonetheless.
    """

    classes: list[str]
    curated: list[Clip]
    noisy: list[Clip]
    holdout: list[Clip]
    test: list[Clip]
    folds: list[Fold]
    test_fnames: list[str] = field(default_factory=list)
    skipped: list[tuple[str, str, str]] = field(default_factory=list)
    known_bad: list[str] = field(default_factory=list)

    @property
    def parts(self) -> tuple[str, ...]:
        """What each fold predicts, but for the holdout: val and, where there are test clips, test."""
        return ("val", "test") if self.test else ("val",)


def divide(
    curated: Sequence[Clip], noisy: Sequence[Clip], division: Division, names: tuple[str, str | None]
) -> list[Fold]:
    """The folds; names are those of the curated and the noisy table, for the error of too few clips."""
    targets = np.stack([clip.labels for clip in curated])
    with _named(names[0]):
        of_curated = list(stratified_folds(targets, division.n_folds, division.seed))
    of_noisy = [list(noisy)] * division.n_folds
    if noisy and division.noisy != "all":
        with _named(names[1]):
            pairs = list(plain_folds(len(noisy), division.n_folds, division.seed))
        own = 0 if division.noisy == "others" else 1
        of_noisy = [[noisy[i] for i in pair[own]] for pair in pairs]
    return [
        Fold([curated[i] for i in training] + more, [curated[i] for i in validation])
        for (training, validation), more in zip(of_curated, of_noisy, strict=True)
    ]


@contextmanager
def _named(table: str | None) -> Iterator[None]:
    try:
        yield
    except DataError as error:
        raise DataError(f"{table}: {error}") from error
