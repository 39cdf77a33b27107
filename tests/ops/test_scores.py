"""Scores of predictions: hand-worked figures, intervals, degenerate tables."""

import numpy as np
import pytest

from ops.metrics import lwlrap
from ops.scores import score

TRUTH = np.array([[1, 0, 0], [1, 1, 0], [0, 0, 0], [0, 1, 0]])
SCORES = np.array([[0.9, 0.2, 0.3], [0.1, 0.2, 0.3], [0.5, 0.6, 0.7], [0.3, 0.8, 0.1]])


def test_figures_worked_out_by_hand():
    found = score(TRUTH, SCORES, 0, 0)
    assert found.clips == 3  # those with labels
    assert found.lwlrap == pytest.approx((1 + 1 / 2 + 2 / 3 + 1) / 4)
    # Class 0: its clips at ranks 1 and 3 of 3. Class 1: at rank 1 and at rank 3, tied with the first clip.
    assert found.mean_average_precision == pytest.approx(((1 + 2 / 3) / 2 + (1 + 2 / 3) / 2) / 2)
    assert found.accuracy == pytest.approx(2 / 3)
    assert np.isnan(found.low) and np.isnan(found.high)


def test_the_interval_is_that_of_lwlrap_over_resampled_clips():
    rng = np.random.default_rng(1)
    truth, scores = rng.random((30, 5)) < 0.4, rng.random((30, 5))
    truth[:, 0] = True
    draws = np.random.default_rng(7)
    values = []
    for _ in range(200):
        rows = draws.integers(0, 30, 30)
        values.append(lwlrap(truth[rows], scores[rows]))
    found = score(truth, scores, 200, 7)
    assert (found.low, found.high) == pytest.approx(tuple(np.percentile(values, [2.5, 97.5])))
    assert found.low < found.lwlrap < found.high
    assert score(truth, scores, 200, 7) == found


def test_one_clip_has_an_interval_of_one_point():
    found = score(TRUTH[1:2], SCORES[1:2], 50, 0)
    assert found.low == found.high == found.lwlrap == pytest.approx((1 / 2 + 2 / 3) / 2)
    assert found.mean_average_precision == 1.0 and found.accuracy == 0.0


@pytest.mark.parametrize("rows", [slice(2, 3), slice(0, 0)])
def test_nothing_labelled_gives_nan(rows):
    found = score(TRUTH[rows], SCORES[rows], 50, 0)
    assert found.clips == 0 and all(np.isnan(value) for value in list(vars(found).values())[1:])


def test_one_class():
    found = score(np.ones((3, 1)), np.array([[0.1], [0.5], [0.5]]), 50, 0)
    assert vars(found) == {"clips": 3, **dict.fromkeys(list(vars(found))[1:], 1.0)}


def test_accuracy_of_ties_is_the_share_of_the_highest_classes_that_are_true():
    truth = np.array([[1, 0, 0], [1, 1, 0], [0, 0, 1]])
    scores = np.array([[0.9, 0.9, 0.1], [0.5, 0.5, 0.5], [0.2, 0.1, 0.7]])
    assert score(truth, scores, 0, 0).accuracy == pytest.approx((1 / 2 + 2 / 3 + 1) / 3)


@pytest.mark.parametrize("seed", range(5))
def test_the_order_of_clips_and_classes_changes_no_figure(seed):
    rng = np.random.default_rng(seed)
    truth, scores = (rng.random((20, 5)) < 0.4).astype(float), rng.integers(0, 3, (20, 5)) / 2
    rows, columns = rng.permutation(20), rng.permutation(5)
    for unlabelled in (False, True):
        expected = score(truth, scores, 0, 0, unlabelled)
        found = score(truth[rows][:, columns], scores[rows][:, columns], 0, 0, unlabelled)
        assert list(vars(found).values()) == pytest.approx(list(vars(expected).values()), nan_ok=True)


def test_clips_without_labels_count_as_negatives_where_they_are_asked_for():
    truth, scores = np.array([[1, 0], [0, 1], [0, 0]]), np.array([[0.5, 0.1], [0.2, 0.9], [0.7, 0.3]])
    assert score(truth, scores, 0, 0).mean_average_precision == 1
    counted = score(truth, scores, 0, 0, unlabelled=True)
    assert counted.mean_average_precision == pytest.approx((1 / 2 + 1) / 2)
    assert counted.clips == 2 and counted.lwlrap == 1 and counted.accuracy == 1


def test_what_nobody_knows_changes_no_figure():
    truth = np.array([[1, np.nan, 0], [np.nan, 1, 0], [0, 1, 1]])
    scores = np.array([[0.5, 0.9, 0.1], [0.4, 0.2, 0.1], [0.6, 0.7, 0.3]])
    found = score(truth, scores, 0, 0)
    assert found.lwlrap == pytest.approx((1 + 1 + 1 + 2 / 3) / 4) and found.accuracy == 1
    # Class 0: one of two known clips, below the other. Class 1: both known clips. Class 2: at the top.
    assert found.mean_average_precision == pytest.approx((1 / 2 + 1 + 1) / 3)
    other = np.where(np.isnan(truth), 0.0, scores)
    assert score(truth, other, 0, 0) == found
