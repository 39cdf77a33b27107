"""Augmentations: five-sample exact values, draws from their ranges, the real SoX."""

from dataclasses import astuple, fields, replace

import numpy as np
import pytest

from ops import transforms
from ops.sampling import SAMPLE_RATE
from ops.transforms import (
    DEFAULT_EFFECTS,
    EFFECT_RANGES,
    Augmentation,
    EffectsDraw,
    Sample,
    apply_sox,
    draw_effects,
    missing_effects_engine,
    mix,
    or_mixup,
    shuffle_chunks,
    silence,
)

needs_sox = pytest.mark.needs_sox
NEUTRAL = dict(reverberance=0, room_scale=0, stereo_depth=0, pitch_cents=0, overdrive_gain_db=2, tempo=1)


def array(*values):
    return np.array(values, dtype=np.float32)


def sample(audio, *labels, fname="a.wav", **more):
    return Sample(np.asarray(audio, dtype=np.float32), array(*(labels or (1, 0))), fname, **more)


def tone(hz, seconds=1.0):
    time = np.arange(int(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    return (0.3 * np.sin(2 * np.pi * hz * time)).astype(np.float32)


def peak_hz(audio):
    """The strongest frequency of the middle, to a fraction of a cent at 1 kHz."""
    middle = audio[len(audio) // 10 : -len(audio) // 10]
    spectrum = np.abs(np.fft.rfft(middle * np.hanning(len(middle)), 16 * len(middle)))
    return spectrum.argmax() * SAMPLE_RATE / (16 * len(middle))


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


@needs_sox
@pytest.mark.parametrize("cents", [-300, -123.4, 0, 50, 300])
@pytest.mark.parametrize("hz", [440, 2000])
def test_pitch_moves_a_tone_by_the_cents_drawn(hz, cents):
    changed = apply_sox(tone(hz), EffectsDraw(**NEUTRAL | {"pitch_cents": cents}))
    assert 1200 * np.log2(peak_hz(changed) / hz) == pytest.approx(cents, abs=1)
    assert len(changed) == pytest.approx(SAMPLE_RATE, abs=2)


@needs_sox
@pytest.mark.parametrize("tempo", [0.9, 0.97, 1.0, 1.1])
def test_tempo_changes_the_length_and_not_the_pitch(tempo):
    changed = apply_sox(tone(1000), EffectsDraw(**NEUTRAL | {"tempo": tempo}))
    assert len(changed) == pytest.approx(SAMPLE_RATE / tempo, abs=2)
    assert 1200 * np.log2(peak_hz(changed) / 1000) == pytest.approx(0, abs=2)


@needs_sox
def test_overdrive_gain_distorts():
    """Harmonics of a tone, relative to it, grow with the gain."""

    def harmonics(gain_db):
        changed = apply_sox(tone(1000), EffectsDraw(**NEUTRAL | {"overdrive_gain_db": gain_db}))
        spectrum = np.abs(np.fft.rfft(changed[4410:-4410] * np.hanning(len(changed) - 8820)))
        k = round(1000 * (len(changed) - 8820) / SAMPLE_RATE)
        return spectrum[2 * k - 5 : 6 * k].max() / spectrum[k - 5 : k + 5].max()

    assert harmonics(2) < harmonics(6) < harmonics(10)


@needs_sox
def test_reverb_rings_on():
    """A burst, then silence: the more reverberance, the louder the silence."""

    def tail(reverberance):
        burst = tone(1000)
        burst[11025:] = 0
        draw = EffectsDraw(**NEUTRAL | {"reverberance": reverberance, "room_scale": 50})
        return np.std(apply_sox(burst, draw)[15000:30000])

    assert tail(50) > 1.5 * tail(0)


@needs_sox
def test_chain_has_the_draw_in_order(monkeypatch):
    import sox  # here: the package complains on import where the binary is missing

    chains = []

    def build_array(chain, input_array, sample_rate_in):
        chains.append((chain.effects, sample_rate_in))
        return input_array

    monkeypatch.setattr(sox.Transformer, "build_array", build_array)
    apply_sox(tone(440, 0.1), EffectsDraw(11, 22, 33, -123, 4, 0.95))
    [(words, sample_rate)] = chains
    assert sample_rate == SAMPLE_RATE
    assert [word for word in words if word.isalpha()] == ["reverb", "pitch", "overdrive", "tempo"]

    def after(name, position):
        return float(words[words.index(name) + position])

    reverb = after("reverb", 1), after("reverb", 3), after("reverb", 4)  # 2 is high-frequency damping
    assert reverb == (11, 22, 33)
    assert (after("pitch", 1), after("overdrive", 1), after("tempo", 1)) == (-123, 4, 0.95)


@needs_sox
def test_same_draw_gives_the_same_bytes():
    audio, rng = tone(700, 0.4), np.random.default_rng(1)
    first, other = draw_effects(rng), draw_effects(rng)
    before = audio.copy()
    once, again = apply_sox(audio, first), apply_sox(audio, EffectsDraw(**vars(first)))
    assert once.tobytes() == again.tobytes() != apply_sox(audio, other).tobytes()
    np.testing.assert_array_equal(audio, before)


@needs_sox
@pytest.mark.parametrize("n_samples", [1, 2, 10, 300, 3000])
@pytest.mark.parametrize("level", [0.0, 1.0, -1.0])
def test_sox_keeps_the_contract_of_audio(n_samples, level):
    """Silence, full scale, and clips shorter than any effect's window."""
    draw = EffectsDraw(50, 50, 50, 300, 10, 1.1)
    changed = apply_sox(np.full(n_samples, level, dtype=np.float32), draw)
    assert changed.dtype == np.float32 and changed.ndim == 1
    assert 1 <= len(changed) <= n_samples
    assert np.isfinite(changed).all() and np.abs(changed).max() <= 1
    changed[0] = 0  # owns its memory, as tensors made from it need


@needs_sox
def test_sox_that_is_there_is_not_missed():
    assert missing_effects_engine("sox") is None


def test_missing_sox_is_named_with_the_remedy(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    message = missing_effects_engine("sox")
    assert all(words in message for words in ("apt-get install sox", "--effects=torch", "--p_aug=0"))
    assert missing_effects_engine("torch") is None


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


def test_a_plan_carries_the_weight_that_the_call_gives():
    augmentation, partner = Augmentation(p_mixup=1.0), replace(sample([1, 1], 0, 1), weight=0.3)
    planned = augmentation.plan(sample([1, 1], 1, 0), np.random.default_rng(0), lambda rng: partner)
    assert planned.weight == 0.3
