"""lwlrap: hand-worked values, scikit-learn and a plain loop as references, laws, degenerate tables."""

import numpy as np
import pytest
from sklearn.metrics import label_ranking_average_precision_score

from ops.metrics import (
    bootstrap_interval,
    confusion_costs,
    confusion_matrix,
    lrap_per_clip,
    lwlrap,
    lwlrap_per_class,
)


def random_table(seed, clips=40, classes=6, ties=False):
    """Truth and scores; clip 0 has no label, clip 1 has all."""
    rng = np.random.default_rng(seed)
    truth = (rng.random((clips, classes)) < 0.3).astype(np.float32)
    truth[0], truth[1] = 0, 1
    scores = rng.integers(0, 4, truth.shape) / 4 if ties else rng.normal(size=truth.shape)
    return truth, scores


def plain_precisions(truth, scores):
    """{(clip, class): precision at the label's rank}, tied scores at the worst rank."""
    precisions = {}
    for clip, (labels, row) in enumerate(zip(truth, scores, strict=True)):
        for label in np.flatnonzero(labels):
            above = row >= row[label]
            precisions[clip, label] = labels[above].sum() / above.sum()
    return precisions


@pytest.mark.parametrize(
    "truth, scores, expected",
    [
        ([[1, 0, 1]], [[0.9, 0.8, 0.7]], (1 + 2 / 3) / 2),
        ([[0, 1, 0]], [[0.9, 0.8, 0.7]], 1 / 2),
        ([[0, 0, 1]], [[0.9, 0.8, 0.7]], 1 / 3),
        ([[1, 1, 0]], [[0.2, 0.9, 0.1]], 1.0),
        ([[1, 0, 0]], [[0.5, 0.5, 0.5]], 1 / 3),  # ties share the worst rank
        ([[1, 0, 1, 0]], [[0.5, 0.5, 0.1, 0.9]], (1 / 3 + 2 / 4) / 2),
        ([[1, 0], [0, 0], [1, 1]], [[0.1, 0.9], [0.5, 0.1], [0.3, 0.4]], (1 / 2 + 1 + 1) / 3),
        ([[1]], [[0.3]], 1.0),
        ([[1, 0, 0]], [[np.inf, 0, -np.inf]], 1.0),
        ([[0, 1]], [[0.0, -0.0]], 1 / 2),
    ],
)
def test_lwlrap_exact(truth, scores, expected):
    assert lwlrap(np.array(truth), np.array(scores)) == pytest.approx(expected, abs=1e-12)


def test_per_class_and_per_clip_exact():
    truth = np.array([[1, 0, 1, 0], [0, 0, 1, 0], [0, 0, 0, 0]])
    scores = np.array([[0.9, 0.8, 0.7, 0.1], [0.1, 0.4, 0.3, 0.2], [0.1, 0.2, 0.3, 0.4]])
    np.testing.assert_allclose(lwlrap_per_class(truth, scores), [1, np.nan, (2 / 3 + 1 / 2) / 2, np.nan])
    np.testing.assert_allclose(lrap_per_clip(truth, scores), [5 / 6, 1 / 2, np.nan])


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("seed", range(5))
def test_equals_scikit_learn(seed, ties):
    truth, scores = random_table(seed, ties=ties)
    expected = label_ranking_average_precision_score(truth, scores, sample_weight=truth.sum(axis=1))
    assert lwlrap(truth, scores) == pytest.approx(expected, abs=1e-12)
    per_clip = lrap_per_clip(truth, scores)
    for clip in range(1, len(truth)):
        if truth[clip].any():
            one = slice(clip, clip + 1)
            expected = label_ranking_average_precision_score(truth[one], scores[one])
            assert per_clip[clip] == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("seed", range(5))
def test_per_class_equals_plain_loop(seed, ties):
    truth, scores = random_table(seed, clips=12, ties=ties)
    precisions = plain_precisions(truth, scores)
    per_class = lwlrap_per_class(truth, scores)
    for label in range(truth.shape[1]):
        expected = [value for (_, k), value in precisions.items() if k == label]
        assert per_class[label] == pytest.approx(np.mean(expected), abs=1e-12)


def test_classes_weighted_by_labels_average_to_lwlrap():
    truth, scores = random_table(0)
    weights = truth.sum(axis=0)
    average = (lwlrap_per_class(truth, scores) * weights).sum() / weights.sum()
    assert average == pytest.approx(lwlrap(truth, scores), abs=1e-12)


def test_only_the_order_within_a_clip_matters():
    truth, scores = random_table(1)
    slope = np.linspace(0.1, 3, len(scores))[:, None]
    assert lwlrap(truth, np.exp(slope * scores) - 5 * slope) == lwlrap(truth, scores)


def test_permuting_clips_and_classes():
    truth, scores = random_table(2)
    rng = np.random.default_rng(0)
    clips, classes = rng.permutation(truth.shape[0]), rng.permutation(truth.shape[1])
    shuffled = truth[clips][:, classes], scores[clips][:, classes]
    assert lwlrap(*shuffled) == pytest.approx(lwlrap(truth, scores), abs=1e-12)
    np.testing.assert_allclose(lwlrap_per_class(*shuffled), lwlrap_per_class(truth, scores)[classes])
    np.testing.assert_allclose(lrap_per_clip(*shuffled), lrap_per_clip(truth, scores)[clips])


def test_perfect_ranking_scores_one_and_worst_the_least():
    truth, _ = random_table(3)
    best, worst = lwlrap(truth, truth), lwlrap(truth, -truth)
    assert best == 1
    assert all(worst <= lwlrap(truth, random_table(seed)[1]) for seed in range(10))


def test_inputs_stay_unchanged():
    truth, scores = random_table(4)
    before = truth.copy(), scores.copy()
    lwlrap(truth, scores)
    lwlrap_per_class(truth, scores)
    np.testing.assert_array_equal(truth, before[0])
    np.testing.assert_array_equal(scores, before[1])


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.int64, np.int8, np.uint8])
def test_scores_of_any_type(dtype):
    assert lwlrap(np.array([[1, 0, 0]]), np.array([[2, 1, 0]], dtype=dtype)) == 1
    assert lwlrap(np.array([[0, 0, 1]]), np.array([[2, 1, 0]], dtype=dtype)) == pytest.approx(1 / 3)


def test_without_labels_there_is_no_score():
    truth, scores = np.zeros((3, 2)), np.random.default_rng(0).random((3, 2))
    assert np.isnan(lwlrap(truth, scores))
    assert np.isnan(lwlrap_per_class(truth, scores)).all()
    assert np.isnan(lrap_per_clip(truth, scores)).all()


@pytest.mark.parametrize("shape", [(0, 3), (2, 0)])
def test_empty_tables(shape):
    empty = np.zeros(shape)
    assert np.isnan(lwlrap(empty, empty))
    assert lwlrap_per_class(empty, empty).shape == (shape[1],)
    assert lrap_per_clip(empty, empty).shape == (shape[0],)


@pytest.mark.parametrize("function", [lwlrap, lwlrap_per_class, lrap_per_clip])
@pytest.mark.parametrize(
    "truth, scores, message",
    [
        (np.zeros((2, 3)), np.zeros((3, 2)), "one shape"),
        (np.zeros(3), np.zeros(3), "one shape"),
        (np.ones((1, 2)), np.array([[0.5, np.nan]]), "NaN"),
    ],
)
def test_wrong_input_is_an_error(function, truth, scores, message):
    with pytest.raises(ValueError, match=message):
        function(truth, scores)


def test_confusion_costs_by_hand():
    truth = np.array([[1, 0, 1, 0], [0, 1, 0, 0]])
    scores = np.array([[0.9, 0.8, 0.1, 0.5], [0.7, 0.7, 0.1, 0.9]])
    costs, clips = confusion_costs(truth, scores)
    # Clip 0: class 2 has the rank 4, below 1 and 3. Clip 1: class 1 shares the rank 3 with 0, below 3.
    expected = np.zeros((4, 4))
    expected[2, [1, 3]], expected[1, [0, 3]] = 1 / 4, 1 / 3
    np.testing.assert_allclose(costs, expected)
    np.testing.assert_array_equal(clips, expected > 0)


@pytest.mark.parametrize("seed", range(50))
def test_confusion_costs_are_what_lwlrap_lacks(seed):
    rng = np.random.default_rng(seed)
    truth = rng.random((rng.integers(1, 9), rng.integers(1, 6))) < 0.4
    scores = rng.choice([0.0, 0.2, 0.5, 1.0], truth.shape)
    costs, clips = confusion_costs(truth, scores)
    if truth.any():
        assert 1 - costs.sum() / truth.sum() == pytest.approx(lwlrap(truth, scores), abs=1e-12)
    assert not costs[clips == 0].any() and (clips <= truth.sum(axis=0)[:, None]).all()


def test_the_interval_of_a_difference():
    low, high = bootstrap_interval(np.array([0.1, 0.1, 0.1]), np.array([1, 1, 1]), 100, 0)
    assert low == pytest.approx(0.1) and high == pytest.approx(0.1)


def test_confusion_matrix_counts_clips_by_their_highest_class():
    truth = np.array([[1, 0, 0], [1, 0, 0], [0, 1, 1], [1, 1, 0], [0, 0, 0], [0, 1, np.nan]])
    scores = np.array([[3, 2, 1], [1, 1, 0], [9, 1, 5], [0, 7, 1], [5, 0, 0], [1, 2, 3]])
    # Of ties the first; several labels are right or wrong together; unknown classes are never the highest.
    assert confusion_matrix(truth, scores).tolist() == [[3, 0, 0], [1, 2, 0], [1, 0, 0]]
    assert confusion_matrix(np.zeros((0, 2)), np.zeros((0, 2))).tolist() == [[0, 0], [0, 0]]
