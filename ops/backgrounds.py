"""Sound without an event: silence, mains hum, noise of rooms and microphones, drawn at random."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from ops.sampling import SAMPLE_RATE

BANK_SAMPLES = 2**19  # 12 s; periodic, so that any stretch of it, of any length, is the same noise
COLOURS = (0.0, 1.0, 2.0)  # power falls as 1 / f to the power of these: white, pink, brown
LOWEST_HZ = 20.0
MAINS_HZ = (50, 60)  # whose periods are whole samples: 882 and 735
LEVELS_DB = (-75.0, -12.0)  # RMS, of full scale
SNR_DB = (10.0, 40.0)
GAINS_DB = (-15.0, 6.0)


def draw_background(rng: np.random.Generator, n_samples: int) -> np.ndarray:
    """(n_samples,) float32: hum, noise or both, of a level drawn from LEVELS_DB."""
    kind = rng.random()
    audio = np.zeros(n_samples)
    if kind < 0.65:
        audio += draw_noise(rng, n_samples)
    if kind > 0.45:
        audio += draw_hum(rng, n_samples) * rng.uniform(0.3, 3)
    return _at_level(audio, rng.uniform(*LEVELS_DB))


def draw_noise(rng: np.random.Generator, n_samples: int) -> np.ndarray:
    """(n_samples,) of RMS near 1: a mixture of white, pink and brown noise."""
    weights = rng.dirichlet([0.5] * len(COLOURS)) ** 0.5
    stretches = [_stretch(_noise(colour), rng, n_samples) for colour in COLOURS]
    return sum(weight * noise for weight, noise in zip(weights, stretches, strict=True))


def draw_hum(rng: np.random.Generator, n_samples: int) -> np.ndarray:
    """(n_samples,) of RMS 1: 50 or 60 Hz and up to 20 harmonics, weaker ones above."""
    mains = int(rng.choice(MAINS_HZ))
    harmonics = np.arange(1, rng.integers(2, 21))
    amplitudes = rng.uniform(0, 1, len(harmonics)) / harmonics ** rng.uniform(0.3, 1.5)
    phases = rng.uniform(0, 2 * np.pi, len(harmonics))
    time = np.arange(SAMPLE_RATE // mains) / SAMPLE_RATE  # s
    angles = 2 * np.pi * mains * np.outer(harmonics, time) + phases[:, None]
    period = amplitudes @ np.sin(angles)
    return _stretch(period / np.sqrt(np.mean(period**2)), rng, n_samples)


def lay_over_background(rng: np.random.Generator, audio: np.ndarray) -> np.ndarray:
    """A clip at another level, over a background that is weaker by SNR_DB. (samples,) float32 both."""
    level = 20 * np.log10(max(float(np.sqrt(np.mean(audio**2))), 1e-6))
    background = _at_level(
        draw_noise(rng, len(audio)) + draw_hum(rng, len(audio)) * rng.uniform(0, 1),
        level - rng.uniform(*SNR_DB),
    )
    gain = 10 ** (rng.uniform(*GAINS_DB) / 20)
    return np.clip((audio + background) * gain, -1, 1).astype(np.float32)


def _at_level(audio: np.ndarray, level_db: float) -> np.ndarray:
    rms = max(float(np.sqrt(np.mean(audio**2))), 1e-9)
    return np.clip(audio * 10 ** (level_db / 20) / rms, -1, 1).astype(np.float32)


def _stretch(period: np.ndarray, rng: np.random.Generator, n_samples: int) -> np.ndarray:
    start = int(rng.integers(len(period)))
    if start + n_samples <= len(period):
        return period[start : start + n_samples]
    return np.resize(np.concatenate([period[start:], period[:start]]), n_samples)


@lru_cache(maxsize=len(COLOURS))
def _noise(exponent: float) -> np.ndarray:
    """(BANK_SAMPLES,) periodic noise of RMS 1 and of power 1 / f**exponent above LOWEST_HZ."""
    rng = np.random.default_rng(round(10 * exponent))
    spectrum = np.fft.rfft(rng.standard_normal(BANK_SAMPLES))
    hz = np.fft.rfftfreq(BANK_SAMPLES, 1 / SAMPLE_RATE)
    spectrum *= np.where(hz < LOWEST_HZ, 0, np.maximum(hz, LOWEST_HZ) ** (-exponent / 2))
    noise = np.fft.irfft(spectrum, BANK_SAMPLES)
    return noise / np.sqrt(np.mean(noise**2))
