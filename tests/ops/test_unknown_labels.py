"""Weights and calibrations leave out what nobody knows."""

import numpy as np

from ops.blending import fit_weights, fit_with_guard
from ops.calibration import fit_calibration


def drawn(seed):
    """Truth with unknown entries, two models' scores, and the same truth all known."""
    rng = np.random.default_rng(seed)
    known = rng.random((40, 6)) < 0.3
    known[:, 0] = True
    truth = np.where(rng.random(known.shape) < 0.2, np.nan, known)
    truth[:, 0] = 1
    scores = (0.3 * known + 0.7 * rng.random((2, 40, 6))).clip(0.01, 0.99)
    return truth, scores, known


def test_the_scores_of_unknown_classes_change_neither_weights_nor_their_guard():
    for seed in range(3):
        truth, scores, _ = drawn(seed)
        other = np.where(np.isnan(truth), 0.5, scores)
        np.testing.assert_array_equal(fit_weights(truth, scores), fit_weights(truth, other))
        first, second = (fit_with_guard(truth, table, 4, 0) for table in (scores, other))
        assert (first.mean, first.nested, first.low) == (second.mean, second.nested, second.low)


def test_a_calibration_is_fitted_on_what_is_known():
    truth, scores, known = drawn(0)
    whole = fit_calibration(scores[0], known.astype(np.float32))
    assert fit_calibration(scores[0], known) == whole
    found = fit_calibration(scores[0], truth)
    assert found != whole and np.isfinite([found.slope, found.intercept]).all() and found.slope > 0
