"""How right the kept labels of a round are."""

import pytest

from ops.errors import DataError
from toolkit.rounds.report import label_quality

TRUTH = {"a": frozenset("X"), "b": frozenset("XY"), "c": frozenset("Y"), "d": frozenset("Z")}
KEPT = {"a": frozenset("X"), "b": frozenset("Y"), "c": frozenset("XZ")}


def test_quality_by_hand():
    assert label_quality(KEPT, "abcd", TRUTH, "t.csv") == {
        "kept_precision": 1 / 3,
        "kept_recall": 1 / 4,
        "label_precision": 2 / 4,
        "label_recall": 2 / 5,
    }
    assert set(label_quality({}, "abcd", TRUTH, "t.csv").values()) == {None}


def test_clips_of_the_truth_that_are_not_noisy_do_not_count():
    more = TRUTH | {f"test_{i}": frozenset("XYZ") for i in range(10)}
    assert label_quality(KEPT, "abcd", more, "t.csv") == label_quality(KEPT, "abcd", TRUTH, "t.csv")


def test_every_noisy_clip_needs_its_truth_kept_or_not():
    with pytest.raises(DataError, match=r"t.csv: expected the true labels .* none of 'e' \(2 missing"):
        label_quality(KEPT, "abcdef", TRUTH, "t.csv")
