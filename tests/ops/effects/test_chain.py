"""The effects chain in torch: against the real SoX on tones, bursts and clicks; batches, odd clips."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ops.effects import chain
from ops.effects.chain import EffectsDraw, apply_effects, changed_length, overdrive
from ops.effects.time_stretch import OVERLAP, REACH, SEGMENT
from ops.sampling import SAMPLE_RATE
from ops.transforms import EFFECT_RANGES, apply_sox, apply_torch, draw_effects
from tones import noise, tone

needs_sox = pytest.mark.needs_sox
NEUTRAL = dict(reverberance=0, room_scale=0, stereo_depth=0, pitch_cents=0, overdrive_gain_db=2, tempo=1)
CHAINS = (apply_sox, apply_torch)


def neutral(**changed) -> EffectsDraw:
    return EffectsDraw(**NEUTRAL | changed)


def draws(n, seed=0):
    rng = np.random.default_rng(seed)
    return [draw_effects(rng) for _ in range(n)]


def padded(clips, width=None):
    """(clips, width) of the clips and their lengths."""
    lengths = [len(clip) for clip in clips]
    signal = torch.zeros(len(clips), width or max(lengths))
    for row, clip in enumerate(clips):
        signal[row, : len(clip)] = torch.from_numpy(clip)
    return signal, torch.tensor(lengths)


def peak_hz(audio):
    """The strongest frequency of the middle, to a fraction of a cent at 1 kHz."""
    middle = audio[len(audio) // 10 : -len(audio) // 10]
    spectrum = np.abs(np.fft.rfft(middle * np.hanning(len(middle)), 2**20))
    return spectrum.argmax() * SAMPLE_RATE / 2**20


def harmonics_db(audio, hz, count=5):
    """Levels of a tone and its harmonics below 18 kHz, summed over 40 Hz on either side."""
    middle = audio[len(audio) // 10 : -len(audio) // 10]
    power = np.abs(np.fft.rfft(middle * np.hanning(len(middle))) / len(middle)) ** 2
    frequency = np.fft.rfftfreq(len(middle), 1 / SAMPLE_RATE)
    orders = [k for k in range(1, count + 1) if k * hz < 18_000]
    return np.array([10 * np.log10(power[np.abs(frequency - k * hz) < 40].sum()) for k in orders])


def decay_seconds(audio):
    """Reverberation time by Schroeder's backward integration, from -5 to -25 dB, times three."""
    left = np.cumsum(audio[::-1].astype(np.float64) ** 2)[::-1]
    level = 10 * np.log10(left / left[0] + 1e-30)
    return 3 * (np.argmax(level < -25) - np.argmax(level < -5)) / SAMPLE_RATE


# Against SoX


@needs_sox
@pytest.mark.parametrize(
    "cents, tempo", [(0, 1), (-300, 1), (300, 0.9), (-123.4, 1.1), (50, 0.97), (-300, 1.1)]
)
@pytest.mark.parametrize("hz", [110, 440, 3000])
def test_pitch_and_tempo_of_tones_are_those_of_sox(hz, cents, tempo):
    draw = neutral(pitch_cents=cents, tempo=tempo)
    theirs, ours = (apply(tone(hz), draw) for apply in (apply_sox, apply_torch))
    assert 1200 * np.log2(peak_hz(ours) / hz) == pytest.approx(cents, abs=2)
    assert abs(1200 * np.log2(peak_hz(ours) / peak_hz(theirs))) < 5
    assert len(ours) == pytest.approx(len(theirs), abs=2)
    assert abs(harmonics_db(ours, peak_hz(ours), 1) - harmonics_db(theirs, peak_hz(theirs), 1)) < 0.5


@needs_sox
@pytest.mark.parametrize("cents, tempo", [(0, 0.9), (0, 1.1), (250, 1.05), (-250, 0.93)])
def test_tempo_between_two_bursts_is_that_of_sox(cents, tempo):
    """9 s between the bursts: their distance tells the tempo to 0.2 %."""
    audio = np.zeros(10 * SAMPLE_RATE, dtype=np.float32)
    for start in (20_000, 20_000 + 9 * SAMPLE_RATE):
        audio[start : start + 8820] = noise(8820)

    def distance(changed):
        first, last = np.flatnonzero(np.abs(changed) > 0.1)[[0, -1]]
        return last - first - 8820 / tempo

    theirs, ours = (distance(apply(audio, neutral(pitch_cents=cents, tempo=tempo))) for apply in CHAINS)
    assert ours == pytest.approx(9 * SAMPLE_RATE / tempo, rel=0.005)
    assert ours == pytest.approx(theirs, rel=0.005)


@needs_sox
@pytest.mark.parametrize("gain_db", [2, 6, 10])
@pytest.mark.parametrize("level", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("cents", [0, -200])
def test_overdrives_harmonics_are_those_of_sox(gain_db, level, cents):
    draw = neutral(overdrive_gain_db=gain_db, pitch_cents=cents)
    hz = 700 * 2 ** (cents / 1200)
    theirs, ours = (harmonics_db(apply(tone(700, level=level), draw), hz) for apply in CHAINS)
    audible = theirs > theirs[0] - 70
    assert audible.sum() >= 3
    np.testing.assert_allclose(ours[audible], theirs[audible], atol=1)


@needs_sox
@pytest.mark.parametrize("room", [(0, 0, 0), (50, 50, 0), (50, 50, 50), (20, 40, 25), (50, 0, 50)])
def test_reverb_decays_like_that_of_sox(room):
    click = np.zeros(2 * SAMPLE_RATE, dtype=np.float32)
    click[4410] = 0.5
    draw = EffectsDraw(*room, pitch_cents=0, overdrive_gain_db=2, tempo=1)
    theirs, ours = (apply(click, draw)[4700:] for apply in CHAINS)
    assert decay_seconds(ours) == pytest.approx(decay_seconds(theirs), rel=0.1)
    assert np.sum(ours**2) == pytest.approx(np.sum(theirs**2), rel=0.1)


@needs_sox
@pytest.mark.parametrize(
    "draw, level",
    [
        ((0, 0, 0, 2), 0.3),
        ((50, 50, 0, 10), 1.0),
        ((50, 50, 0, 2), 3.0),  # clips in the reverb
        ((50, 50, 50, 10), 0.3),  # two channels, which are mixed before they clip, not after
        ((20, 40, 25, 6), 0.3),
    ],
)
def test_reverb_and_overdrive_are_sample_for_sample_those_of_sox(draw, level):
    """Where nothing is stretched. The first 50 ms apart: SoX's overdrive starts with a click."""
    *room, gain_db = draw
    audio = np.convolve(noise(SAMPLE_RATE), np.hanning(9), mode="same")
    audio = np.clip(level * audio / np.abs(audio).max(), -1, 1).astype(np.float32)
    draw = EffectsDraw(*room, pitch_cents=0, overdrive_gain_db=gain_db, tempo=1)
    theirs, ours = (apply(audio, draw)[2205:-50] for apply in CHAINS)
    assert np.std(ours - theirs) < 0.01 * np.std(theirs)
    assert np.abs(ours - theirs).max() < 0.05


@pytest.mark.parametrize("cents, tempo", [(300, 0.9), (-300, 1.1), (0, 0.9), (0, 1.1)])
def test_clicks_stay_near_their_places(cents, tempo):
    """Some sounds are heard twice or not at all, as with SoX; what is heard is where it should be."""
    audio = np.zeros(4 * SAMPLE_RATE, dtype=np.float32)
    clicks = np.arange(8) * 20_011 + 5000
    audio[clicks] = 0.8
    changed = np.abs(apply_torch(audio, neutral(pitch_cents=cents, tempo=tempo)))
    loud = np.flatnonzero(changed > 0.25)
    distance = np.abs(loud[:, None] - clicks / tempo).min(axis=1)
    assert distance.max() < REACH + OVERLAP + SEGMENT * abs(1 - tempo * 2 ** (-cents / 1200))
    assert len(set(np.abs(loud[:, None] - clicks / tempo).argmin(axis=1))) >= 6


# Batches and degenerate clips


def test_clip_does_not_depend_on_its_batch_or_its_padding():
    lengths = [1, 2, 500, 3086, 3088, 20_000, 70_001]
    clips, given_draws = [noise(n, seed) for seed, n in enumerate(lengths)], draws(len(lengths))
    signal, n_samples = padded(clips, width=90_000)
    together, new = apply_effects(signal, n_samples, given_draws)
    assert together.shape[1] == max(new)
    for row, (clip, draw) in enumerate(zip(clips, given_draws, strict=True)):
        alone = apply_torch(clip, draw)
        assert len(alone) == new[row] == changed_length(len(clip), draw)
        np.testing.assert_allclose(together[row, : new[row]], alone, atol=1e-5)
        assert not together[row, new[row] :].any()


def test_what_lies_behind_a_clip_is_not_heard():
    clips, given_draws = [noise(9000), noise(4000, 1)], draws(2)
    signal, lengths = padded(clips)
    expected, _ = apply_effects(signal, lengths, given_draws)
    before = signal.clone()
    signal[1, 4000:] = 0.5
    found, _ = apply_effects(signal, lengths, given_draws)
    assert found.equal(expected)
    assert signal[0].equal(before[0]) and (signal[1, 4000:] == 0.5).all()  # inputs are left as they are


def test_batches_worked_on_in_parts_give_the_same(monkeypatch):
    signal, lengths = padded([noise(8000, seed) for seed in range(5)])
    expected = apply_effects(signal, lengths, draws(5))
    monkeypatch.setitem(chain.MAX_SAMPLES, "cpu", 17_000)
    found = apply_effects(signal, lengths, draws(5))
    np.testing.assert_allclose(found[0], expected[0], atol=1e-5)
    assert found[1].equal(expected[1])


def test_no_clips_give_no_clips():
    signal, lengths = apply_effects(torch.zeros(0, 0), torch.zeros(0, dtype=torch.long), [])
    assert signal.shape == (0, 0) and lengths.shape == (0,)


@pytest.mark.parametrize("n_samples", [1, 2, 10, 300, 3000, 50_000])
def test_silence_stays_silence(n_samples):
    for draw in draws(2):
        assert not apply_torch(np.zeros(n_samples, dtype=np.float32), draw).any()


@pytest.mark.parametrize("n_samples", [1, 2, 10, 300, 3000])
@pytest.mark.parametrize("level", [1.0, -1.0])
def test_full_scale_and_clips_shorter_than_any_window(n_samples, level):
    changed = apply_torch(np.full(n_samples, level, np.float32), EffectsDraw(50, 50, 50, 300, 10, 1.1))
    assert changed.dtype == np.float32 and len(changed) == max(1, round(n_samples / 1.1))
    assert np.isfinite(changed).all() and np.abs(changed).max() <= 1


@settings(max_examples=25, deadline=None)
@given(
    n_samples=st.integers(1, 30_000),
    shares=st.tuples(*[st.floats(0, 1)] * 6),
    seed=st.integers(0, 99),
    level=st.sampled_from([1e-6, 0.1, 1.0]),
)
def test_any_draw_of_any_clip_is_bounded_finite_and_of_its_length(n_samples, shares, seed, level):
    ranges = vars(EFFECT_RANGES).items()
    draw = EffectsDraw(
        **{
            name: low + share * (high - low)
            for share, (name, (low, high)) in zip(shares, ranges, strict=True)
        }
    )
    changed = apply_torch(noise(n_samples, seed, level), draw)
    assert len(changed) == changed_length(n_samples, draw)
    assert np.isfinite(changed).all() and np.abs(changed).max() <= 1


def test_same_draw_gives_the_same_bytes_and_changes_no_input():
    audio, (first, other) = noise(20_000), draws(2)
    before = audio.copy()
    once, again = apply_torch(audio, first), apply_torch(audio, EffectsDraw(**vars(first)))
    assert once.tobytes() == again.tobytes() != apply_torch(audio, other).tobytes()
    np.testing.assert_array_equal(audio, before)


def test_no_value_of_a_batch_is_asked_for():
    """On the meta device, which has no values, every step that would stall a GPU is an error."""
    signal = torch.zeros(3, 40_000, device="meta")
    found, lengths = apply_effects(signal, torch.tensor([40_000, 1, 9000]), draws(3))
    assert found.shape == (3, max(lengths))


@pytest.mark.gpu
def test_gpu_hears_what_the_cpu_hears_and_is_never_waited_for():
    signal, lengths = padded([noise(n, seed) for seed, n in enumerate([1, 3000, 100_000])])
    expected, _ = apply_effects(signal, lengths, draws(3))
    on_gpu = signal.cuda()
    torch.cuda.set_sync_debug_mode("error")
    try:
        found, _ = apply_effects(on_gpu, lengths, draws(3))
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert torch.corrcoef(torch.stack([found.cpu().flatten(), expected.flatten()]))[0, 1] > 0.99


def test_overdrive_is_its_recursion():
    signal, gain = noise(9000, level=1.0), 2.5
    offset = 0.1 - 0.1**3 / 3
    expected, before, blocked = [], offset, 0.0
    for x in signal.astype(np.float64):
        u = min(max(gain * x + 0.1, -1), 1)
        v = u - u**3 / 3
        blocked = v - before + 0.995 * blocked
        before = v
        expected.append(0.5 * x + 0.75 * blocked)
    found = overdrive(torch.from_numpy(signal)[None], torch.tensor([gain]))
    np.testing.assert_allclose(found[0], expected, atol=5e-7)
