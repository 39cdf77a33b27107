"""Views of a clip: what is mixed in, and crops of the spectrogram."""

import numpy as np
import pytest
import torch

from ops.samples import Sample
from ops.spec_augment import N_BANDS
from ops.views import BACKGROUND_DB, GAIN_DB, change_spectrogram, draw_crop, draw_view, mix_back, resized_crop

TONE = np.array([0.5, -0.5, 0.5, -0.5], dtype=np.float32)


def test_a_background_lies_at_its_level_below_the_clip():
    background = np.array([9, 9, 0.1, 0.1, 0.1, 0.1, 9], dtype=np.float32)
    found = mix_back(TONE, background, -20, offset=2)
    np.testing.assert_allclose(found - TONE, 0.05, atol=1e-7)  # a tenth of the amplitude
    np.testing.assert_allclose(mix_back(TONE, background[2:4], -20, 1) - TONE, [0, 0.05, 0.05, 0], atol=1e-7)
    assert TONE[0] == 0.5 and found.dtype == np.float32


def test_silence_is_mixed_into_nothing_and_stays_silent():
    assert np.array_equal(mix_back(TONE, np.zeros(4, np.float32), -20, 0), TONE)
    assert not mix_back(np.zeros(4, np.float32), TONE, -20, 0).any()
    assert np.array_equal(mix_back(TONE, TONE[:0], -20, 0), TONE)


def test_a_view_is_the_clip_with_a_little_of_another():
    sample = Sample(np.random.default_rng(1).normal(size=900).astype(np.float32), None, "a.wav")
    partner = Sample(np.random.default_rng(2).normal(size=500).astype(np.float32), None, "b.wav")
    first, again, other = (
        draw_view(sample, np.random.default_rng(seed), lambda rng: partner) for seed in (0, 0, 1)
    )
    assert np.array_equal(first.audio, again.audio) and not np.array_equal(first.audio, other.audio)
    assert first.bands.shape == (2, N_BANDS + 1, 2) and first.bands.dtype == np.float32
    gain = np.dot(first.audio, sample.audio) / np.dot(sample.audio, sample.audio)
    assert 10 ** (GAIN_DB[0] / 20) * 0.9 < gain < 10 ** (GAIN_DB[1] / 20) * 1.1
    rest = first.audio / gain - sample.audio
    assert np.square(rest).mean() < 10 ** (BACKGROUND_DB[1] / 10)


def ramp(n_features: int, frames: int) -> torch.Tensor:
    return (torch.arange(n_features)[:, None] + 10.0 * torch.arange(frames)).expand(1, -1, -1)


def test_a_crop_is_stretched_with_linear_interpolation():
    crop = torch.tensor([[[0.0, 1.0], [0.0, 0.5]]])
    found = resized_crop(ramp(2, 4), None, crop)
    assert found[0, 0].tolist() == pytest.approx([0, 2.5, 7.5, 12.5])  # frames 0 and 1, and a little beyond
    assert found[0, 1].tolist() == pytest.approx([1, 3.5, 8.5, 13.5])
    crop = torch.tensor([[[0.5, 1.0], [0.0, 1.0]]])
    assert resized_crop(ramp(4, 1), None, crop)[0, :, 0].tolist() == pytest.approx([1.75, 2.25, 2.75, 3])


def test_the_whole_is_left_as_it_is_and_so_is_what_lies_behind_a_clip():
    features = torch.randn(2, 5, 7)
    whole = torch.tensor([[[0.0, 1.0], [0.0, 1.0]]]).expand(2, -1, -1)
    torch.testing.assert_close(resized_crop(features, None, whole), features)
    crop = torch.from_numpy(np.stack([draw_crop(np.random.default_rng(seed)) for seed in (0, 1)]))
    found = resized_crop(features, torch.tensor([4, 7]), crop)
    assert torch.equal(found[0, :, 4:], features[0, :, 4:])
    alone = resized_crop(features[:1, :, :4], None, crop[:1])
    torch.testing.assert_close(found[:1, :, :4], alone)  # whatever stands behind it
    bands = torch.cat([torch.zeros(2, 2, 1, 2), crop[:, :, None]], dim=2)
    torch.testing.assert_close(change_spectrogram(features, torch.tensor([4, 7]), bands), found)
