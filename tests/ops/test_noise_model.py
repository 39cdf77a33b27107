"""Correction of labels: the noise's figures found again, laws, and what little predictions may do."""

import itertools

import numpy as np
import pytest

from ops.logits import logits_of
from ops.noise_model import correct_labels, fit_noise, likeliest_noise_rate
from strategy_calls import apply, kept


def test_the_noise_rate_by_hand():
    labels = np.eye(5, dtype=bool)[[0, 1, 2, 3, 4]]
    # Certain predictions contradict two of five labels; the prior is one more of either kind.
    support = np.array([1.0, 1, 1, 0, 0])
    found = likeliest_noise_rate(support, (1 - support) / 4, np.ones(5))
    assert found == pytest.approx(3 / 7, abs=1e-6)
    # About that, where their scale is to be found, too.
    labels, certain = np.tile(labels, (4, 1)), np.tile(np.eye(5)[[0, 1, 2, 0, 1]], (4, 1))
    assert fit_noise(logits_of(certain)[None], labels).noise_rate == pytest.approx(9 / 22, abs=0.02)
    right = np.tile(np.eye(5), (4, 1))
    assert fit_noise(logits_of(right)[None], labels).noise_rate == pytest.approx(1 / 22, abs=1e-4)
    # Predictions that say nothing leave every label as likely wrong as right.
    found = correct_labels(labels, np.full((20, 5), 0.3))
    assert np.isnan(found.noise_rate) and (found.labels == labels).all()
    np.testing.assert_allclose(found.trust, 0.5, atol=1e-12)
    assert fit_noise(np.zeros((1, 2, 3)), np.zeros((2, 3), dtype=bool)).noise_rate == 0  # no labels
    assert fit_noise(np.zeros((1, 0, 3)), np.zeros((0, 3), dtype=bool)).noise_rate == 0  # no clips
    assert correct_labels(np.ones((2, 1), dtype=bool), np.full((2, 1), 0.3)).labels.all()  # one class


def drawn(wrong: float, n: int, n_classes: int = 10) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(truth, given, logits): labels by the model of the noise, predictions of every quality."""
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 1, (n, n_classes)) * rng.uniform(0, 4, (n, 1))
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    truth = (rng.random((n, 1)) > probabilities.cumsum(axis=1)).sum(axis=1).clip(max=n_classes - 1)
    given = np.where(rng.random(n) < wrong, (truth + rng.integers(1, n_classes, n)) % n_classes, truth)
    return truth, given, logits


@pytest.mark.parametrize("wrong, scale", [(0.1, 0.3), (0.4, 1.0), (0.7, 3.0)])
def test_the_noise_rate_is_found(wrong, scale):
    """Whatever the scale of the scores, and whatever the shift of each clip's."""
    truth, given, logits = drawn(wrong, n=100_000)  # enough of every confidence
    shift = np.random.default_rng(1).normal(0, 1, (len(logits), 1))
    probabilities = 1 / (1 + np.exp(-(logits / scale + shift)))
    labels = np.eye(10, dtype=bool)[given]
    assert fit_noise(logits_of(probabilities)[None], labels).scales[0] == pytest.approx(scale, rel=0.05)
    found = correct_labels(labels, probabilities)
    assert found.noise_rate == pytest.approx(wrong, abs=0.02)
    # What it says of its labels is true: of those it trusts with p, a share of p is right.
    right = (found.labels == np.eye(10, dtype=bool)[truth]).all(axis=1)
    for said, is_so in ((found.confidence, right), (found.trust, given == truth)):
        for low, high in ((0.3, 0.5), (0.5, 0.7), (0.7, 0.9), (0.9, 1.01)):
            rows = (said >= low) & (said < high)
            assert is_so[rows].mean() == pytest.approx(said[rows].mean(), abs=0.03)
    assert kept("trust_0.9", labels, probabilities) == np.flatnonzero(found.trust >= 0.9).tolist()
    # Predictions and labels together beat either alone.
    assert right.mean() > max((given == truth).mean(), (logits.argmax(axis=1) == truth).mean())


def test_no_other_scale_and_share_are_likelier():
    _, given, logits = drawn(0.3, n=60, n_classes=4)
    labels = np.eye(4, dtype=bool)[given]
    labels[::7, 2] = True  # clips of two labels

    def log_posterior(scale: float, wrong: float) -> float:
        total = np.log(wrong * (1 - wrong))
        for row, own in zip(np.exp(scale * logits), labels, strict=True):
            of_labels = []
            for label in np.flatnonzero(own):
                p = row[label] / (row[label] + row[~own].sum())
                of_labels.append(np.log((1 - wrong) * p + wrong * (1 - p) / (~own).sum()))
            total += np.mean(of_labels)
        return total

    found = fit_noise(logits[None], labels)
    grid = itertools.product(np.geomspace(0.02, 20, 60), np.linspace(0.001, 0.999, 50))
    best = max(log_posterior(*pair) for pair in grid)
    assert log_posterior(found.scales[0], found.noise_rate) > best - 1e-4


def test_every_table_gets_the_weight_it_is_worth():
    """Labels drawn from two tables together; a third table says nothing."""
    rng = np.random.default_rng(0)
    n, n_classes, wrong = 50_000, 6, 0.3
    tables = rng.normal(0, 1, (3, n, n_classes)) * rng.uniform(0.5, 3, (1, n, 1))
    powers = np.exp(1.5 * tables[0] + 0.5 * tables[1])
    shares = powers / powers.sum(axis=1, keepdims=True)
    truth = (rng.random((n, 1)) > shares.cumsum(axis=1)).sum(axis=1).clip(max=n_classes - 1)
    given = np.where(rng.random(n) < wrong, (truth + rng.integers(1, n_classes, n)) % n_classes, truth)
    labels, shift = np.eye(n_classes, dtype=bool)[given], rng.normal(0, 2, (3, n, 1))
    found = fit_noise(tables + shift, labels)
    np.testing.assert_allclose(found.scales, [1.5, 0.5, 0], rtol=0.05, atol=0.03)
    assert found.noise_rate == pytest.approx(wrong, abs=0.01)
    np.testing.assert_allclose(found.class_probabilities(tables + shift), shares, atol=0.05)
    # Corrected by both, more labels are right than by either; a table twice is the table once.
    probabilities = 1 / (1 + np.exp(-tables))

    def share_right(*rows: int) -> float:
        return (correct_labels(labels, probabilities[list(rows)]).labels.argmax(axis=1) == truth).mean()

    assert share_right(0, 1) > share_right(0) + 0.005 > share_right(1) + 0.01
    twice = correct_labels(labels[:500], probabilities[[0, 0], :500])
    once = correct_labels(labels[:500], probabilities[0, :500])
    np.testing.assert_allclose(twice.confidence, once.confidence, atol=1e-3)


def ignorant(kind: str, rng: np.random.Generator, labels: np.ndarray, n_tables: int) -> np.ndarray:
    """(tables, clips, classes) logits of networks that know nothing, or almost."""
    bias = rng.normal(0, 2, (n_tables, 1, labels.shape[1])) * (kind == "the same for every clip")
    return bias + rng.normal(0, 0.1 if bias.any() else 1, (n_tables, *labels.shape))


@pytest.mark.parametrize("kind", ["at random", "the same for every clip"])
@pytest.mark.parametrize("rare", [False, True])
@pytest.mark.parametrize("n, n_classes, n_tables", [(16, 8, 1), (60, 8, 2), (1000, 10, 1), (1000, 20, 2)])
def test_predictions_that_know_nothing_change_nothing(kind, rare, n, n_classes, n_tables):
    """Whether the classes are equally frequent or not."""
    for seed in range(6):
        rng = np.random.default_rng(seed)
        frequencies = 1 / np.arange(1, n_classes + 1) if rare else np.ones(n_classes)
        labels = np.eye(n_classes, dtype=bool)[rng.choice(n_classes, n, p=frequencies / frequencies.sum())]
        found = correct_labels(labels, 1 / (1 + np.exp(-ignorant(kind, rng, labels, n_tables))))
        assert np.isnan(found.noise_rate) and (found.labels == labels).all()
        np.testing.assert_allclose([found.trust, found.confidence], 0.5, atol=1e-12)


def test_predictions_that_know_little_do_no_harm():
    """One clip in five right, of ten classes: what is kept is no worse than what was given."""
    told = []
    for seed in range(8):
        rng = np.random.default_rng(seed)
        truth = rng.integers(0, 10, 1000)
        given = np.where(rng.random(1000) < 0.4, rng.integers(0, 10, 1000), truth)
        labels = np.eye(10, dtype=bool)[given]
        logits = rng.normal(0, 1, labels.shape) + 0.5 * np.eye(10)[truth]
        assert 0.15 < (logits.argmax(axis=1) == truth).mean() < 0.25
        found = correct_labels(labels, 1 / (1 + np.exp(-logits)))
        told.append(found.noise_rate <= 0.5)
        kept = found.confidence >= 0.3
        right = found.labels[np.arange(1000), truth]
        assert right[kept].mean() > (given == truth).mean() - 0.02
    assert all(told)


def test_a_table_worse_than_chance_gets_no_say():
    truth, given, logits = drawn(0.4, n=5_000)
    against = -logits + np.random.default_rng(1).normal(0, 1, logits.shape)
    found = fit_noise(np.stack([logits, against]), np.eye(10, dtype=bool)[given])
    assert found.scales[1] < 0.03 and found.noise_rate == pytest.approx(0.4, abs=0.03)
    np.testing.assert_allclose(found.scales[0], 1, rtol=0.1)


def test_labels_are_kept_replaced_or_taken_out():
    certain = np.where(np.eye(4, dtype=bool), 0.99, 0.01)
    labels = np.eye(4, dtype=bool)
    probabilities = np.concatenate([certain, certain, certain[[0, 1, 2]]])
    labels = np.concatenate([labels, labels, labels[[1, 0, 3]]])  # three wrong of eleven
    labels[3, 0], probabilities[3, 0] = True, 1e-6  # a wrong one beside a right one
    found = correct_labels(labels, probabilities)
    assert (found.labels == np.eye(4, dtype=bool)[[0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2]]).all()
    assert (found.confidence > 0.9).all()
    unsure = np.concatenate([probabilities, [[0.5, 0.5, 0.5, 0.5]]])
    labels = np.concatenate([labels, [[True, False, False, False]]])
    found = correct_labels(labels, unsure)
    assert found.labels[-1].tolist() == [True, False, False, False]  # nothing speaks against it
    assert 0.4 < found.confidence[-1] < 0.9
    assert kept("correct_0.9", labels, unsure) == list(range(11))
    weights = apply("correct-soft_0.3", labels, unsure)[2]
    np.testing.assert_array_equal(weights, found.confidence)
    weights = apply("trust-soft_0.3", labels, unsure)
    np.testing.assert_array_equal(weights[2], found.trust)
    assert weights[0].tolist() == (found.trust >= 0.3).tolist() and (weights[1] == labels).all()
    # Of clips 3 and 8 to 10 a label was wrong: they are not kept where labels must stay.
    assert kept("trust_0.9", labels, unsure) == [0, 1, 2, 4, 5, 6, 7]


def test_what_is_in_doubt_is_neither_kept_nor_taken_out():
    right = np.tile(np.eye(4, dtype=bool), (10, 1))
    probabilities, labels = np.where(right, 0.99, 0.01), right.copy()
    probabilities[0, 1] = 1e-4  # a second label that nothing speaks for
    probabilities[1, 2] = 0.9999  # another class is louder than the one label
    labels[:2] = [[True, True, False, False], [False, True, False, False]]
    labels[-1] = [True, False, False, False]  # plainly wrong: D is there
    found = apply("doubt_0.7", labels, probabilities)
    assert found.labels[0].tolist() == [True, False, False, False]
    assert found.unknown[0].tolist() == [False, True, False, False]
    assert found.labels[1].tolist() == [False, True, False, False]
    assert found.unknown[1].tolist() == [False, False, True, False]
    assert not found.kept[-1] and found.kept[:-1].all() and found.weights is None
    assert not found.unknown[2:-1].any() and (found.labels[2:-1] == right[2:-1]).all()
    assert found.noise_rate == correct_labels(labels, probabilities).noise_rate
    # With more asked for, less is sure; without labels, nothing is.
    strict = apply("doubt_0.999999", labels, probabilities)
    assert (strict.labels <= found.labels).all() and not (strict.labels & strict.unknown).any()
    nothing = apply("doubt_0.5", np.zeros((3, 2), dtype=bool), np.full((3, 2), 0.4))
    assert not nothing.kept.any() and not nothing.unknown.any()
    ignorant = apply("doubt_0.5", right, np.full(right.shape, 0.3))  # as likely right as wrong: they stay
    assert ignorant.kept.all() and not ignorant.unknown.any()


def test_a_wrong_one_of_two_labels_is_taken_out():
    right = np.tile(np.eye(4, dtype=bool), (4, 1))
    probabilities = np.where(right, 0.97, 0.01)
    probabilities[:, 1] = np.where(right[:, 1], 0.97, 1e-4)
    labels = right.copy()
    labels[::4, 1] = True
    assert (correct_labels(labels, probabilities).labels == right).all()


def test_labels_of_a_clip_take_nothing_from_each_other():
    """A quiet second sound, far behind the loud one but before all classes that the clip does not carry."""
    truth, given, logits = drawn(0.4, n=2_000)
    labels = np.eye(10, dtype=bool)[given]
    labels[0] = np.arange(10) < 2
    logits[0] = [9.0, 3.0, *[0.0] * 8]
    found = correct_labels(labels, 1 / (1 + np.exp(-logits)))
    assert found.labels[0].tolist() == labels[0].tolist() and found.trust[0] > 0.8
    # A clip of every class says nothing about them: they are as likely right as any label.
    full = labels[1:].copy()
    full[0] = True
    found = correct_labels(full, 1 / (1 + np.exp(-logits[1:])))
    assert found.trust[0] == pytest.approx(1 - found.noise_rate)


def test_clips_without_labels_take_what_is_likeliest_and_full_ones_nothing_else():
    labels = np.zeros((2, 3), dtype=bool)
    found = correct_labels(labels, np.array([[0.9, 0.2, 0.1], [0.2, 0.2, 0.2]]))
    assert found.labels.tolist() == [[True, False, False]] * 2
    np.testing.assert_allclose(found.confidence, [9 / (9 + 1 / 4 + 1 / 9), 1 / 3])  # odds, shared out
    assert found.trust.tolist() == [0, 0]
    right = np.eye(3, dtype=bool)[[0, 1, 2] * 6]
    labels = right.copy()
    labels[0], labels[-1] = True, [True, False, False]
    found = correct_labels(labels, np.where(right, 0.99, 0.01))
    assert not (found.labels & ~labels)[0].any() and (found.labels[1:] == right[1:]).all()
