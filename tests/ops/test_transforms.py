"""Augmentations: five-sample exact values, draws from their ranges, each with its probability."""

from dataclasses import astuple, fields, replace

import numpy as np
import pytest

from ops import transforms
from ops.samples import EFFECTS_ENGINES
from ops.sampling import SAMPLE_RATE
from ops.transforms import (
    DEFAULT_EFFECTS,
    EFFECT_RANGES,
    Augmentation,
    Sample,
    draw_effects,
    mix,
    or_mixup,
    shuffle_chunks,
    silence,
)
from tones import tone

needs_sox = pytest.mark.needs_sox


def array(*values):
    return np.array(values, dtype=np.float32)


def sample(audio, *labels, fname="a.wav", **more):
    return Sample(np.asarray(audio, dtype=np.float32), array(*(labels or (1, 0))), fname, **more)


def no_partner(rng):
    raise AssertionError("a partner was drawn")


@pytest.mark.parametrize(
    "first, second, a, offset, expected",
    [
        ([1, 2, 3, 4, 5], [10, 20], 0.5, 0, [5.5, 11, 1.5, 2, 2.5]),
        ([1, 2, 3, 4, 5], [10, 20], 0.5, 2, [0.5, 1, 6.5, 12, 2.5]),
        ([10, 20], [1, 2, 3, 4, 5], 0.5, 3, [0.5, 1, 1.5, 7, 12.5]),  # either may be the longer
        ([1, 2, 3, 4, 5], [8], 0.25, 4, [0.25, 0.5, 0.75, 1, 7.25]),
        ([1, 2, 3, 4, 5], [5, 4, 3, 2, 1], 0.75, 0, [2, 2.5, 3, 3.5, 4]),
        ([4], [8], 0.25, 0, [7]),
    ],
)
def test_mix_adds_the_shorter_to_the_longer(first, second, a, offset, expected):
    first, second = array(*first), array(*second)
    before = first.copy(), second.copy()
    mixed = mix(first, second, a, offset)
    assert mixed.tolist() == expected and mixed.dtype == np.float32
    np.testing.assert_array_equal(first, before[0])
    np.testing.assert_array_equal(second, before[1])


@pytest.mark.parametrize(
    "first, second, a, offset, expected",
    [
        ([1, 2, 3, 4, 5], [10, 20], 0.5, 0, [5, 10, 1.5, 2, 2.5]),
        ([10, 20], [1, 2, 3, 4, 5], 0.25, 3, [0.25, 0.5, 0.75, 7.5, 15]),  # either may be the longer
        ([1, 2, 3, 4, 5], [5, 4, 3, 2, 1], 0.75, 0, [3, 3, 3, 3, 3]),  # of equal length: half the sum
        ([4], [8], 0.25, 0, [6]),
    ],
)
def test_pasted_the_shorter_takes_the_place_of_a_stretch(first, second, a, offset, expected):
    first, second = array(*first), array(*second)
    before = first.copy(), second.copy()
    mixed = mix(first, second, a, offset, mixup="paste")
    assert mixed.tolist() == expected and mixed.dtype == np.float32
    np.testing.assert_array_equal(first, before[0])
    np.testing.assert_array_equal(second, before[1])


def test_concatenated_the_second_follows_the_first():
    mixed = mix(array(1, 2), array(10, 20, 30), 0.5, 2, mixup="concat")
    assert mixed.tolist() == [1, 2, 10, 20, 30] and mixed.dtype == np.float32
    with pytest.raises(ValueError, match="offset: expected 2, the first clip's end, got 0"):
        mix(array(1, 2), array(10), 0.5, 0, mixup="concat")


@pytest.mark.parametrize("offset", [-1, 4])
def test_mix_refuses_to_lay_the_shorter_beyond_the_longer(offset):
    with pytest.raises(ValueError, match=f"offset: expected 0 to 3, got {offset}"):
        mix(np.zeros(5), np.zeros(2), 0.5, offset)


def test_or_mixup_draws_weight_and_offset_and_unites_labels():
    first, second = sample(np.ones(4), 1, 0, 0, is_noisy=True), sample([-1, -1], 0, 0, 1, fname="b.wav")
    weights, offsets = [], []
    for seed in range(300):
        mixed = or_mixup(first, second, np.random.default_rng(seed))
        assert mixed.labels.tolist() == [1, 0, 1] and (mixed.fname, mixed.is_noisy) == ("a.wav", True)
        alone = mixed.audio.max()
        weights.append(alone)
        offsets.append(int(mixed.audio.argmin()))
        expected = np.full(4, alone)
        expected[offsets[-1] : offsets[-1] + 2] -= 1 - alone
        np.testing.assert_allclose(mixed.audio, expected, atol=1e-6)
    assert 0.4 <= min(weights) < 0.41 and 0.59 < max(weights) <= 0.6
    assert {offset: offsets.count(offset) > 60 for offset in set(offsets)} == {0: True, 1: True, 2: True}
    assert first.audio.tolist() == [1] * 4 and second.audio.tolist() == [-1] * 2
    assert first.labels.tolist() == [1, 0, 0] and second.labels.tolist() == [0, 0, 1]


def test_or_mixup_knows_what_either_clip_carries():
    nan = float("nan")
    mixed = or_mixup(
        sample([1, 1], nan, nan, nan, 1), sample([1, 1], 1, 0, nan, nan), np.random.default_rng(0)
    )
    np.testing.assert_array_equal(mixed.labels, np.array([1, nan, nan, 1], dtype=mixed.labels.dtype))


def test_or_mixup_is_a_union_not_a_sum():
    mixed = or_mixup(sample([1, 1], 1, 1, 0), sample([1, 1], 0, 1, 0), np.random.default_rng(0))
    assert mixed.labels.tolist() == [1, 1, 0]


@pytest.mark.parametrize(
    "order, expected",
    [([0, 1, 2], [1, 2, 3, 4, 5]), ([2, 0, 1], [5, 1, 2, 3, 4]), ([1, 2, 0], [3, 4, 5, 1, 2])],
)
def test_shuffle_chunks_exact(order, expected):
    audio = array(1, 2, 3, 4, 5)
    assert shuffle_chunks(audio, np.array(order), 2).tolist() == expected
    assert audio.tolist() == [1, 2, 3, 4, 5]


@pytest.mark.parametrize(
    "start, n_samples, expected",
    [(1, 2, [1, 0, 0, 4, 5]), (0, 5, [0] * 5), (3, 0, [1, 2, 3, 4, 5]), (4, 1, [1, 2, 3, 4, 0])],
)
def test_silence_exact(start, n_samples, expected):
    audio = array(1, 2, 3, 4, 5)
    assert silence(audio, start, n_samples).tolist() == expected
    assert audio.tolist() == [1, 2, 3, 4, 5]


def test_effects_are_drawn_from_the_whole_of_their_ranges():
    rng = np.random.default_rng(0)
    draws = np.array([astuple(draw_effects(rng)) for _ in range(2000)])
    ranges = [(0, 50), (0, 50), (0, 50), (-300, 300), (2, 10), (0.9, 1.1)]
    assert list(astuple(EFFECT_RANGES)) == ranges
    for values, (low, high) in zip(draws.T, ranges, strict=True):
        assert low <= values.min() and values.max() <= high
        np.testing.assert_allclose(
            np.quantile(values, [0.25, 0.5, 0.75]), np.linspace(low, high, 5)[1:4], atol=0.05 * (high - low)
        )
    correlation = np.corrcoef(draws.T) - np.eye(6)
    assert np.abs(correlation).max() < 0.1  # each parameter is drawn anew


def test_every_engine_of_the_effects_has_a_function_and_a_description():
    assert transforms.EFFECTS.keys() == EFFECTS_ENGINES.keys()
    assert Augmentation().effects == DEFAULT_EFFECTS and DEFAULT_EFFECTS in EFFECTS_ENGINES


def test_nothing_happens_by_default():
    given = sample([0.1, 0.2, 0.3], is_noisy=True)
    result = Augmentation()(given, np.random.default_rng(0), no_partner)
    np.testing.assert_array_equal(result.audio, given.audio)
    np.testing.assert_array_equal(result.labels, given.labels)
    assert (result.fname, result.is_noisy) == ("a.wav", True)


@pytest.mark.parametrize("option", [field.name for field in fields(Augmentation) if field.name[:2] == "p_"])
@pytest.mark.parametrize("p", [0.3, 1.0])
def test_each_option_happens_with_its_probability(option, p, monkeypatch):
    """1000 draws: 0.06 is four standard deviations at 0.3."""
    monkeypatch.setitem(transforms.EFFECTS, DEFAULT_EFFECTS, lambda audio, draw: audio / 2)
    monkeypatch.setattr(transforms, "CHUNK_SECONDS", 4 / SAMPLE_RATE)
    given = sample(np.arange(1, 4 * 40 + 1) / 200)
    augment, rng = Augmentation(**{option: p}), np.random.default_rng(0)
    partner = sample(np.ones(3), 0, 1)
    changed = [
        not np.array_equal(augment(given, rng, lambda _: partner).audio, given.audio) for _ in range(1000)
    ]
    assert np.mean(changed) == pytest.approx(p, abs=0.06 if p < 1 else 0)


def test_options_apply_in_order(monkeypatch):
    """MixUp first (the partner is heard through the effects), then effects, then silence."""
    lengths = []
    monkeypatch.setitem(
        transforms.EFFECTS, DEFAULT_EFFECTS, lambda audio, draw: lengths.append(len(audio)) or audio + 1
    )
    augment = Augmentation(p_mixup=1, p_aug=1, p_silence=1)
    result = augment(sample(np.zeros(8)), np.random.default_rng(0), lambda rng: sample(np.zeros(20), 0, 1))
    assert lengths == [20] and result.labels.tolist() == [1, 1]
    assert sorted(result.audio.tolist()) == [0] * 5 + [1] * 15


def test_shuffling_keeps_every_chunk():
    audio = np.repeat(np.arange(5), SAMPLE_RATE // 2)[: 2 * SAMPLE_RATE + 100] / 10
    result = Augmentation(p_shuffle=1)(sample(audio), np.random.default_rng(0), no_partner).audio
    borders = np.flatnonzero(np.diff(result)) + 1
    chunks = np.split(result, borders)
    assert sorted(map(len, chunks)) == [100] + [SAMPLE_RATE // 2] * 4
    assert not np.array_equal(result, audio.astype(np.float32))
    np.testing.assert_array_equal(np.sort(result), audio.astype(np.float32))


@pytest.mark.parametrize("n_samples, silent", [(100, 25), (7, 1), (3, 0), (1, 0)])
def test_a_quarter_is_silenced_in_one_piece(n_samples, silent):
    starts = set()
    for seed in range(100):
        rng = np.random.default_rng(seed)
        audio = Augmentation(p_silence=1)(sample(np.ones(n_samples)), rng, no_partner).audio
        zeros = np.flatnonzero(audio == 0)
        assert len(zeros) == silent
        assert not silent or zeros[-1] - zeros[0] == silent - 1
        starts.update(zeros[:1].tolist())
    assert len(starts) > 5 or silent < 2


@pytest.mark.parametrize("effects", [pytest.param("sox", marks=needs_sox), "torch"])
def test_same_generator_gives_the_same_sample_and_changes_no_input(effects):
    given, partner = sample(tone(440, 0.1)), sample(tone(900, 0.2), 0, 1)
    before = given.audio.copy(), partner.audio.copy()
    augment = Augmentation(p_mixup=1, p_aug=1, effects=effects, p_shuffle=1, p_silence=1)
    results = [augment(given, np.random.default_rng(s), lambda _: partner) for s in (5, 5, 6)]
    assert results[0].audio.tobytes() == results[1].audio.tobytes() != results[2].audio.tobytes()
    np.testing.assert_array_equal(given.audio, before[0])
    np.testing.assert_array_equal(partner.audio, before[1])


def test_or_mixup_is_trusted_as_little_as_the_worse_of_the_two():
    first, second = sample([1, 1], 1, 0), replace(sample([1, 1], 0, 1), weight=0.3)
    for pair in ((first, second), (second, first)):
        assert or_mixup(*pair, np.random.default_rng(0)).weight == 0.3


def test_a_draw_carries_the_weight_that_the_call_gives():
    augmentation, partner = Augmentation(p_mixup=1.0), replace(sample([1, 1], 0, 1), weight=0.3)
    drawn = augmentation.draw(sample([1, 1], 1, 0), np.random.default_rng(0), lambda rng: partner)
    assert drawn.weight == 0.3 and drawn.labels.tolist() == [1, 1]
    assert drawn.draw.partner is partner.audio and drawn.draw.without_audio().partner is None
    assert drawn.draw.without_audio().weight == drawn.draw.weight


def test_a_draw_knows_the_length_of_its_chunks(monkeypatch):
    monkeypatch.setattr(transforms, "CHUNK_SECONDS", 4 / SAMPLE_RATE)
    draw = Augmentation(p_shuffle=1).draw(sample(range(9)), np.random.default_rng(0), no_partner).draw
    assert draw.chunk_samples == 4 and sorted(draw.order) == [0, 1, 2]
