"""The quality of the kept labels, by hand."""

from toolkit.rounds.report import label_quality


def test_quality_by_hand():
    truth = {"a": frozenset("X"), "b": frozenset("XY"), "c": frozenset("Y"), "d": frozenset("Z")}
    kept = {"a": frozenset("X"), "b": frozenset("Y"), "c": frozenset("XZ")}
    assert label_quality(kept, truth, "t.csv") == {
        "kept_precision": 1 / 3,
        "kept_recall": 1 / 4,
        "label_precision": 2 / 4,
        "label_recall": 2 / 5,
    }
    assert set(label_quality({}, truth, "t.csv").values()) == {None}
