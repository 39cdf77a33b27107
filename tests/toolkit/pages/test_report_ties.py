"""Where scores tie, what is printed and shown goes by names, whatever the order of classes and clips."""

import numpy as np
import pytest

from toolkit.clips.recordings import in_words
from toolkit.pages.report import class_rows, confusion_rows, top_scores
from toolkit.runs.out_of_fold import OutOfFold

CLASSES = ["Run", "Bark", "Zip", "Meow", "Hum", "Cry", "Ah"]


def test_ties_of_a_clips_classes_go_by_name():
    scores = np.array([0.5, 0.5, 0.9, 0.5, 0.1, 0.5, 0.5])
    expected = ["Zip 0.90", "Ah 0.50", "Bark 0.50", "Cry 0.50"]
    for order in (range(7), range(6, -1, -1), [3, 1, 6, 0, 2, 5, 4]):
        order = list(order)
        names = [CLASSES[k] for k in order]
        assert in_words(scores[order], names, 4).split(", ") == expected
        shown = top_scores(scores[order], names, np.zeros(7, dtype=bool))
        assert [name for name, _, _ in shown] == ["Zip", "Ah", "Bark", "Cry", "Meow"]


@pytest.mark.parametrize("seed", range(5))
def test_rows_of_a_report_do_not_depend_on_the_order_of_classes(seed):
    rng = np.random.default_rng(seed)
    truth, scores = rng.random((12, 7)) < 0.3, rng.integers(0, 3, (12, 7)) / 2
    order = rng.permutation(7)
    names = [CLASSES[k] for k in order]
    tables = [
        OutOfFold([str(n) for n in range(12)], np.zeros(12), *arrays)
        for arrays in ((CLASSES, truth, scores), (names, truth[:, order], scores[:, order]))
    ]
    first, second = ([row["name"] for row in class_rows(table)] for table in tables)
    assert first == second
    first, second = (
        [(row["true"], row["wrong"], pytest.approx(row["cost"])) for row in confusion_rows(table)]
        for table in tables
    )
    assert first == second
