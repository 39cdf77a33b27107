"""Wrong labels of every kind: exact shares, laws of each kind, the same labels from the same seed."""

import argparse

import pytest
from hypothesis import given
from hypothesis import strategies as st
from label_noise import classes_outside, draw_noise, look_alikes, parse_noise, within

CLASSES = [f"class_{index}" for index in range(10)]
OUTSIDE = classes_outside(CLASSES)
IN_MAP = sorted(set(CLASSES) - OUTSIDE)


def clips(n: int, p_two: float = 0.25) -> dict[str, frozenset[str]]:
    """n clips of evenly frequent classes; of every 1 / p_two clips one holds a second sound."""
    second = {
        index: {CLASSES[(index + 1 + index // 10 % 9) % 10]}
        for index in range(n)
        if index % round(1 / p_two) == 0
    }
    return {f"{i:04d}.wav": frozenset({CLASSES[i % 10]} | second.get(i, set())) for i in range(n)}


TRUTH = clips(200)


def wrong(drawn) -> list[str]:
    return [fname for fname, labels in drawn.noisy.items() if not labels & drawn.truth[fname]]


@pytest.mark.parametrize("kind", ["even", "pairs"])
def test_that_share_of_the_clips_carries_one_class_that_it_does_not_hold(kind):
    drawn = draw_noise(TRUTH, CLASSES, parse_noise(f"{kind}_0.4"), 1)
    assert drawn.truth == TRUTH and list(drawn.noisy) == list(TRUTH)
    assert len(wrong(drawn)) == 80
    assert all(len(drawn.noisy[fname]) == 1 for fname in wrong(drawn))
    assert {f: labels for f, labels in drawn.noisy.items() if f not in wrong(drawn)} == {
        f: labels for f, labels in TRUTH.items() if f not in wrong(drawn)
    }


def test_look_alikes_are_two_others_and_mutual():
    pairs = look_alikes(CLASSES)
    assert sorted(pairs) == CLASSES
    for name, both in pairs.items():
        assert len({name, *both}) == 3 and all(name in pairs[other] for other in both)
    assert pairs == look_alikes(CLASSES[::-1])


def test_of_pairs_a_wrong_label_is_a_look_alike():
    drawn, pairs = draw_noise(TRUTH, CLASSES, parse_noise("pairs_0.5"), 1), look_alikes(CLASSES)
    for fname in wrong(drawn):
        (label,) = drawn.noisy[fname]
        assert any(label in pairs[name] for name in TRUTH[fname])


@pytest.mark.parametrize("rate", [0.1, 0.4, 0.8])
def test_of_open_noise_that_share_of_the_clips_holds_none_of_the_classes(rate):
    drawn = draw_noise(TRUTH, CLASSES, parse_noise(f"open_{rate}"), 1)
    n_open = sum(not labels for labels in drawn.truth.values())
    assert n_open == round(rate * len(drawn.noisy))
    assert set(wrong(drawn)) == {fname for fname, labels in drawn.truth.items() if not labels}
    for fname, labels in drawn.noisy.items():
        assert len(labels) >= 1 and labels <= set(IN_MAP)
        assert drawn.truth[fname] == TRUTH[fname] - OUTSIDE
    # No more clips went than had to: either side is whole, but for rounding.
    inside = within(TRUTH, IN_MAP)
    n_outside = len(TRUTH) - len(inside)
    assert len(drawn.noisy) - n_open == len(inside) or n_open == n_outside


def test_three_of_ten_classes_leave_and_at_least_one():
    assert len(OUTSIDE) == 3 and OUTSIDE < set(CLASSES)
    assert OUTSIDE == classes_outside(CLASSES[::-1])
    assert len(classes_outside(["a", "b"])) == 1


def test_of_missing_noise_that_share_of_second_labels_is_gone():
    drawn = draw_noise(TRUTH, CLASSES, parse_noise("missing_0.4"), 1)
    several = [fname for fname, labels in TRUTH.items() if len(labels) == 2]
    lacking = [fname for fname in TRUTH if drawn.noisy[fname] != TRUTH[fname]]
    assert len(several) == 50 and len(lacking) == 20
    assert all(drawn.noisy[f] < TRUTH[f] and len(drawn.noisy[f]) == 1 for f in lacking)


def test_fsd_is_a_fifth_open_a_fifth_pairs_and_a_third_missing():
    drawn = draw_noise(TRUTH, CLASSES, parse_noise("fsd"), 1)
    n = len(drawn.noisy)
    n_open = sum(not labels for labels in drawn.truth.values())
    assert n_open == round(0.2 * n) and len(wrong(drawn)) == n_open + round(0.2 * n)
    right = [fname for fname in drawn.noisy if fname not in wrong(drawn)]
    several = [fname for fname in right if len(drawn.truth[fname]) == 2]
    lacking = [fname for fname in right if drawn.noisy[fname] != drawn.truth[fname]]
    assert len(lacking) == round(len(several) / 3) > 0


@given(
    st.sampled_from(["even_0.4", "pairs_0.2", "open_0.3", "missing_0.5", "fsd"]),
    st.integers(0, 2**32),
    st.randoms(use_true_random=False),
)
def test_the_same_seed_gives_the_same_labels_whatever_the_order(noise, seed, random):
    shuffled = list(TRUTH.items())
    random.shuffle(shuffled)
    drawn = draw_noise(TRUTH, CLASSES, parse_noise(noise), seed)
    assert draw_noise(dict(shuffled), CLASSES[::-1], parse_noise(noise), seed) == drawn
    assert set(drawn.noisy) == set(drawn.truth) <= set(TRUTH) and all(drawn.noisy.values())


def test_other_seeds_give_other_labels():
    drawn = [draw_noise(TRUTH, CLASSES, parse_noise("pairs_0.4"), seed).noisy for seed in (1, 2)]
    assert drawn[0] != drawn[1]


@pytest.mark.parametrize(
    "truth, noise, words",
    [
        ({"a": frozenset("ab"), "b": frozenset("ab")}, "even_0.5", "expected 1 clips"),
        ({"a": frozenset("a")}, "missing_0.5", "several labels, found none"),
        ({"a": frozenset("ab"), "b": frozenset("ab")}, "open_0.4", "found none"),
    ],
)
def test_clips_that_cannot_be_wrong_so_are_told(truth, noise, words):
    with pytest.raises(ValueError, match=words):
        draw_noise(truth, ["a", "b"], parse_noise(noise), 0)


def test_a_rate_alone_is_even_noise_and_called_as_ever():
    assert parse_noise("0.4") == parse_noise("even_0.40") == parse_noise(".4")
    assert parse_noise("0.4").key == "0.4" and parse_noise("0.4").name == "even_0.4"
    assert parse_noise("pairs_0.4").key == "pairs_0.4"


@pytest.mark.parametrize(
    "text", ["", "pairs", "pairs_0", "odd_0.4", "1.5", "fsd_0.4", "pairs_-0.4", "open_1"]
)
def test_what_is_no_noise_is_told_with_the_grammar(text):
    with pytest.raises(argparse.ArgumentTypeError, match="expected fsd or <kind>_<rate>") as raised:
        parse_noise(text)
    assert repr(text) in str(raised.value)
