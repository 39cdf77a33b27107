"""Sound files as users have them: odd formats, damaged files, odd names."""

import os
import struct
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import soundfile

from ops.errors import DataError
from ops.sampling import SAMPLE_RATE
from repository import ROOT
from sounds import MP3_NOISE, NOISE, STEPS, encoded, mp3, patched, stereo, tone, without_mp3_index
from toolkit.clips.sound_files import EmptyAudioError, MissingAudioError, read_audio, read_header


def wav_bytes(tmp: Path, samples: np.ndarray = STEPS, **options) -> bytearray:
    """A 16-bit WAV of 44 bytes of header and the samples."""
    soundfile.write(tmp, samples, SAMPLE_RATE, format="WAV", **options)
    content = bytearray(tmp.read_bytes())
    tmp.unlink()
    return content


def with_flac_length(content: bytes, n_frames: int) -> bytes:
    """FLAC's STREAMINFO with another number of samples: the lower 36 bits of bytes 18 to 25."""
    value = int.from_bytes(content[18:26], "big") >> 36 << 36 | n_frames
    return patched(content, 18, value.to_bytes(8, "big"))


# Each odd file: how it is made, and what reading it gives: the exact samples, a check, or an error.


@dataclass
class Odd:
    """make(path) writes the file; gives: samples, a check of the samples, or words of a DataError."""

    title: str
    name: str
    make: Callable[[Path], object]
    gives: np.ndarray | Callable[[np.ndarray], None] | str


def written(samples, rate: int = SAMPLE_RATE, **options) -> Callable[[Path], None]:
    return lambda path: soundfile.write(path, samples, rate, **options)


def content(make: Callable[[Path], bytes]) -> Callable[[Path], None]:
    return lambda path: path.write_bytes(make(path))


def is_resampled_tone(rate: int) -> Callable[[np.ndarray], None]:
    """The tone of a file at `rate`: same frequency, phase and amplitude at 44,100 Hz."""

    def check(samples: np.ndarray) -> None:
        assert len(samples) == SAMPLE_RATE
        inner = slice(2000, -2000)  # the resampling filter runs in and out at the edges
        np.testing.assert_allclose(samples[inner], tone(SAMPLE_RATE)[inner], atol=2e-5)

    return check


def is_lossy_tone(samples: np.ndarray) -> None:
    """A tone after lossy coding: all but 1 % of its energy is the tone's."""
    assert len(samples) == SAMPLE_RATE
    reference = tone(SAMPLE_RATE)
    assert np.sum((samples - reference) ** 2) < 0.01 * np.sum(reference**2)


def is_mp3_noise(samples: np.ndarray) -> None:
    """Silence, noise, faint noise; the encoder's delay may stand before and behind."""
    n = len(NOISE)
    assert len(MP3_NOISE) <= len(samples) <= len(MP3_NOISE) + 3 * 1152
    assert np.abs(samples[: SAMPLE_RATE - 3000]).max() < 1e-3
    assert samples[SAMPLE_RATE + 3000 :][: n - 6000].std() > 0.1
    assert 0.01 < samples[SAMPLE_RATE + n + 3000 : -3000].std() < 0.1


HALF = np.full(100, 0.5, dtype=np.float32)
FLOAT_MAX = np.full(100, np.finfo(np.float32).max, dtype=np.float32)

FORMATS = [
    *(
        Odd(f"{subtype} in {kind}", f"a.{kind.lower()}", written(STEPS, format=kind, subtype=subtype), STEPS)
        for kind, subtype in [
            ("WAV", "PCM_U8"),
            ("WAV", "PCM_16"),
            ("WAV", "PCM_24"),
            ("WAV", "PCM_32"),
            ("WAV", "FLOAT"),
            ("WAV", "DOUBLE"),
            ("WAVEX", "PCM_16"),
            ("RF64", "PCM_16"),
            ("W64", "PCM_16"),
            ("AIFF", "PCM_24"),
            ("AU", "FLOAT"),
            ("CAF", "PCM_16"),
            ("FLAC", "PCM_S8"),
            ("FLAC", "PCM_16"),
            ("FLAC", "PCM_24"),
        ]
    ),
    *(
        Odd(f"{rate} Hz", "a.wav", written(tone(rate), rate, subtype="FLOAT"), is_resampled_tone(rate))
        for rate in (8000, 11025, 16000, 22050, 32000, 48000, 96000, 192000)
    ),
    Odd("OGG Vorbis", "a.ogg", written(tone(SAMPLE_RATE)), is_lossy_tone),
    Odd("OGG Opus at 48 kHz", "a.ogg", written(tone(48000), 48000, subtype="OPUS"), is_lossy_tone),
    Odd("MP3", "a.mp3", written(tone(SAMPLE_RATE)), is_lossy_tone),
    Odd("MP3 named .wav", "a.wav", written(tone(SAMPLE_RATE), format="MP3"), is_lossy_tone),
    Odd("OGG named .wav", "a.wav", written(tone(SAMPLE_RATE), format="OGG"), is_lossy_tone),
    Odd("WAV named .mp3", "a.mp3", written(STEPS, format="WAV"), STEPS),
    Odd("FLAC without a suffix", "a", written(STEPS, format="FLAC"), STEPS),
    Odd("a name that ends in .raw", "a.raw", written(STEPS, format="WAV"), "cannot be read as audio"),
    Odd("stereo", "a.wav", written(stereo(STEPS, 0 * STEPS)), STEPS / 2),
    Odd("opposite channels", "a.wav", written(stereo(STEPS, -STEPS)), 0 * STEPS),
    Odd("6 channels", "a.wav", written(np.outer(STEPS, [1, 0, 0, 0, 0, 0.5])), STEPS / 4),
    Odd("6 channels at 48 kHz", "a.wav", written(np.outer(tone(48000), [1] * 6), 48000, subtype="FLOAT"),
        is_resampled_tone(48000)),
]  # fmt: skip
SAMPLES = [
    Odd("one sample", "a.wav", written(STEPS[:1]), STEPS[:1]),
    Odd("less than one sample at 44,100 Hz", "a.wav", written(STEPS[:1], 192000), np.zeros(1)),
    Odd("zero frames", "a.wav", written(STEPS[:0]), "expected at least one sample"),
    Odd("zero frames in FLAC", "a.flac", written(STEPS[:0]), "a.flac"),
    Odd("silence", "a.wav", written(np.zeros(50)), np.zeros(50)),
    Odd("DC", "a.wav", written(HALF), HALF),
    Odd("full scale in 16 bits", "a.wav", written(np.array([-32768, 32767], dtype=np.int16)),
        np.array([-1, 32767 / 32768], dtype=np.float32)),
    Odd("float that overshoots", "a.wav", written(np.array([0.5, 1.5, -3.0]), subtype="FLOAT"),
        np.array([0.5, 1.0, -1.0])),
    Odd("NaN", "a.wav", written(np.append(HALF, np.nan), subtype="FLOAT"), "NaN or infinity"),
    Odd("infinity", "a.wav", written(np.append(HALF, np.inf), subtype="FLOAT"), "NaN or infinity"),
    Odd("-infinity in one channel", "a.wav", written(stereo(HALF, -np.inf * HALF), subtype="DOUBLE"),
        "NaN or infinity"),
    Odd("NaN at 48 kHz", "a.wav", written(np.append(HALF, np.nan), 48000, subtype="FLOAT"),
        "NaN or infinity"),
    Odd("one NaN at 192 kHz", "a.wav", written(np.array([np.nan]), 192000, subtype="FLOAT"),
        "NaN or infinity"),
    Odd("doubles beyond float32", "a.wav", written(np.full(9, 1e300), subtype="DOUBLE"), "NaN or infinity"),
    Odd("sums beyond float32", "a.wav", written(stereo(FLOAT_MAX, FLOAT_MAX), subtype="FLOAT"),
        "expected float samples in [-1, 1], found 3.40282e+38"),
    Odd("resampled beyond float32", "a.wav",
        written(FLOAT_MAX * np.resize([1, -1], 100).astype(np.float32), 8000, subtype="FLOAT"),
        "expected float samples in [-1, 1], found 3.40282e+38"),
]  # fmt: skip
DAMAGED = [
    Odd("WAV cut in its header", "a.wav", content(lambda p: wav_bytes(p)[:40]), "cannot be read as audio"),
    Odd("WAV cut in its first word", "a.wav", content(lambda p: wav_bytes(p)[:3]), "cannot be read as audio"),
    Odd("WAV of a header alone", "a.wav", content(lambda p: wav_bytes(p)[:44]),
        "expected at least one sample"),
    Odd("WAV cut in its samples", "a.wav", content(lambda p: wav_bytes(p)[:444]),
        "only 0.00 of 0.02 seconds"),
    Odd("WAV cut within a sample", "a.wav", content(lambda p: wav_bytes(p)[:445]),
        "only 0.00 of 0.02 seconds"),
    Odd("WAV that promises more samples", "a.wav",
        content(lambda p: patched(wav_bytes(p), 40, struct.pack("<I", 99_999))), "only 0.02 of 1.13 seconds"),
    Odd("WAV from a pipe, of unknown length", "a.wav",
        content(lambda p: patched(wav_bytes(p), 40, b"\xff" * 4)), STEPS),
    Odd("WAV that promises fewer samples", "a.wav",
        content(lambda p: patched(wav_bytes(p), 40, struct.pack("<I", 20))), STEPS[:10]),
    Odd("WAV of 0 Hz", "a.wav",
        content(lambda p: patched(wav_bytes(p), 24, bytes(4))), "cannot be read as audio"),
    Odd("WAV of 0 channels", "a.wav",
        content(lambda p: patched(wav_bytes(p), 22, bytes(2))), "cannot be read as audio"),
    Odd("WAV with a foreign chunk behind", "a.wav",
        content(lambda p: wav_bytes(p) + b"junk" + struct.pack("<I", 4) + b"abcd"), STEPS),
    Odd("FLAC cut in half", "a.flac",
        content(lambda p: encoded(p, NOISE, format="FLAC")[:30_000]), "of 0.68 seconds can be decoded"),
    Odd("FLAC that promises more samples", "a.flac",
        content(lambda p: with_flac_length(encoded(p, NOISE, format="FLAC"), 60_000)),
        "only 0.68 of 1.36 seconds can be decoded"),
    Odd("FLAC that promises 18 days", "a.flac",
        content(lambda p: with_flac_length(encoded(p, NOISE, format="FLAC"), 2**36 - 1)),
        "only 0.68 of 1558"),
    Odd("FLAC from a pipe, of unknown length", "a.flac",
        content(lambda p: with_flac_length(encoded(p, NOISE, format="FLAC"), 0)),
        lambda samples: np.testing.assert_allclose(samples, NOISE, atol=2**-15)),
    Odd("OGG cut in its header", "a.ogg",
        content(lambda p: encoded(p, NOISE, format="OGG")[:100]), "cannot be read as audio"),
    Odd("OGG cut before its samples", "a.ogg",
        content(lambda p: encoded(p, NOISE, format="OGG")[:4000]), "a.ogg"),
    Odd("MP3 cut in its first frame", "a.mp3", content(lambda p: mp3(p)[:40]), "cannot be read as audio"),
    Odd("MP3 without an index", "a.mp3", content(lambda p: without_mp3_index(mp3(p))),
        is_mp3_noise),
    Odd("MP3 with tags at both ends", "a.mp3",
        content(lambda p: b"ID3\x04\0\0\0\0\0\x0a" + bytes(10) + mp3(p) + b"TAG" + bytes(125)),
        is_mp3_noise),
    Odd("an empty file", "a.wav", content(lambda p: b""), "found an empty one"),
    Odd("one byte", "a.wav", content(lambda p: b"R"), "cannot be read as audio"),
    Odd("zeros", "a.wav", content(lambda p: bytes(10_000)), "cannot be read as audio"),
    Odd("random bytes", "a.wav", content(lambda p: np.random.default_rng(1).bytes(10_000)),
        "cannot be read as audio"),
    Odd("text", "a.wav", content(lambda p: b"no sound at all\n" * 100), "cannot be read as audio"),
    Odd("an error page", "a.wav", content(lambda p: b"<!DOCTYPE html><title>404</title>"),
        "cannot be read as audio"),
]  # fmt: skip
PLACES = [
    Odd("no file", "a.wav", lambda p: None, "it does not exist"),
    Odd("a folder", "a.wav", lambda p: p.mkdir(), "found a folder"),
    Odd("a dangling link", "a.wav", lambda p: p.symlink_to("nowhere.wav"), "it does not exist"),
    Odd("a link to itself", "a.wav", lambda p: p.symlink_to(p), "it does not exist"),
    Odd("a pipe, which would block", "a.wav", lambda p: os.mkfifo(p), "no regular file"),
    Odd("a link to a clip", "a.wav",
        lambda p: (written(STEPS)(p.with_name("b.wav")), p.symlink_to("b.wav")), STEPS),
    Odd("a path through a file", "a.txt/a.wav", lambda p: p.parent.write_text("text"), "it does not exist"),
    Odd("a name too long for any file system", "a" * 300 + ".wav", lambda p: None, "it does not exist"),
    Odd("a NUL in the name", "a\0.wav", lambda p: None, "it does not exist"),
    Odd("a line break in the name", "a\nb.wav", lambda p: None, "it does not exist"),
    Odd("a line break in the name of a damaged file", "a\nb.wav", content(lambda p: b"text"),
        "cannot be read as audio"),
    *(
        Odd(f"the name {name!r}", name, written(STEPS, format="WAV"), STEPS)
        for name in [
            "two words.wav", " a.wav", "'a'.wav", '"a".wav', "a,b.wav", "a;b\t.wav", "-a.wav", "~a.wav",
            "%s{0}.wav", "a*?[b].wav", "$HOME.wav", "a\\b.wav", "äöü ñ 猫 🐈.wav", "e\u0301.wav", "a\n.wav",
            "a.tar.wav.flac", ".wav", "猫" * 83 + ".wav", "a" * 251 + ".wav",
        ]
    ),
]  # fmt: skip
CORPUS = FORMATS + SAMPLES + DAMAGED + PLACES


@pytest.mark.parametrize("odd", CORPUS, ids=[odd.title for odd in CORPUS])
def test_odd_files_give_the_right_samples_or_one_line_that_names_them(odd, tmp_path):
    path = tmp_path / odd.name
    odd.make(path)
    if isinstance(odd.gives, str):
        with pytest.raises(DataError) as raised:
            read_audio(path)
        message = str(raised.value)
        assert odd.gives in message and len(message.splitlines()) == 1
        assert " ".join(str(path).splitlines()) in message
        return
    samples = read_audio(path)
    assert samples.dtype == np.float32 and samples.ndim == 1 and len(samples)
    assert np.abs(samples).max() <= 1
    if callable(odd.gives):
        odd.gives(samples)
    else:
        np.testing.assert_array_equal(samples, odd.gives)
    assert read_header(path).n_samples == len(samples)


@pytest.fixture
def open_folder():
    """A folder that other users may enter, unlike pytest's."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


def test_no_read_permission(open_folder):
    closed = open_folder / "closed.wav"
    soundfile.write(closed, STEPS, SAMPLE_RATE)
    closed.chmod(0)
    inside = open_folder / "folder" / "a.wav"
    inside.parent.mkdir()
    soundfile.write(inside, STEPS, SAMPLE_RATE)
    inside.parent.chmod(0)
    # Root may read everything, so the reading is another user's.
    code = """
import os, sys
from toolkit.clips.sound_files import read_audio
from ops.errors import DataError
if os.geteuid() == 0:
    os.setuid(65534)
for path in sys.argv[1:]:
    try:
        read_audio(path)
    except DataError as error:
        print(error)
"""
    command = [sys.executable, "-c", code, str(closed), str(inside)]
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    finally:
        inside.parent.chmod(0o700)
    assert done.stderr == ""
    first, second = done.stdout.splitlines()
    assert str(closed) in first and str(inside) in second and "Permission denied" in second
    assert "cannot be read as audio" in first and "cannot be read as audio" in second


def test_a_header_of_28_hours(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.zeros(100_000), 1)  # 1 Hz
    with pytest.raises(DataError, match=r"a\.wav: expected at most 24 hours"):
        read_header(tmp_path / "a.wav")  # reading it would take 18 GB
    soundfile.write(tmp_path / "a.wav", np.zeros(80_000), 1)
    assert read_header(tmp_path / "a.wav").n_samples == 80_000 * SAMPLE_RATE


def test_kinds_of_errors(tmp_path):
    (tmp_path / "empty.wav").touch()
    soundfile.write(tmp_path / "no_frames.wav", STEPS[:0], SAMPLE_RATE)
    for name in ("empty.wav", "no_frames.wav"):
        with pytest.raises(EmptyAudioError):
            read_header(tmp_path / name)
    with pytest.raises(MissingAudioError):
        read_header(tmp_path / "missing.wav")


def test_files_whose_names_are_not_utf_8_are_read(tmp_path):
    path = os.path.join(os.fsencode(tmp_path), b"caf\xe9.wav")
    soundfile.write(path, np.zeros(441), 44100)
    assert len(read_audio(os.fsdecode(path))) == 441
