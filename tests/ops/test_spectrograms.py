"""Pictures of spectrograms: colours, sizes, labels of frequencies."""

import numpy as np
import pytest

from ops.features import parse_features
from ops.spectrograms import COLOURS, colourise, picture_of


def test_colours_run_from_dark_to_light():
    assert colourise(np.array([0.0, 1.0])).tolist() == [COLOURS[0].tolist(), COLOURS[-1].tolist()]
    lightness = colourise(np.linspace(0, 1, 200)).astype(float) @ [0.2126, 0.7152, 0.0722]
    assert (np.diff(lightness) >= -0.5).all()


@pytest.mark.parametrize("descriptor", ["mel_2048_1024_128", "stft_256_128", "mel_512_512_1", "stft_2_1"])
@pytest.mark.parametrize("n_frames", [1, 3, 2000])
def test_a_picture_of_any_size(descriptor, n_frames):
    spec = parse_features(descriptor)
    assert spec.frequencies_hz.shape == (spec.n_features,)
    features = np.full((spec.n_features, n_frames), np.log(1e-4))
    picture = picture_of(features, spec.frequencies_hz, spec.hop / 44100)
    assert picture.dtype == np.uint8 and picture.shape[2] == 3
    assert (picture[8:264, 52] == COLOURS[-1]).all(), "one value: the loudest"


def test_a_tone_lies_at_its_label():
    """A row of 1 kHz is bright, and the tick beside it is at its height."""
    spec = parse_features("mel_2048_1024_128")
    row = int(np.abs(spec.frequencies_hz - 1000).argmin())
    features = np.full((128, 50), -9.0)
    features[row] = 3.0
    picture = picture_of(features, spec.frequencies_hz, 1024 / 44100)
    bright = np.flatnonzero((picture[:, 100] == COLOURS[-1]).all(axis=1))
    ticks = np.flatnonzero((picture[:, 49] == 0).all(axis=1))
    assert min(abs(tick - bright.mean()) for tick in ticks) <= 2
