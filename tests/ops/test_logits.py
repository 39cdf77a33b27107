"""The sigmoid and its inverse."""

import numpy as np

from ops.logits import MAX_LOGIT, logits_of, sigmoid


def test_probabilities_keep_apart_what_float32_would_tie():
    logits = np.array([[20.0, 21.0]], dtype=np.float32)
    first, second = sigmoid(logits)[0]
    assert first < second < 1


def test_the_inverse_is_finite_for_certain_probabilities_and_exact_for_others():
    found = logits_of(np.array([0.0, 0.25, 0.5, 1.0]))
    np.testing.assert_allclose(found, [-MAX_LOGIT, -np.log(3), 0, MAX_LOGIT], atol=1e-12)
    scores = np.linspace(-20, 20, 41)
    np.testing.assert_allclose(logits_of(sigmoid(scores)), scores, rtol=1e-6)
