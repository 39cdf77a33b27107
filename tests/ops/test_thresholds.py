"""Thresholds of highest F1, F1 and calibration error: by hand, and laws."""

import numpy as np
import pytest

from made_scores import shifted_clips
from ops.calibration import fit_calibration
from ops.thresholds import PRIOR_CLIPS, calibration_error, f1_scores, f1_thresholds


def test_a_threshold_lies_where_f1_is_highest():
    scores = np.array([[0.9], [0.8], [0.6], [0.4], [0.2]])
    truth = np.array([[1.0], [0], [1], [0], [0]])
    # "Yes" from 0.9 on: 2/3; from 0.8: 2/4; from 0.6: 4/5; from 0.4: 4/6.
    np.testing.assert_allclose(f1_thresholds(scores, truth), [0.6])


def test_few_clips_lean_on_the_common_threshold_and_unknown_pairs_do_not_count():
    scores = np.array([[0.9, 0.3], [0.8, 0.2], [0.1, 0.1], [0.7, 0.05]])
    truth = np.array([[1.0, 1], [1, 0], [0, 0], [np.nan, 0]])
    common = 0.3  # all three pairs that are positive, and no other: 0.9, 0.8, 0.3
    expected = [0.8 * 2 / (2 + PRIOR_CLIPS) + common * PRIOR_CLIPS / (2 + PRIOR_CLIPS), 0.3]
    np.testing.assert_allclose(f1_thresholds(scores, truth), expected)
    assert f1_thresholds(scores, np.zeros((4, 2))).tolist() == [0.5, 0.5]


def test_equal_scores_are_tagged_together():
    scores, truth = np.array([[0.5], [0.5], [0.5], [0.1]]), np.array([[1.0], [0], [0], [0]])
    assert f1_thresholds(scores, truth) == [0.5]


def test_f1_by_hand():
    tagged = np.array([[True, False], [True, True], [False, False]])
    truth = np.array([[1.0, 1], [0, 1], [np.nan, 0]])
    micro, macro = f1_scores(tagged, truth)
    assert micro == pytest.approx(2 * 2 / (3 + 3))
    assert macro == pytest.approx((2 / 3 + 2 / 3) / 2)
    assert np.isnan(f1_scores(tagged, np.zeros((3, 2)))[1])


def test_calibration_error_by_hand():
    probabilities = np.array([[0.05, 0.95], [0.05, 0.92], [1.0, np.nan]])
    truth = np.array([[0.0, 1], [1, 1], [1, np.nan]])
    # Bins: 0.05, 0.05 (half true); 0.95, 0.92, 1.0 (all true).
    expected = (abs(0.1 - 1) + abs(2.87 - 3)) / 5
    assert calibration_error(probabilities, truth) == pytest.approx(expected)


def test_calibration_lowers_the_error_and_thresholds_raise_f1():
    truth, scores = shifted_clips(0, 1000)
    unseen_truth, unseen = shifted_clips(1, 1000)
    calibration = fit_calibration(scores, truth)
    raw, fitted = calibration_error(unseen, unseen_truth), calibration.apply(unseen)
    assert calibration_error(fitted, unseen_truth) < raw / 2
    thresholds = f1_thresholds(calibration.apply(scores), truth)
    assert f1_scores(fitted >= thresholds, unseen_truth)[0] > f1_scores(unseen >= 0.5, unseen_truth)[0]
