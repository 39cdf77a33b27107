"""Means and fitted weights: exact values, laws, the guard against fitted weights."""

import numpy as np
import pytest

from made_scores import random_models
from ops.blending import MEANS, fit_weights, fit_with_guard
from ops.folds import stratified_folds
from ops.metrics import lwlrap

TWO = np.array([[[0.2, 0.8, 0.8], [0.5, 0.1, 0.0]], [[0.4, 0.2, 0.9], [0.5, 0.9, 0.3]]])


@pytest.mark.parametrize(
    "method, expected",
    [
        ("mean", [[0.3, 0.5, 0.85], [0.5, 0.5, 0.15]]),
        ("geometric", [[0.08**0.5, 0.4, 0.72**0.5], [0.5, 0.3, 0.0]]),
        # Ranks within a clip: 1 2.5 2.5 and 3 2 1; 2 1 3 and 2 3 1.
        ("rank", [[(0.5 + 1.5) / 6, (2 + 0.5) / 6, (2 + 2.5) / 6], [4 / 6, 4 / 6, 1 / 6]]),
        # Ranks within a class: 1 2, 2 1, 2 1; 1 2, 1 2, 2 1.
        ("clip_rank", [[0.25, 0.5, 0.75], [0.75, 0.5, 0.25]]),
    ],
)
def test_means_worked_out_by_hand(method, expected):
    np.testing.assert_allclose(MEANS[method](TWO), expected, rtol=1e-12)


def test_logit_mean_is_the_geometric_mean_of_the_odds():
    odds = (TWO[:, 0] / (1 - TWO[:, 0])).prod(axis=0) ** 0.5
    np.testing.assert_allclose(MEANS["logit"](TWO)[0], odds / (1 + odds), rtol=1e-12)


@pytest.mark.parametrize("method", MEANS)
def test_laws_of_every_mean(method):
    _, scores = random_models(0)
    scores[0, 0] = [0, 1, 0, 1, 0.5]
    blend = MEANS[method](scores)
    assert blend.shape == scores.shape[1:] and (blend >= 0).all() and (blend <= 1).all()
    np.testing.assert_allclose(MEANS[method](scores[::-1]), blend, rtol=1e-12)  # order does not matter
    alone = MEANS[method](scores[:1])
    if method in ("mean", "geometric", "logit"):
        np.testing.assert_allclose(alone, scores[0], rtol=1e-9, atol=1e-14)
    axis = 0 if method == "clip_rank" else 1
    np.testing.assert_array_equal(
        np.argsort(alone[1:], axis=axis, kind="stable"), np.argsort(scores[0, 1:], axis=axis, kind="stable")
    )


@pytest.mark.parametrize("method", ["logit", "rank"])
def test_shifts_that_lsep_leaves_free_change_no_ranking_within_a_clip(method):
    truth, scores = random_models(1)
    shifts = np.random.default_rng(2).normal(scale=3, size=(*scores.shape[:2], 1))
    logits = np.log(scores / (1 - scores))
    shifted = 1 / (1 + np.exp(-(logits + shifts)))
    before, after = MEANS[method](scores), MEANS[method](shifted)
    assert lwlrap(truth, after) == pytest.approx(lwlrap(truth, before), abs=1e-12)
    assert lwlrap(truth, MEANS["mean"](shifted)) != pytest.approx(
        lwlrap(truth, MEANS["mean"](scores)), abs=1e-3
    )


@pytest.mark.parametrize("seed", range(5))
def test_fitted_weights_are_no_worse_where_they_were_fitted(seed):
    truth, scores = random_models(seed, models=4)
    scores[3] = np.round(scores[3], 1)  # ties
    weights = fit_weights(truth, scores)
    assert weights.sum() == pytest.approx(1) and (weights >= 0).all()
    found = lwlrap(truth, np.tensordot(weights, scores, axes=1))
    others = [lwlrap(truth, model) for model in scores] + [lwlrap(truth, scores.mean(axis=0))]
    assert found >= max(others) - 1e-12


def test_of_equals_the_plain_mean_is_kept():
    truth, scores = random_models(0, models=1)
    np.testing.assert_array_equal(fit_weights(truth, np.concatenate([scores] * 3)), [1 / 3] * 3)
    np.testing.assert_array_equal(fit_weights(truth, scores), [1])
    perfect = np.stack([truth, truth]) * 0.5
    np.testing.assert_array_equal(fit_weights(truth, perfect), [0.5, 0.5])


def test_a_useless_model_gets_no_weight_and_the_guard_agrees():
    truth, scores = random_models(0, models=3, clips=300)
    scores[:2] += truth  # good models, and one of noise ten times as loud
    scores[:2] /= 2
    fit = fit_with_guard(truth, scores, 5, 0)
    assert fit.weights[2] < 0.1 and fit.is_worth_it
    assert fit.mean < fit.nested <= fit.fitted


@pytest.mark.parametrize("seed", range(3))
def test_weights_of_equally_good_models_are_not_worth_it(seed):
    """Ten models of the same quality: fitted weights look better than the mean, where they were fitted."""
    truth, scores = random_models(seed, models=10, clips=60)
    scores = (scores + 0.3 * truth) / 1.3
    fit = fit_with_guard(truth, scores, 5, 0)
    assert fit.fitted > fit.mean and fit.nested < fit.fitted
    assert not fit.is_worth_it


def test_the_guard_scores_each_part_with_weights_fitted_without_it():
    truth, scores = random_models(3, clips=50)
    fit = fit_with_guard(truth, scores, 5, 0)
    nested = np.full(truth.shape, np.nan)
    for training, held_out in stratified_folds(truth, 5, 0):
        assert not set(training) & set(held_out)
        weights = fit_weights(truth[training], scores[:, training])
        nested[held_out] = sum(w * model for w, model in zip(weights, scores[:, held_out], strict=True))
    assert fit.nested == pytest.approx(lwlrap(truth, nested))
    assert fit.mean == pytest.approx(lwlrap(truth, scores.mean(axis=0)))
    assert fit.fitted == pytest.approx(lwlrap(truth, np.tensordot(fit.weights, scores, axes=1)))
    assert fit.low <= fit.nested - fit.mean <= fit.high
