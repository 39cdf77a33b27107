"""Segments of sound files equal slices of the whole; other rates are resampled."""

import numpy as np
import pytest
import soundfile

from ops.sampling import SAMPLE_RATE
from sounds import NOISE, mp3, stereo, tone, without_mp3_index
from toolkit.clips.sound_files import read_audio, read_header


@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.ogg", "stereo.wav"])
def test_segments_equal_slices_of_the_whole(name, tmp_path):
    path = tmp_path / name
    soundfile.write(path, stereo(NOISE, NOISE[::-1]) if name == "stereo.wav" else NOISE, SAMPLE_RATE)
    whole = read_audio(path)
    n = len(whole)
    assert n == len(NOISE)
    rng = np.random.default_rng(2)
    segments = [(int(rng.integers(n)), int(rng.integers(1, n))) for _ in range(20)]
    for start, count in [*segments, (0, 1), (0, n), (0, 10 * n), (n - 1, 1), (n - 1, 5), (4095, 4097)]:
        np.testing.assert_array_equal(read_audio(path, start, count), whole[start : start + count])
    np.testing.assert_array_equal(read_audio(path, 123), whole[123:])
    np.testing.assert_array_equal(read_audio(path, n + 5, 10), whole[-1:])  # behind the end: its last


def test_segments_of_mp3(tmp_path):
    path = tmp_path / "a.mp3"
    soundfile.write(path, NOISE, SAMPLE_RATE)
    whole = read_audio(path)
    for start, count in [(0, 100), (5000, 10_000), (20_000, 10_000)]:
        # The decoder's first frame after a jump differs in the last bit.
        np.testing.assert_allclose(
            read_audio(path, start, count), whole[start : start + count], rtol=0, atol=2**-22
        )


def test_an_mp3_without_an_index_has_its_true_length(tmp_path):
    path = tmp_path / "a.mp3"
    path.write_bytes(without_mp3_index(mp3(path)))
    assert soundfile.info(path).frames > 130_000  # an estimate from the first frames
    whole = read_audio(path)
    assert read_header(path).n_samples == len(whole) < 110_000
    np.testing.assert_allclose(read_audio(path, len(whole) - 5000), whole[-5000:], rtol=0, atol=2**-22)
    assert whole[-5000:].any()


@pytest.mark.parametrize("rate, step", [(48000, 147), (22050, 2), (8000, 441)])
def test_segments_at_other_rates_equal_slices_within(rate, step, tmp_path):
    path = tmp_path / "a.wav"
    noise = np.random.default_rng(3).uniform(-0.5, 0.5, rate).astype(np.float32)
    soundfile.write(path, noise, rate, subtype="FLOAT")
    start, count = 40 * step, 12_000  # `step` samples at 44,100 Hz are whole samples of the file
    segment, whole = read_audio(path, start, count), read_audio(path)
    assert len(segment) == count
    inner = slice(2000, -2000)
    np.testing.assert_allclose(segment[inner], whole[start : start + count][inner], atol=2e-5)


@pytest.mark.parametrize("rate", [8000, 22050, 48000])
def test_resampling_keeps_frequency_and_amplitude(rate, tmp_path):
    path = tmp_path / "a.wav"
    soundfile.write(path, tone(rate, seconds=2, hz=440), rate, subtype="FLOAT")
    samples = read_audio(path)
    spectrum = np.abs(np.fft.rfft(samples[SAMPLE_RATE // 2 :][:SAMPLE_RATE])) / (SAMPLE_RATE / 2)
    assert spectrum.argmax() == 440  # bins of 1 Hz
    assert spectrum[440] == pytest.approx(0.5, abs=1e-5)
    assert np.delete(spectrum, 440).max() < 1e-5
