"""Backgrounds: the levels and spectra that they claim, each a function of its seed."""

import numpy as np
import pytest

from ops.backgrounds import (
    LEVELS_DB,
    SNR_DB,
    draw_background,
    draw_hum,
    draw_noise,
    lay_over_background,
)
from ops.sampling import SAMPLE_RATE


def rms_db(audio: np.ndarray) -> float:
    return 20 * np.log10(np.sqrt(np.mean(np.square(audio, dtype=np.float64))))


@pytest.mark.parametrize("seed", range(6))
def test_a_background_is_of_its_length_and_level_and_seed(seed):
    audio = draw_background(np.random.default_rng(seed), 30_000)
    assert audio.shape == (30_000,) and audio.dtype == np.float32
    assert LEVELS_DB[0] - 1 <= rms_db(audio) <= LEVELS_DB[1] + 1
    np.testing.assert_array_equal(audio, draw_background(np.random.default_rng(seed), 30_000))


@pytest.mark.parametrize("n_samples", [1, 1_000_000])
def test_any_length(n_samples):
    for seed in range(8):
        assert np.isfinite(draw_background(np.random.default_rng(seed), n_samples)).all()


def test_hum_has_the_mains_harmonics_alone():
    spectrum = np.abs(np.fft.rfft(draw_hum(np.random.default_rng(0), SAMPLE_RATE)))  # 1 Hz a bin
    loud = np.flatnonzero(spectrum > 1e-3 * spectrum.max())
    assert len(loud) and (not (loud % 50).any() or not (loud % 60).any())
    assert rms_db(draw_hum(np.random.default_rng(0), SAMPLE_RATE)) == pytest.approx(0, abs=0.1)


def test_noise_falls_towards_high_frequencies():
    spectrum = np.abs(np.fft.rfft(draw_noise(np.random.default_rng(1), SAMPLE_RATE))) ** 2
    assert spectrum[30:300].mean() > spectrum[3000:].mean() > 0


def test_a_clip_stays_above_its_background():
    clip = np.sin(np.arange(20_000) / 5).astype(np.float32) * 0.1
    mixed = lay_over_background(np.random.default_rng(0), clip)
    gain = mixed @ clip / (clip @ clip)
    assert rms_db(mixed - gain * clip) <= rms_db(gain * clip) - SNR_DB[0] + 1
    assert np.isfinite(lay_over_background(np.random.default_rng(0), np.zeros(100, np.float32))).all()
