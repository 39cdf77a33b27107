import numpy as np

from ops.linear_probe import linear_probe

FOLDS = np.arange(40) % 2


def test_a_class_that_a_feature_tells_is_found_in_clips_not_fitted_on():
    rng = np.random.default_rng(0)
    truth = (rng.random((40, 2)) < 0.5).astype(float)
    features = np.stack([1000 + 10 * truth[:, 0], 0.001 * truth[:, 1], np.full(40, 7.0)], axis=1)
    scores = linear_probe(features, truth, FOLDS)
    assert np.array_equal(scores > 0, truth == 1)
    noise = linear_probe(rng.normal(size=(40, 3)), truth, FOLDS)
    assert 0.2 < ((noise > 0) == truth).mean() < 0.8


def test_classes_without_two_sides_score_alike_and_unknown_labels_are_left_out():
    truth = np.zeros((40, 3))
    truth[:, 1] = 1
    truth[:, 2] = FOLDS  # of each fold's own clips the others know one side
    features = np.random.default_rng(0).normal(size=(40, 2))
    scores = linear_probe(features, truth, FOLDS)
    assert (scores[:, 0] < -1000).all() and (scores[:, 1] > 1000).all()
    assert (scores[FOLDS == 0, 2] > 1000).all() and np.isfinite(scores).all()
    known = (features[:, :1] > 0).astype(float)
    features[:, 0] += 3 * known[:, 0]
    unknown = np.where(np.arange(40)[:, None] % 5 == 0, np.nan, known)
    assert ((linear_probe(features, unknown, FOLDS) > 0) == known).mean() > 0.9
