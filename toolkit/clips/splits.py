"""Which clips a run trains, validates, holds out and tests on: divided once, whoever asks."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np

from ops.errors import DataError
from ops.folds import plain_group_folds, stratified_group_folds
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
    given: fname of curated clips -> the fold that validates them, in place of drawn folds; or nothing.
    """

    n_folds: int
    seed: int
    noisy: str = "share"
    given: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Splits:
    """The clips of a run, checked and divided; test_fnames are all rows of the test table, readable or not.

    Attributes:
        folds: the same clips, fold by fold.
        skipped: table, fname and reason of clips that are left out.
        known_bad: curated clips that the project knows to be wrong and that are trained on nonetheless.
        notes: what is to be told before training, a line each.
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
    notes: list[str] = field(default_factory=list)

    @property
    def parts(self) -> tuple[str, ...]:
        """What each fold predicts, but for the holdout: val and, where there are test clips, test."""
        return ("val", "test") if self.test else ("val",)


def divide(
    curated: Sequence[Clip],
    noisy: Sequence[Clip],
    held_out: Collection[str],
    division: Division,
    names: tuple[str, str | None],
) -> list[Fold]:
    """The folds; clips of one unit lie in one of them.

    A noisy clip whose unit holds curated clips trains only in folds that do not validate these; one whose
    unit is held out trains in none.

    Args:
        held_out: units of the holdout.
        names: of the curated and the noisy table, for errors.
    """
    n_folds = division.n_folds
    with _named(names[0]):
        validating = _validating_folds(curated, division)
    fold_of_unit = {clip.unit: fold for clip, fold in zip(curated, validating, strict=True) if clip.unit}
    with _named(names[1]):
        shares = _shares(noisy, fold_of_unit, division) if noisy and division.noisy != "all" else None
    folds = []
    for fold in range(n_folds):
        training = [clip for clip, own in zip(curated, validating, strict=True) if own != fold]
        for row, clip in enumerate(noisy):
            is_of_fold = shares is None or (shares[row] == fold) == (division.noisy == "share")
            if is_of_fold and clip.unit not in held_out and fold_of_unit.get(clip.unit) != fold:
                training.append(clip)
        validation = [clip for clip, own in zip(curated, validating, strict=True) if own == fold]
        folds.append(Fold(training, validation))
    return folds


def _validating_folds(curated: Sequence[Clip], division: Division) -> np.ndarray:
    """(clips,) the fold that validates each curated clip."""
    folds = np.empty(len(curated), dtype=np.int64)
    if not division.given:
        targets = np.nan_to_num(np.stack([clip.labels for clip in curated]))
        units = [clip.unit for clip in curated]
        parts = stratified_group_folds(targets, units, division.n_folds, division.seed)
        for fold, (_, validation) in enumerate(parts):
            folds[validation] = fold
        return folds
    folds[:] = [division.given[clip.fname] for clip in curated]
    empty = sorted(set(range(division.n_folds)) - set(folds.tolist()))
    if empty:
        raise DataError(
            f"its column of folds leaves fold {empty[0]} of {division.n_folds} without a clip; give the "
            "--n_folds that the column has, or other folds"
        )
    first: dict[str, int] = {}
    for row, clip in enumerate(curated):
        other = first.setdefault(clip.unit or clip.fname, row)
        if folds[other] != folds[row]:
            raise DataError(
                f"{clip.fname!r} in fold {folds[row]} and {curated[other].fname!r} in fold {folds[other]} "
                "belong together (the same audio, or one group); give them one fold"
            )
    return folds


def _shares(noisy: Sequence[Clip], fold_of_unit: dict[str, int], division: Division) -> np.ndarray:
    """(clips,) the share of each noisy clip: units stay whole, and out of their own fold's share."""
    n_folds, units = division.n_folds, [clip.unit for clip in noisy]
    shares = np.empty(len(noisy), dtype=np.int64)
    free = [row for row, unit in enumerate(units) if unit not in fold_of_unit]
    if len(free) == len(noisy) or len(free) >= 2 * n_folds:
        parts = plain_group_folds([units[row] for row in free], n_folds, division.seed)
        for fold, (_, share) in enumerate(parts):
            shares[[free[row] for row in share]] = fold
    else:
        shares[free] = np.arange(len(free)) % n_folds
    sizes = np.bincount(shares[free], minlength=n_folds)
    for unit in dict.fromkeys(unit for unit in units if unit in fold_of_unit):
        rows = [row for row, other in enumerate(units) if other == unit]
        allowed = [fold for fold in range(n_folds) if fold != fold_of_unit[unit]]
        share = min(allowed, key=lambda fold: sizes[fold])
        shares[rows] = share
        sizes[share] += len(rows)
    return shares


@contextmanager
def _named(table: str | None) -> Iterator[None]:
    try:
        yield
    except DataError as error:
        raise DataError(f"{table}: {error}") from error
