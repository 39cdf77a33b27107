"""A clip's sound and picture on a page."""

import base64
import io

import numpy as np
import pytest
import soundfile
from PIL import Image

from toolkit.pages.clip_media import ClipMedia, encode_mp3


def content(uri: str) -> io.BytesIO:
    return io.BytesIO(base64.b64decode(uri.split(",", 1)[1]))


@pytest.mark.parametrize("samples", [1, 441, 44100])
def test_the_sound_has_the_clips_length_and_tone(samples):
    audio = (0.3 * np.sin(2 * np.pi * 1000 * np.arange(samples) / 44100)).astype(np.float32)
    decoded, rate = soundfile.read(io.BytesIO(encode_mp3(audio)))
    assert rate == 44100 and len(decoded) == samples
    if samples == 44100:
        assert np.abs(np.fft.rfft(decoded)).argmax() == 1000
        assert decoded.std() == pytest.approx(audio.std(), rel=0.1)


def test_a_tone_is_a_bright_line_at_its_height(tmp_path):
    for hertz in (500, 5000):
        tone = 0.5 * np.sin(2 * np.pi * hertz * np.arange(44100) / 44100)
        soundfile.write(tmp_path / "tone.wav", tone, 44100)
        found = ClipMedia("stft_512_512", 10).of(tmp_path / "tone.wav")
        image = Image.open(content(found["picture"])).convert("L")
        assert image.size == (87, 128)  # 257 bins, two or three a row
        middle = np.asarray(image)[:, 40]
        height = 1 - (middle.argmax() + 0.5) / len(middle)
        assert height * 22050 == pytest.approx(hertz, abs=200)


def test_a_long_clip_is_cut_and_says_so(tmp_path):
    soundfile.write(tmp_path / "long.wav", np.zeros(3 * 8000), 8000)
    found = ClipMedia("mel_2048_64_128", 1.5).of(tmp_path / "long.wav")
    assert (found["seconds"], found["whole_seconds"]) == (1.5, 3.0)
    assert len(soundfile.read(content(found["sound"]))[0]) == 1.5 * 44100
    assert Image.open(content(found["picture"])).size == (480, 128)  # of 1034 frames
    whole = ClipMedia("mel_2048_64_128", 3).of(tmp_path / "long.wav")
    assert whole["seconds"] == whole["whole_seconds"] == 3.0


def test_an_unreadable_clip_is_a_message(tmp_path):
    (tmp_path / "bad.wav").write_bytes(b"no audio")
    media = ClipMedia("mel_512_512_16", 1)
    assert "cannot be read" in media.of(tmp_path / "bad.wav")["error"]
    assert "does not exist" in media.of(tmp_path / "none.wav")["error"]
    soundfile.write(tmp_path / "one.wav", [0.5], 44100)
    assert Image.open(content(media.of(tmp_path / "one.wav")["picture"])).size == (1, 16)


def test_ten_seconds_of_noise_stay_within_what_the_help_says(tmp_path):
    soundfile.write(tmp_path / "noise.wav", np.random.default_rng(0).normal(0, 0.1, 441000), 44100)
    found = ClipMedia("mel_2048_1024_128", 10).of(tmp_path / "noise.wav")
    assert len(found["sound"]) + len(found["picture"]) < 130_000
