"""Familiarity: clips like those of training pass, backgrounds and what lies far out do not."""

import numpy as np
import pytest

from ops.familiarity import DISTANCE_MARGIN, Familiarity, fit_familiarity


@pytest.fixture(scope="module")
def tests():
    rng = np.random.default_rng(0)
    clips, backgrounds = rng.normal(1, 1, (300, 8)), rng.normal(-2, 0.3, (100, 8))
    return fit_familiarity(clips[:200], clips[200:], clips[200:] + 0.1, backgrounds)


def test_clips_pass_and_backgrounds_do_not(tests):
    rng = np.random.default_rng(1)
    assert tests.accepts(rng.normal(1, 1, (1000, 8))).mean() > 0.95
    assert not tests.accepts(rng.normal(-2, 0.3, (1000, 8))).any()


def test_what_is_far_from_training_does_not_pass(tests):
    far = 1 + np.eye(8) * 20
    assert not tests.accepts(far).any() and tests.accepts(np.ones((1, 8))).all()


def test_neither_test_refuses_more_than_its_share_of_unseen_clips():
    rng = np.random.default_rng(0)
    same = rng.normal(0, 1, (400, 3))  # backgrounds like the clips: then clips count more
    tests = fit_familiarity(same[:100], same[100:200], same[100:200], same[200:])
    assert tests.accepts(same[100:200]).mean() >= 0.96


def test_by_hand():
    tests = Familiarity(np.array([1.0, 0]), np.array([2.0, 1]), np.array([1.0, 0]), 0.5, 2.0)
    vectors = np.array([[1.0, 0], [-1, 0], [3, 0], [1, 2.9], [1, 2.8], [100, 0]])
    # Margins 0.5, -0.5, 1.5, 0.5, 0.5, 10.5; distances 0, 0.71, 0.71, 2.05, 1.98, 35.
    assert tests.accepts(vectors).tolist() == [True, False, True, False, True, False]


def test_a_dimension_that_never_moves_and_a_single_clip():
    clips = np.array([[1.0, 5.0, 0.0]])
    tests = fit_familiarity(clips, clips, clips, np.array([[-1.0, 5, 3], [-1, 5, 4]]))
    assert np.isfinite([tests.bias, tests.max_distance]).all() and (tests.scale > 0).all()
    assert tests.accepts(clips).all() and DISTANCE_MARGIN >= 1
