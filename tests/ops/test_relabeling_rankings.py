"""Quota, consensus, soft and balanced relabeling: tables worked out by hand, and laws."""

import numpy as np
import pytest

from strategy_calls import apply, kept

# Quota.

EASY = [[1, 0], [1, 0], [1, 0], [0, 1], [0, 1]]
SCORES = [[0.9, 0.1], [0.8, 0.1], [0.7, 0.1], [0.3, 0.4], [0.4, 0.3]]


def test_quota_gives_each_class_its_best_clips_where_scoring_takes_the_easy_class():
    assert kept("scoring_3", EASY, SCORES) == [0, 1, 2]
    assert kept("quota_1", EASY, SCORES) == [0]  # a tie of ranks goes to the higher agreement
    assert kept("quota_2", EASY, SCORES) == [0, 3]
    assert kept("quota_3", EASY, SCORES) == [0, 1, 3]
    assert kept("quota_4", EASY, SCORES) == [0, 1, 3, 4]
    assert kept("quota_5", EASY, SCORES) == [0, 1, 2, 3, 4]  # a class that runs out leaves its room
    assert kept("quota_99", EASY, SCORES) == [0, 1, 2, 3, 4]


def test_quota_counts_a_clip_of_two_classes_where_it_ranks_best_and_one_without_last():
    labels = [[1, 0], [1, 1], [0, 0]]
    probabilities = [[0.9, 0.1], [0.6, 0.5], [0.9, 0.9]]
    # Class 0 ranks clip 1 above clip 0 (its margin is infinite), class 1 has clip 1 alone.
    assert kept("quota_1", labels, probabilities) == [1]
    assert kept("quota_2", labels, probabilities) == [0, 1]


@pytest.mark.parametrize("k", [5, 20, 40])
def test_quota_takes_as_many_of_each_class(k):
    rng = np.random.default_rng(0)
    labels = np.eye(5, dtype=bool)[np.repeat(np.arange(5), 40)]
    probabilities = rng.random(labels.shape)
    probabilities[:, 0] += 1  # a class that wins everywhere
    found, _ = apply(f"quota_{k}", labels, probabilities / 2)
    assert labels[found].sum(axis=0).tolist() == [k // 5] * 5


# Consensus.


def test_consensus_of_one_table_is_scoring():
    rng = np.random.default_rng(1)
    labels, probabilities = rng.random((50, 4)) < 0.4, rng.random((50, 4))
    for k in (1, 10, 30):
        np.testing.assert_array_equal(
            apply(f"consensus_{k}", labels, probabilities)[0], apply(f"scoring_{k}", labels, probabilities)[0]
        )


def test_consensus_prefers_steady_agreement():
    labels = [[1, 0, 0]] * 3
    first = [[0.9, 0.1, 0.1], [0.6, 0.5, 0.1], [0.1, 0.9, 0.8]]
    last = [[0.2, 0.9, 0.1], [0.6, 0.5, 0.1], [0.9, 0.1, 0.1]]
    # Agreement: clip 0 has 1 then 1/2, clip 1 has 1 twice, clip 2 has 1/3 then 1.
    tables = np.array([first, last])
    assert kept("consensus_1", labels, tables) == [1]
    assert kept("consensus_2", labels, tables) == [0, 1]


# Soft.


def test_soft_weights_are_powers_of_the_ranking_precision():
    labels = np.array([[1, 0, 0], [0, 1, 0], [0, 0, 0]], dtype=bool)
    probabilities = np.array([[0.9, 0.2, 0.1]] * 3)
    np.testing.assert_allclose(apply("soft_2", labels, probabilities)[2], [1, 0.25, 0])
    assert kept("soft_2", labels, probabilities) == [0, 1]


# Balanced pseudo-labels.


def test_balanced_labels_follow_the_given_ones():
    labels = [[1, 0], [1, 0], [0, 1], [0, 1]]
    probabilities = [[0.9, 0.4], [0.8, 0.3], [0.7, 0.2], [0.6, 0.1]]
    assert apply("relabelall-replacenan_1", labels, probabilities)[1].sum(axis=0).tolist() == [4, 0]
    found, new = apply("relabelall-balanced_1", labels, probabilities)
    assert new.tolist() == [[1, 1], [1, 1], [0, 0], [0, 0]] and found.tolist() == [1, 1, 0, 0]
    assert apply("relabelall-balanced_9", labels, probabilities)[1].all()
