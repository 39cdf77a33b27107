"""Confusions of labels: by hand, found where a network learned them, and none where noise is even."""

import numpy as np
import pytest

from ops.logits import sigmoid
from ops.noise_likelihood import CONFUSION_CLIPS, likeliest_confusions, support_of_labels
from ops.noise_model import NoiseModel, correct_labels, fit_noise

EVEN = (1 - np.eye(3)) / 2
ONE_WAY = np.array([[0, 1, 0], [0, 0, 1], [1, 0, 0]])  # a wrong label of A is B, of B is C, of C is A


def test_wrong_labels_by_hand():
    probabilities = np.array([[0.5, 0.3, 0.2], [0.5, 0.3, 0.2], [0.5, 0.3, 0.2]])
    labels = np.array([[False, True, False], [True, False, True], [True, True, True]])
    support, chance = support_of_labels(probabilities, labels, ONE_WAY)
    # B stands for A alone; beside C, A could stand for B, which is no A; C can. A clip of all tells nothing.
    np.testing.assert_allclose(support[labels], [0.3, 0.5 / 0.8, 0.2 / 0.5, 1, 1, 1])
    np.testing.assert_allclose(chance[labels], [0.5, 0, 2 * 0.3 / 0.5, 1, 1, 1])
    posterior = NoiseModel(np.ones(1), 0.4, ONE_WAY).posterior(probabilities, labels)
    np.testing.assert_allclose(posterior[0], [0, 0.18 / 0.38, 0])
    assert posterior[1].tolist() == [1, 0, pytest.approx(0.24 / (0.24 + 0.48))]
    even = zip(
        support_of_labels(probabilities, labels, EVEN), support_of_labels(probabilities, labels), strict=True
    )
    for found, expected in even:
        np.testing.assert_allclose(found[labels], expected[labels], rtol=1e-12)


def test_replacements_by_hand():
    probabilities = np.array([[0.5, 0.3, 0.2]] * 3)
    labels = np.array([[False, True, False], [False, False, False], [True, True, True]])
    even, one_way = (NoiseModel(np.ones(1), 0.4, confusions) for confusions in (None, ONE_WAY))
    expected = [[5 / 7, 0, 2 / 7], [0.5, 0.3, 0.2], [0, 0, 0]]
    np.testing.assert_allclose(even.replacements(probabilities, labels), expected)
    expected[0] = [1, 0, 0]  # a wrong B stands for A
    np.testing.assert_allclose(one_way.replacements(probabilities, labels), expected)


def test_one_step_towards_the_likeliest_confusions_by_hand():
    """Twenty clips labelled B that certainly are A; ten of C that are."""
    labels = np.eye(3, dtype=bool)[[1] * 20 + [2] * 10]
    found = likeliest_confusions(np.eye(3)[[0] * 20 + [2] * 10], labels, 0.4, EVEN)
    half = CONFUSION_CLIPS / 2
    expected = [[0, (20 + half) / (20 + 2 * half), half / (20 + 2 * half)], [0.5, 0, 0.5], [0.5, 0.5, 0]]
    np.testing.assert_allclose(found, expected, atol=1e-9)
    # Every clip counts once: another sure label of each takes half of it.
    both = labels.copy()
    both[:20, 2] = True
    found = likeliest_confusions(np.eye(3)[[0] * 20 + [2] * 10], both, 0.4, EVEN)
    np.testing.assert_allclose(found[0], [0, 0.5, 0.5], atol=1e-9)


def drawn(confusions: np.ndarray, n: int, wrong: float = 0.4) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(truth, labels, logits) of two networks: one of few clips with right labels, one that learned all.

    The second knows each clip, but says of it how often its class is labelled as what.
    """
    rng, n_classes = np.random.default_rng(0), len(confusions)
    truth = rng.integers(0, n_classes, n)
    of_class = np.where(np.eye(n_classes, dtype=bool), 1 - wrong, wrong * confusions)
    given = (rng.random((n, 1)) > of_class[truth].cumsum(axis=1)).sum(axis=1).clip(max=n_classes - 1)
    first = 2.0 * np.eye(n_classes)[truth] + rng.normal(0, 1, (n, n_classes))
    second = np.log(np.maximum(of_class, 0.01))[truth] + rng.normal(0, 0.3, (n, n_classes))
    return truth, np.eye(n_classes, dtype=bool)[given], np.stack([first, second])


def ring(n_classes: int) -> np.ndarray:
    """Every class has two look-alikes."""
    return (
        np.eye(n_classes)[:, [-1, *range(n_classes - 1)]] + np.eye(n_classes)[:, [*range(1, n_classes), 0]]
    ) / 2


def test_confusions_that_a_network_learned_are_found():
    truth, labels, logits = drawn(ring(6), n=1500)
    found = fit_noise(logits, labels)
    assert found.noise_rate == pytest.approx(0.4, abs=0.06)
    assert found.confusions[ring(6) > 0].min() > 0.35 and found.confusions[ring(6) == 0].max() < 0.1
    np.testing.assert_allclose(found.confusions.sum(axis=1), 1)
    # Without them that network's predictions leave nothing to be wrong.
    assert fit_noise(logits[1:], labels).noise_rate < 0.05
    corrected = correct_labels(labels, sigmoid(logits))
    right = corrected.labels.argmax(axis=1) == truth
    assert right.mean() > 0.95 and right[corrected.confidence > 0.9].mean() > 0.97
    # Classes and clips in another order, the same figures in that order; so with tables.
    order, rows = np.random.default_rng(1).permutation(6), np.random.default_rng(2).permutation(1000)
    labels, logits = labels[:1000], logits[:, :1000]  # so many are not drawn from
    straight = fit_noise(logits, labels)
    turned = fit_noise(logits[::-1, rows][:, :, order], labels[rows][:, order])
    np.testing.assert_allclose(turned.confusions, straight.confusions[np.ix_(order, order)], atol=0.01)
    np.testing.assert_allclose(turned.scales[::-1], straight.scales, rtol=0.02)
    np.testing.assert_allclose(turned.noise_rate, straight.noise_rate, atol=0.005)


@pytest.mark.parametrize("n, n_classes", [(1500, 6), (40, 3), (40, 2), (1, 4)])
def test_even_noise_and_few_clips_have_none(n, n_classes):
    """Nor where both networks learned the labels as given."""
    even = (1 - np.eye(n_classes)) / (n_classes - 1)
    _, labels, logits = drawn(even, n)
    assert fit_noise(logits, labels).confusions is None
    _, labels, logits = drawn(ring(n_classes) if n_classes > 2 else even, n)
    assert fit_noise(logits[[1, 1]], labels).confusions is None
    if n > 1000:
        assert fit_noise(logits[:1], labels).confusions is None  # one table cannot tell


def test_a_table_that_knows_nothing_says_not_how_many_are_wrong():
    _, labels, logits = drawn((1 - np.eye(6)) / 5, n=600, wrong=0.1)
    ignorant = np.random.default_rng(3).normal(0, 1, logits.shape[1:])
    found = fit_noise(np.stack([logits[0], ignorant]), labels)
    assert found.confusions is None and found.noise_rate == pytest.approx(0.1, abs=0.06)
