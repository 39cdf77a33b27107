"""Calibration: free of shifts, fit on clips with known labels."""

import numpy as np
import pytest

from made_scores import shifted_clips, sigmoid
from ops.calibration import Calibration, fit_calibration, relative_logits
from ops.errors import DataError


def test_relative_logits_by_hand():
    found = relative_logits(sigmoid([[2.0, 1.0, -1.0]]))
    others = [np.log(np.exp(1) + np.exp(-1)), np.log(np.exp(2) + np.exp(-1)), np.log(np.exp(2) + np.exp(1))]
    np.testing.assert_allclose(found, [[2 - others[0], 1 - others[1], -1 - others[2]]], rtol=1e-9)
    np.testing.assert_allclose(relative_logits(np.array([[0.2, 0.7]])).sum(), 0, atol=1e-12)
    np.testing.assert_allclose(relative_logits(sigmoid([[0.7]])), [[0.7]])  # one class


def test_a_shift_changes_nothing_and_the_order_stays():
    logits = np.random.default_rng(0).normal(0, 3, (50, 7))
    shift = np.linspace(-12, 12, 50)[:, None]
    expected = relative_logits(sigmoid(logits))
    np.testing.assert_allclose(relative_logits(sigmoid(logits + shift)), expected, atol=1e-3)
    found = Calibration(0.8, -0.3).apply(sigmoid(logits + shift))
    np.testing.assert_array_equal(found.argsort(axis=1), logits.argsort(axis=1))


def test_saturated_scores_stay_finite():
    assert np.isfinite(relative_logits(np.array([[0.0, 1.0, 1.0], [0.0, 0.0, 0.0], [1.0, 1.0, 1.0]]))).all()


def test_calibrated_probabilities_come_true():
    truth, scores = shifted_clips(0, 4000)
    found = fit_calibration(*reversed(shifted_clips(1, 2000))).apply(scores)
    for low, high in ((0.0, 0.1), (0.3, 0.7), (0.9, 1.0)):
        pairs = (found >= low) & (found <= high)
        assert truth[pairs].mean() == pytest.approx(found[pairs].mean(), abs=0.06)


def test_scores_that_say_nothing_are_refused():
    truth, scores = shifted_clips(0, 100)
    with pytest.raises(DataError, match="found the opposite"):
        fit_calibration(1 - scores, truth)
    with pytest.raises(DataError, match="some of the classes"):
        fit_calibration(scores, np.zeros_like(truth))
