"""Soft labels: odds over the highest odds, by hand and as laws; what rank losses make of them."""

from math import exp, log

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit, logit
from torch import tensor

from ops.losses import bce_loss, lsep_loss, zlpr_loss
from ops.soft_labels import soft_labels


def test_by_hand():
    # Odds of 4, 1 and 1/4.
    labels = soft_labels(np.array([[0.8, 0.5, 0.2], [0.2, 0.2, 0.8]]), 1)
    assert labels == pytest.approx(np.array([[1, 1 / 4, 1 / 16], [1 / 16, 1 / 16, 1]]))
    assert labels.dtype == np.float32
    assert soft_labels(np.array([[0.8, 0.5, 0.2]]), 0.5) == pytest.approx(np.array([[1, 1 / 2, 1 / 4]]))


@given(st.lists(st.floats(0.01, 0.99), min_size=1, max_size=6), st.floats(-3, 3), st.floats(0.1, 5))
def test_a_shift_of_a_clips_logits_does_not_count_and_the_order_stays(scores, shift, power):
    scores = np.array([scores])
    labels = soft_labels(scores, power)
    assert soft_labels(expit(logit(scores) + shift), power) == pytest.approx(labels, rel=1e-4)
    assert labels.max() == 1 and (labels >= 0).all()
    assert (np.diff(labels[0][np.argsort(scores[0])]) >= 0).all()


def test_probabilities_of_0_and_1_are_finite():
    assert soft_labels(np.array([[0.0, 1.0], [1.0, 1.0], [0.0, 0.0]]), 2).tolist() == [[0, 1], [1, 1], [1, 1]]


def slow_lsep(scores, labels):
    n = range(len(scores))
    return log(1 + sum((1 - labels[i]) * labels[j] * exp(scores[i] - scores[j]) for i in n for j in n))


def test_rank_losses_weigh_pairs_by_soft_labels():
    logits, targets = [[0.5, -1.0, 2.0]], [[1.0, 0.25, 0.0]]
    assert lsep_loss(tensor(logits), tensor(targets)).item() == pytest.approx(
        slow_lsep(logits[0], targets[0])
    )
    negatives, positives = 0.75 * exp(-1) + exp(2), exp(-0.5) + 0.25 * exp(1)
    expected = log(1 + negatives) + log(1 + positives)
    assert zlpr_loss(tensor(logits), tensor(targets)).item() == pytest.approx(expected)


@pytest.mark.parametrize("loss", [lsep_loss, zlpr_loss, bce_loss])
def test_gradients_are_finite_at_any_soft_label(loss):
    logits = torch.tensor([[0.0, 50.0, -50.0, 1.0]], requires_grad=True)
    loss(logits, tensor([[1.0, 1e-30, 1 - 1e-7, float("nan")]])).backward()
    assert torch.isfinite(logits.grad).all() and logits.grad[0, 3] == 0


def test_a_clip_of_which_predictions_know_nothing_pulls_at_nothing():
    logits = torch.tensor([[0.0, 3.0, -2.0]], requires_grad=True)
    lsep_loss(logits, tensor(soft_labels(np.full((1, 3), 0.3), 1))).backward()
    assert not logits.grad.any()
