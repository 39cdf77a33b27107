"""Folds of a run's clips: units stay whole over curated and noisy clips and the holdout."""

from pathlib import Path

import numpy as np
import pytest

from ops.errors import DataError
from toolkit.clips.loading import Clip
from toolkit.clips.splits import Division, divide


def clips(units: list[str], is_noisy: bool = False) -> list[Clip]:
    prefix = "n" if is_noisy else "c"
    labels = np.eye(2, dtype=np.float32)
    return [
        Clip(f"{prefix}{row}", Path(f"{prefix}{row}"), 1, labels[row % 2], is_noisy, unit=unit)
        for row, unit in enumerate(units)
    ]


CURATED = clips(["a", "a", "b", "b", "", "", "c", "", "", ""])
NOISY = clips(["a", "", "b", "x", "x", "", "", "", "", "", "", ""], is_noisy=True)


@pytest.mark.parametrize("noisy", ["share", "all", "others"])
def test_no_unit_is_on_both_sides_of_a_fold(noisy):
    folds = divide(CURATED, NOISY, set(), Division(3, 0, noisy), ("c.csv", "n.csv"))
    validated = [clip.fname for fold in folds for clip in fold.validation]
    assert sorted(validated) == sorted(clip.fname for clip in CURATED)
    for fold in folds:
        units = {clip.unit for clip in fold.validation} - {""}
        assert not units & {clip.unit for clip in fold.training}
    times = [sum(clip in fold.training for fold in folds) for clip in NOISY]
    free = [count for clip, count in zip(NOISY, times, strict=True) if clip.unit in ("", "x")]
    linked = [count for clip, count in zip(NOISY, times, strict=True) if clip.unit in ("a", "b")]
    expected = {"share": (1, 1), "all": (3, 2), "others": (2, 1)}[noisy]
    assert set(free) == {expected[0]} and set(linked) == {expected[1]}
    both = [[clip.fname in ("n3", "n4") for clip in fold.training].count(True) for fold in folds]
    assert set(both) <= {0, 2}, "a unit of noisy clips is one share"


def test_noisy_clips_of_the_holdout_train_nowhere():
    folds = divide(CURATED, NOISY, {"x"}, Division(3, 0, "all"), ("c.csv", "n.csv"))
    assert not any(clip.unit == "x" for fold in folds for clip in fold.training)


def test_given_folds_are_taken():
    given = {clip.fname: row // 4 for row, clip in enumerate(CURATED)}
    folds = divide(CURATED, [], set(), Division(3, 0, given=given), ("c.csv", None))
    assert [[clip.fname for clip in fold.validation] for fold in folds] == [
        ["c0", "c1", "c2", "c3"], ["c4", "c5", "c6", "c7"], ["c8", "c9"]]  # fmt: skip


def test_given_folds_that_part_a_unit_or_leave_a_fold_empty_are_refused():
    given = {clip.fname: row % 3 for row, clip in enumerate(CURATED)}
    with pytest.raises(DataError, match="c.csv: 'c1' in fold 1 and 'c0' in fold 0 belong together"):
        divide(CURATED, [], set(), Division(3, 0, given=given), ("c.csv", None))
    with pytest.raises(DataError, match="leaves fold 3 of 4 without a clip"):
        divide(CURATED, [], set(), Division(4, 0, given=given), ("c.csv", None))
