"""Filtering and resampling: tones, aliases, and convolution across blocks."""

import numpy as np
import pytest
import torch

from ops.effects.resampling import HOP, filter_and_resample
from ops.sampling import SAMPLE_RATE
from tones import noise, tone

IMPULSE = torch.eye(1, 4)  # a response that changes nothing


@pytest.mark.parametrize("speed", [0.84, 0.9, 1.0, 1.0594631, 1.19])
@pytest.mark.parametrize("hz", [50, 1000, 9000, 15000])
def test_tone_read_at_another_speed_is_a_tone(hz, speed):
    """Over more than two blocks, in phase to the end; what would be beyond Nyquist is gone."""
    n_samples = 2 * HOP + 3000
    signal = torch.from_numpy(tone(hz, 4, level=1.0))[None, : int(n_samples * speed) + 2000]
    found = filter_and_resample(signal, IMPULSE, np.array([speed]), n_samples)[0].numpy()
    expected = np.sin(2 * np.pi * hz * speed * np.arange(n_samples) / SAMPLE_RATE)
    tolerance = 2e-3 if hz < 10_000 else 2e-2
    np.testing.assert_allclose(found[500:-500], expected[500:-500], atol=tolerance)


def test_what_would_alias_is_left_out():
    signal = torch.from_numpy(tone(20_000, level=1.0))[None]
    found = filter_and_resample(signal, IMPULSE, np.array([1.19]), 30_000)[0]
    assert found[500:-8000].abs().max() < 2e-3


def test_filter_is_a_convolution_across_blocks():
    signal, response = noise(HOP + 9000, level=1.0), noise(2000, seed=1) / 20
    smooth = np.convolve(signal, np.hanning(17) / 8, mode="same").astype(np.float32)
    expected = np.convolve(smooth, response)[: HOP + 5000]
    found = filter_and_resample(
        torch.from_numpy(smooth)[None], torch.from_numpy(response)[None], np.ones(1), len(expected)
    )
    np.testing.assert_allclose(found[0], expected, atol=1e-3)
