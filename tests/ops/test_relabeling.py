"""The published strategies of relabeling: tables by hand, the naive threshold, any order of rows."""

import math

import numpy as np
import pytest

import ops.relabeling
from ops.relabeling import choose_threshold, label_margins, parse_mode, predicted_sets
from strategy_calls import FNAMES, PROBABILITIES

LABELS = np.array([[1, 0, 0], [0, 1, 0], [1, 1, 0], [0, 0, 1]], dtype=bool)
# Ranking precision of the labels: c0 1 (A first), c1 1/2 (B second), c2 (1 + 2/3) / 2, c3 1.
# One class a clip expected: four values, .9 .9 .8 .6, must pass, so the first threshold from .4 on.
SETS = np.array([[1, 0, 0], [1, 1, 0], [1, 0, 0], [0, 0, 0]], dtype=bool)


def assert_equals_the_naive_loop(probabilities: np.ndarray, parameters) -> None:
    thresholds = np.linspace(0, 1, 10000)
    classes_per_clip = [(probabilities > threshold).sum(axis=1).mean() for threshold in thresholds]
    for expected_classes in parameters:
        best, best_distance = math.nan, math.inf
        for threshold, mean in zip(thresholds, classes_per_clip, strict=True):
            distance = abs(mean - expected_classes)
            if distance < best_distance:
                best, best_distance = threshold, distance
        assert choose_threshold(probabilities, expected_classes) == best


def apply(mode: str, labels=LABELS, probabilities=PROBABILITIES, fnames=FNAMES):
    strategy, parameter = parse_mode(mode)
    return strategy.apply(labels, probabilities, fnames, parameter)


# The threshold.


def test_threshold_by_hand():
    assert choose_threshold(PROBABILITIES, 1) == np.linspace(0, 1, 10000)[4000]  # the first from .4 on
    np.testing.assert_array_equal(predicted_sets(PROBABILITIES, 1), SETS)
    assert choose_threshold(PROBABILITIES, 3) == 0.0
    assert choose_threshold(PROBABILITIES, 99) == 0.0  # more than there are: the nearest
    assert choose_threshold(PROBABILITIES, 1e-9) == np.linspace(0, 1, 10000)[9000]  # the first above .9


@pytest.mark.parametrize("seed", range(12))
def test_threshold_equals_the_naive_loop(seed):
    rng = np.random.default_rng(seed)
    shape = (int(rng.integers(1, 40)), int(rng.integers(1, 10)))
    kind = seed % 4
    if kind == 0:
        probabilities = rng.random(shape)
    elif kind == 1:
        probabilities = rng.integers(0, 10000, shape) / 9999  # on the thresholds themselves
    elif kind == 2:
        probabilities = rng.choice([0.0, 1e-9, 0.5, 1 - 1e-12, 1.0], shape)
    else:
        probabilities = (1 / (1 + np.exp(-rng.normal(-4, 4, shape)))).astype(np.float32)
    assert_equals_the_naive_loop(probabilities, (0.1, 1, 1.5, shape[1] / 2))


@pytest.mark.parametrize("value", [0.0, 0.5, 1.0])
def test_threshold_of_equal_probabilities(value):
    assert_equals_the_naive_loop(np.full((5, 3), value), (0.5, 1.5, 2, 3))


def test_threshold_of_one_clip_and_class():
    assert choose_threshold(np.array([[0.3]]), 1) == 0.0
    assert choose_threshold(np.array([[0.3]]), 0.4) == np.linspace(0, 1, 10000)[3000]


# The strategies.


@pytest.mark.parametrize(
    "mode, kept",
    [
        ("scoring_1", [1, 0, 0, 0]),  # c0's margin is wider than c3's
        ("scoring_2", [1, 0, 0, 1]),
        ("scoring_3", [1, 0, 1, 1]),
        ("scoring_4", [1, 1, 1, 1]),
        ("scoring_1000", [1, 1, 1, 1]),
        ("fullmatch_1", [1, 0, 0, 0]),
        ("relabelall_1", [1, 1, 1, 0]),
        ("relabelall-replacenan_1", [1, 1, 1, 0]),
        ("relabelall-merge_1", [1, 1, 1, 1]),
        ("given", [1, 1, 1, 1]),
    ],
)
def test_strategies_by_hand(mode, kept):
    result, labels = apply(mode)
    np.testing.assert_array_equal(result, np.array(kept, dtype=bool))
    if mode.startswith(("scoring", "fullmatch", "given")):
        expected = LABELS
    elif "merge" in mode:
        expected = np.array([[1, 0, 0], [1, 1, 0], [1, 1, 0], [0, 0, 1]], dtype=bool)
    else:
        expected = SETS
    np.testing.assert_array_equal(labels, expected)


def test_ties_are_broken_by_margin_then_by_fname():
    labels = np.array([[1, 0]] * 5, dtype=bool)
    probabilities = np.array([[0.7, 0.3], [0.9, 0.1], [0.7, 0.3], [0.9, 0.2], [0.3, 0.7]])
    fnames = ["z", "b", "a", "c", "_"]
    order = [["b"], ["b", "c"], ["a", "b", "c"], ["a", "b", "c", "z"], ["_", "a", "b", "c", "z"]]
    for k, expected in enumerate(order, start=1):
        kept, _ = apply(f"scoring_{k}", labels, probabilities, fnames)
        assert sorted(np.array(fnames)[kept]) == expected


def test_margins_are_in_logits_not_in_probabilities():
    labels = np.array([[1, 0], [1, 0]], dtype=bool)
    # The second is 0.2 apart in probability, the first 0.009, but further in logits.
    probabilities = np.array([[0.00999, 0.0001], [0.6, 0.4]])
    kept, _ = apply("scoring_1", labels, probabilities, ["a", "b"])
    np.testing.assert_array_equal(kept, [True, False])


def test_label_margins():
    labels = np.array([[1, 0, 0], [1, 1, 0], [0, 1, 1], [1, 1, 1], [0, 0, 0]], dtype=bool)
    probabilities = np.array([[0.5, 0.25, 0.1], [0.8, 0.5, 0.2], [0.5, 0.2, 0.9], [0.5] * 3, [0.5] * 3])
    expected = [math.log(3), math.log(4), -math.log(4), math.inf, -math.inf]
    np.testing.assert_allclose(label_margins(labels, probabilities), expected, rtol=1e-12)


def test_margins_of_saturated_probabilities():
    labels = np.array([[1, 0]] * 6, dtype=bool)
    probabilities = np.array([[1, 0], [1, 0.5], [0.5, 0], [1, 1], [0, 0], [0, 1]], dtype=float)
    expected = [math.inf, math.inf, math.inf, 0, 0, -math.inf]
    np.testing.assert_array_equal(label_margins(labels, probabilities), expected)


def test_clips_without_labels():
    labels = np.array([[0, 0], [1, 0], [0, 0]], dtype=bool)
    probabilities = np.array([[0.9, 0.1], [0.1, 0.9], [0.1, 0.2]])
    kept, _ = apply("scoring_1", labels, probabilities, ["a", "b", "c"])
    np.testing.assert_array_equal(kept, [False, True, False])  # they come last
    kept, _ = apply("fullmatch_0.1", labels, np.zeros((3, 2)), ["a", "b", "c"])
    np.testing.assert_array_equal(kept, [False] * 3)  # two empty sets are no match
    kept, new = apply("given", labels, probabilities, ["a", "b", "c"])
    np.testing.assert_array_equal(kept, [False, True, False])
    kept, new = apply("relabelall-merge_1", labels, np.zeros((3, 2)), ["a", "b", "c"])
    np.testing.assert_array_equal(kept, [False, True, False])
    np.testing.assert_array_equal(new, labels)


def test_the_input_is_left_as_it_is():
    for mode in ("scoring_2", "fullmatch_1", "relabelall_1", "relabelall-merge_1"):
        labels, probabilities = LABELS.copy(), PROBABILITIES.copy()
        apply(mode, labels, probabilities)
        np.testing.assert_array_equal(labels, LABELS)
        np.testing.assert_array_equal(probabilities, PROBABILITIES)


def random_clips(seed: int):
    """Clips of few values, so with many ties."""
    rng = np.random.default_rng(seed)
    n, classes = int(rng.integers(1, 60)), int(rng.integers(2, 6))
    labels = rng.random((n, classes)) < 0.4
    probabilities = rng.choice([0.0, 0.1, 0.3, 0.5, 0.9, 1.0], (n, classes))
    return labels, probabilities, np.array([f"clip {name}" for name in rng.permutation(1000)[:n]])


MODES = ["scoring_7", "scoring_30", "fullmatch_1", "relabelall_1.3", "relabelall-replacenan_1",
         "relabelall-merge_0.7", "relabelall-balanced_1.2", "quota_7", "consensus_7", "soft_2",
         "trust_0.6", "trust-soft_0.3", "correct_0.6", "correct-soft_0.3", "doubt_0.6"]  # fmt: skip
FITTING = MODES[-5:]  # all by the same fit, which takes its time


@pytest.mark.parametrize("mode", MODES)
def test_permuting_the_rows_permutes_the_result(mode):
    for seed in range(12 if mode in FITTING else 40):
        labels, probabilities, fnames = random_clips(seed)
        order = np.random.default_rng(seed + 1000).permutation(len(fnames))
        found = apply(mode, labels, probabilities, list(fnames))
        permuted = apply(mode, labels[order], probabilities[order], list(fnames[order]))
        for of_permuted, part in zip(permuted, found, strict=True):  # kept, labels and perhaps others
            part = part[order] if isinstance(part, np.ndarray) else part
            assert (part is None) == (of_permuted is None)
            if part is not None:
                np.testing.assert_allclose(of_permuted, part, rtol=0, atol=1e-6)


@pytest.mark.parametrize("mode", MODES)
def test_working_in_chunks_changes_nothing(mode, monkeypatch):
    whole = [apply(mode, *random_clips(seed)) for seed in range(6 if mode in FITTING else 20)]
    for module in (ops.relabeling, ops.noise_model):
        monkeypatch.setattr(module, "CHUNK_CLIPS", 7)
    for seed, found in enumerate(whole):
        for in_chunks, part in zip(apply(mode, *random_clips(seed)), found, strict=True):
            np.testing.assert_array_equal(in_chunks, part)


@pytest.mark.parametrize("k", range(1, 30, 4))
def test_scoring_keeps_k_clips_none_worse_than_those_dropped(k):
    labels, probabilities, fnames = random_clips(5)
    kept, _ = apply(f"scoring_{k}", labels, probabilities, list(fnames))
    assert kept.sum() == min(k, len(fnames))
    scores = np.nan_to_num(ops.relabeling.lrap_per_clip(labels, probabilities), nan=-1)
    assert scores[kept].min() >= scores[~kept].max(initial=-2)


def test_a_huge_number_of_clips_keeps_all():
    kept, _ = apply("scoring_" + "9" * 300)
    assert kept.all()
