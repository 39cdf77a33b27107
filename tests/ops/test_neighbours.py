"""Votes of neighbours: by hand, against a slow loop, ties, clips that belong together, few or no voters."""

import numpy as np
import pytest

import ops.neighbours
from ops.neighbours import neighbour_votes

ANGLES = np.radians([0, 10, 25, 90, 100])
VECTORS = np.stack([np.cos(ANGLES), np.sin(ANGLES)], axis=1) * np.array([[1], [5], [0.1], [2], [3]])
LABELS = np.array([[1, 0], [0, 1], [1, 0], [0, 1], [1, 1]], dtype=float)
APART = np.arange(5)


def test_votes_by_hand():
    """The two nearest by angle, whatever the lengths; of 2 votes v become (v + 1/2) / 3."""
    found = neighbour_votes(VECTORS, LABELS, APART, 2)
    pairs = [(1, 2), (0, 2), (1, 0), (4, 2), (3, 2)]
    expected = [(LABELS[list(pair)].sum(axis=0) + 0.5) / 3 for pair in pairs]
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    np.testing.assert_array_equal(neighbour_votes(VECTORS, LABELS, APART, 2, n_asked=2), found[:2])


def test_clips_of_a_unit_do_not_vote_for_each_other():
    found = neighbour_votes(VECTORS, LABELS, np.array([0, 0, 1, 2, 3]), 1)
    np.testing.assert_allclose(found[0], [0.75, 0.25])  # clip 2, not the nearer clip 1
    np.testing.assert_allclose(neighbour_votes(VECTORS, LABELS, np.zeros(5, int), 3), 0.5)


def test_what_nobody_knows_and_clips_without_labels_are_no_votes():
    labels = LABELS.copy()
    labels[1], labels[2, 1] = 0, np.nan
    found = neighbour_votes(VECTORS, labels, APART, 2)
    # Clip 0 asks clip 2, of whose class 1 nobody knows, and clip 3.
    np.testing.assert_allclose(found[0], [1.5 / 3, 1.5 / 2])
    np.testing.assert_array_equal(neighbour_votes(VECTORS, np.zeros((5, 2)), APART, 2), np.full((5, 2), 0.5))


def test_ties_share_the_last_places():
    vectors = np.array([[1, 0], [0, 1], [0, 1], [0, 1]])
    found = neighbour_votes(vectors, LABELS[:4], APART[:4], 2)
    np.testing.assert_allclose(found[0], [(2 / 3 + 0.5) / 3, (4 / 3 + 0.5) / 3], rtol=1e-6)


@pytest.mark.parametrize("k", [1, 4, 40])
def test_votes_equal_the_slow_loop_in_any_chunks_and_any_order(k, monkeypatch):
    rng = np.random.default_rng(k)
    vectors, labels = rng.normal(size=(30, 6)), (rng.random((30, 4)) < 0.4).astype(float)
    labels[rng.random((30, 4)) < 0.1] = np.nan
    units = rng.integers(0, 20, 30)
    unit_vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    expected = []
    for row in range(30):
        others = [i for i in range(30) if units[i] != units[row] and (labels[i] == 1).any()]
        nearest = sorted(others, key=lambda i: -unit_vectors[i] @ unit_vectors[row])[:k]
        n_known = (~np.isnan(labels[nearest])).sum(axis=0)
        expected.append((np.nansum(labels[nearest], axis=0) + 0.5) / (n_known + 1))
    found = neighbour_votes(vectors, labels, units, k)
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    assert 0 < found.min() and found.max() < 1
    monkeypatch.setattr(ops.neighbours, "CHUNK_SCORES", 70)  # two or three clips at a time
    np.testing.assert_allclose(neighbour_votes(vectors, labels, units, k), found, rtol=1e-6)
    order = rng.permutation(30)
    permuted = neighbour_votes(vectors[order], labels[order], units[order], k)
    np.testing.assert_allclose(permuted, found[order], rtol=1e-6)
