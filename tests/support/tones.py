"""Tones and noise for the effects."""

import numpy as np

from ops.sampling import SAMPLE_RATE


def tone(hz, seconds=1.0, level=0.3):
    time = np.arange(int(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    return (level * np.sin(2 * np.pi * hz * time)).astype(np.float32)


def noise(n_samples, seed=0, level=0.3):
    return np.random.default_rng(seed).uniform(-level, level, n_samples).astype(np.float32)
