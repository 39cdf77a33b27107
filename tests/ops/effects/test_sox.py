"""The effects chain by the real SoX: each effect does what was drawn; what is said where SoX is missing."""

import numpy as np
import pytest

from ops.effects.sox import apply_sox, missing_effects_engine
from ops.samples import EffectsDraw
from ops.sampling import SAMPLE_RATE
from ops.transforms import draw_effects
from tones import tone

needs_sox = pytest.mark.needs_sox
NEUTRAL = dict(reverberance=0, room_scale=0, stereo_depth=0, pitch_cents=0, overdrive_gain_db=2, tempo=1)


def peak_hz(audio):
    """The strongest frequency of the middle, to a fraction of a cent at 1 kHz."""
    middle = audio[len(audio) // 10 : -len(audio) // 10]
    spectrum = np.abs(np.fft.rfft(middle * np.hanning(len(middle)), 16 * len(middle)))
    return spectrum.argmax() * SAMPLE_RATE / (16 * len(middle))


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
