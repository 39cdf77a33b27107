"""Spectrograms as pictures: palette, dynamic range, pooling, orientation, axes."""

import numpy as np
import pytest

from ops.features import parse_features
from ops.spectrograms import DYNAMIC_RANGE, N_COLOURS, palette, picture_of, pooled, spectrogram_image


def levels(features, max_rows=100, max_columns=100):
    return np.asarray(spectrogram_image(np.asarray(features, dtype=float), max_rows, max_columns))


def test_colours_run_from_dark_to_light():
    lightness = palette().astype(float) @ [0.2126, 0.7152, 0.0722]
    assert palette().dtype == np.uint8 and len(lightness) == N_COLOURS
    assert lightness[0] < 10 and lightness[-1] > 240
    assert (np.diff(lightness) >= -0.5).all()


def test_low_frequencies_are_at_the_bottom():
    assert levels([[1], [0], [0.5]]).tolist() == [[32], [0], [N_COLOURS - 1]]


def test_colours_span_what_there_is_but_80_db_at_most():
    decibels = np.array([[0, -20, -40]]) * np.log(10) / 20
    assert levels(decibels).tolist() == [[63, 32, 0]]
    decibels = np.array([[0, -40, -80, -200]]) * np.log(10) / 20
    assert levels(decibels).tolist() == [[63, 32, 0, 0]]
    assert DYNAMIC_RANGE == pytest.approx(80 * np.log(10) / 20)


def test_silence_is_dark():
    assert (levels(np.full((3, 5), np.log(1e-4))) == 0).all()
    almost = np.full((3, 5), np.log(1e-4)) + np.random.default_rng(0).uniform(0, 1e-6, (3, 5))
    assert (levels(almost) == 0).all(), "rounding is no sound"


def test_no_more_pixels_than_asked_for_and_no_more_than_values():
    features = np.random.default_rng(0).normal(size=(300, 40))
    image = spectrogram_image(features, 128, 480)
    assert image.mode == "P" and image.size == (40, 128)
    assert spectrogram_image(features, 400, 7).size == (7, 300)


def test_pooling_takes_means_of_neighbours():
    rows = np.arange(5.0)[:, None]
    np.testing.assert_array_equal(pooled(rows, 2), [[0.5], [3.0]])
    assert pooled(rows, 5) is rows


@pytest.mark.parametrize("descriptor", ["mel_2048_1024_128", "stft_256_128", "mel_512_512_1", "stft_2_1"])
@pytest.mark.parametrize("n_frames", [1, 3, 2000])
def test_a_picture_of_any_size(descriptor, n_frames):
    spec = parse_features(descriptor)
    assert spec.frequencies_hz.shape == (spec.n_features,)
    features = np.full((spec.n_features, n_frames), np.log(1e-4))
    picture = picture_of(features, spec.frequencies_hz, spec.hop / 44100)
    assert picture.dtype == np.uint8 and picture.shape[2] == 3
    assert (picture[8:264, 52] == palette()[0]).all(), "silence"


def test_a_tone_lies_at_its_label():
    """A row of 1 kHz is bright, and the tick beside it is at its height."""
    spec = parse_features("mel_2048_1024_128")
    row = int(np.abs(spec.frequencies_hz - 1000).argmin())
    features = np.full((128, 50), -9.0)
    features[row] = 3.0
    picture = picture_of(features, spec.frequencies_hz, 1024 / 44100)
    bright = np.flatnonzero((picture[:, 100] == palette()[-1]).all(axis=1))
    ticks = np.flatnonzero((picture[:, 49] == 0).all(axis=1))
    assert min(abs(tick - bright.mean()) for tick in ticks) <= 2
