"""Metrics where nobody knows whether a clip carries a class: truth of NaN."""

import numpy as np
import pytest

from ops.metrics import (
    confusion_costs,
    lrap_per_clip,
    lwlrap,
    lwlrap_class_parts,
    lwlrap_parts,
    lwlrap_per_class,
)


def random_table(seed, ties):
    """Truth and scores; of clip 0 nothing is known."""
    rng = np.random.default_rng(seed)
    drawn = rng.random((30, 7))
    truth = np.where(drawn > 0.7, np.nan, drawn < 0.3).astype(np.float32)
    truth[0] = np.nan
    return truth, rng.integers(0, 4, truth.shape) / 4 if ties else rng.normal(size=truth.shape)


def slow_precisions(truth, scores):
    """(clips, classes): precision at each label's rank among the known classes, NaN where there is none."""
    precisions = np.full(truth.shape, np.nan)
    for clip, (labels, row) in enumerate(zip(truth, scores, strict=True)):
        for label in np.flatnonzero(labels == 1):
            above = [
                float(labels[k]) for k in range(len(row)) if row[k] >= row[label] and labels[k] == labels[k]
            ]
            precisions[clip, label] = sum(above) / len(above)
    return precisions


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("seed", range(5))
def test_the_remaining_classes_are_ranked(seed, ties):
    truth, scores = random_table(seed, ties)
    precisions = slow_precisions(truth, scores)
    assert lwlrap(truth, scores) == pytest.approx(np.nanmean(precisions), abs=1e-12)
    total, n_labels = lwlrap_parts(truth, scores)
    assert (total, n_labels) == (pytest.approx(np.nansum(precisions)), (truth == 1).sum())
    sums, counts = lwlrap_class_parts(truth, scores)
    np.testing.assert_allclose(sums, np.nansum(precisions, axis=0))
    np.testing.assert_array_equal(counts, (truth == 1).sum(axis=0))
    labelled = (truth == 1).any(axis=1)
    np.testing.assert_allclose(lrap_per_clip(truth, scores)[labelled], np.nanmean(precisions[labelled], 1))
    assert np.isnan(lrap_per_clip(truth, scores)[~labelled]).all() and not labelled[0]
    classes = counts > 0
    expected = np.nansum(precisions, axis=0)[classes] / counts[classes]
    np.testing.assert_allclose(lwlrap_per_class(truth, scores)[classes], expected)


@pytest.mark.parametrize("seed", range(3))
def test_the_score_of_an_unknown_class_changes_nothing(seed):
    truth, scores = random_table(seed, ties=True)
    other = np.where(np.isnan(truth), np.random.default_rng(9).choice([-np.inf, 0.5, 9], truth.shape), scores)
    for metric in (lwlrap, lwlrap_per_class, lrap_per_clip, confusion_costs):
        for found, expected in zip(
            np.atleast_1d(metric(truth, other)), np.atleast_1d(metric(truth, scores)), strict=True
        ):
            np.testing.assert_array_equal(found, expected)


def test_an_unknown_class_costs_nothing_and_is_no_label():
    truth, scores = np.array([[np.nan, 1, 0], [1, np.nan, 0]]), np.array([[0.9, 0.5, 0.7], [0.1, 0.2, 0.3]])
    costs, clips = confusion_costs(truth, scores)
    np.testing.assert_array_equal(clips, [[0, 0, 1], [0, 0, 1], [0, 0, 0]])
    np.testing.assert_allclose(costs, [[0, 0, 1 / 2], [0, 0, 1 / 2], [0, 0, 0]])


@pytest.mark.parametrize("seed", range(3))
def test_all_costs_are_what_lwlrap_lacks(seed):
    truth, scores = random_table(seed, ties=True)
    costs, _ = confusion_costs(truth, scores)
    assert 1 - costs.sum() / (truth == 1).sum() == pytest.approx(lwlrap(truth, scores))


def test_a_known_table_is_scored_as_before_to_the_last_bit():
    """The precision at a rank is one division of whole numbers, summed in the order of the array."""
    rng = np.random.default_rng(3)
    truth, scores = (rng.random((40, 9)) < 0.3), rng.integers(0, 5, (40, 9)) / 5
    above = scores[:, None, :] >= scores[:, :, None]
    precision = (above & truth[:, None, :]).sum(axis=2) / above.sum(axis=2) * truth
    for kind in (bool, int, np.float32, np.float64):
        assert lwlrap_parts(truth.astype(kind), scores) == (float(precision.sum()), truth.sum())
        np.testing.assert_array_equal(lwlrap_class_parts(truth.astype(kind), scores)[0], precision.sum(0))
