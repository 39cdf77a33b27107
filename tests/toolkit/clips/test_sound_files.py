"""Sound files as users have them: odd formats, damaged files, odd names; segments; safe paths."""

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
from toolkit.clips.checks import clip_path, probe_clips, raise_if_any
from toolkit.clips.report import Source, check_headers
from toolkit.clips.sound_files import EmptyAudioError, MissingAudioError, read_audio, read_header

REPOSITORY = Path(__file__).resolve().parents[3]
# Multiples of 1/128 are exact in every PCM format from 8 bits on.
STEPS = ((np.arange(1000) * 37 % 201 - 100) / 128).astype(np.float32)
NOISE = np.random.default_rng(0).uniform(-0.5, 0.5, 30_000).astype(np.float32)


def tone(rate: int, seconds: float = 1.0, hz: float = 1000.0) -> np.ndarray:
    return 0.5 * np.sin(2 * np.pi * hz * np.arange(round(rate * seconds)) / rate)


def wav_bytes(tmp: Path, samples: np.ndarray = STEPS, **options) -> bytearray:
    """A 16-bit WAV of 44 bytes of header and the samples."""
    soundfile.write(tmp, samples, SAMPLE_RATE, format="WAV", **options)
    content = bytearray(tmp.read_bytes())
    tmp.unlink()
    return content


def encoded(tmp: Path, samples: np.ndarray, **options) -> bytes:
    soundfile.write(tmp, samples, SAMPLE_RATE, **options)
    content = tmp.read_bytes()
    tmp.unlink()
    return content


def patched(content: bytes, offset: int, new: bytes) -> bytes:
    return content[:offset] + new + content[offset + len(new) :]


def with_flac_length(content: bytes, n_frames: int) -> bytes:
    """FLAC's STREAMINFO with another number of samples: the lower 36 bits of bytes 18 to 25."""
    value = int.from_bytes(content[18:26], "big") >> 36 << 36 | n_frames
    return patched(content, 18, value.to_bytes(8, "big"))


def without_mp3_index(content: bytes) -> bytes:
    """An MP3 less its first frame, the Xing header, as old encoders wrote it."""
    assert content[:2] == b"\xff\xfb" and b"Xing" in content[:100]
    return content[content.index(b"\xff\xfb", 4) :]


# Each odd file: how it is made, and what reading it gives: the exact samples, a check, or an error.


@dataclass
class Odd:
    """make(path) writes the file; gives: samples, a check of the samples, or words of a DataError."""

    title: str
    name: str
    make: Callable[[Path], object]
    gives: np.ndarray | Callable[[np.ndarray], None] | str
    exact_length: bool = True  # the header's number of samples is the one read


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


def stereo(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    return np.stack([left, right], axis=1)


HALF = np.full(100, 0.5, dtype=np.float32)
FLOAT_MAX = np.full(100, np.finfo(np.float32).max, dtype=np.float32)
MP3_NOISE = np.concatenate([np.zeros(SAMPLE_RATE), NOISE, NOISE[::-1] / 8])


def mp3(path: Path) -> bytes:
    return encoded(path, MP3_NOISE, format="MP3", bitrate_mode="VARIABLE")


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
        "NaN or infinity"),
    Odd("resampled beyond float32", "a.wav",
        written(FLOAT_MAX * np.resize([1, -1], 100).astype(np.float32), 8000, subtype="FLOAT"),
        "NaN or infinity"),
]  # fmt: skip
DAMAGED = [
    Odd("WAV cut in its header", "a.wav", content(lambda p: wav_bytes(p)[:40]), "cannot be read as audio"),
    Odd("WAV cut in its first word", "a.wav", content(lambda p: wav_bytes(p)[:3]), "cannot be read as audio"),
    Odd("WAV of a header alone", "a.wav", content(lambda p: wav_bytes(p)[:44]),
        "expected at least one sample"),
    Odd("WAV cut in its samples", "a.wav", content(lambda p: wav_bytes(p)[:444]), STEPS[:200]),
    Odd("WAV cut within a sample", "a.wav", content(lambda p: wav_bytes(p)[:445]), STEPS[:200]),
    Odd("WAV that promises more samples", "a.wav",
        content(lambda p: patched(wav_bytes(p), 40, struct.pack("<I", 99_999))), STEPS),
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
        content(lambda p: encoded(p, NOISE, format="FLAC")[:30_000]), "cannot be decoded"),
    Odd("FLAC that promises more samples", "a.flac",
        content(lambda p: with_flac_length(encoded(p, NOISE, format="FLAC"), 60_000)), "cannot be decoded"),
    Odd("FLAC that promises 18 days", "a.flac",
        content(lambda p: with_flac_length(encoded(p, NOISE, format="FLAC"), 2**36 - 1)),
        "expected at most 24 hours"),
    Odd("FLAC from a pipe, of unknown length", "a.flac",
        content(lambda p: with_flac_length(encoded(p, NOISE, format="FLAC"), 0)),
        "expected at most 24 hours"),
    Odd("OGG cut in its header", "a.ogg",
        content(lambda p: encoded(p, NOISE, format="OGG")[:100]), "cannot be read as audio"),
    Odd("OGG cut before its samples", "a.ogg",
        content(lambda p: encoded(p, NOISE, format="OGG")[:4000]), "a.ogg"),
    Odd("MP3 cut in its first frame", "a.mp3", content(lambda p: mp3(p)[:40]), "cannot be read as audio"),
    Odd("MP3 without an index", "a.mp3", content(lambda p: without_mp3_index(mp3(p))),
        is_mp3_noise, exact_length=False),
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
    if odd.exact_length:
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
        done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True)
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


# Segments.


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


def test_every_segment_that_an_mp3_header_promises_can_be_read(tmp_path):
    path = tmp_path / "a.mp3"
    path.write_bytes(without_mp3_index(mp3(path)))
    promised, whole = read_header(path).n_samples, read_audio(path)
    assert promised > len(whole) + 10_000  # an estimate from the first frames
    for start in (len(whole), promised - 5000):
        np.testing.assert_array_equal(read_audio(path, start, 5000), whole[-5000:])
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


# Paths of clips.


@pytest.fixture
def data_dir(tmp_path):
    folder = tmp_path / "data"
    (folder / "sub").mkdir(parents=True)
    (tmp_path / "data_2").mkdir()
    for path in ("secret.wav", "data_2/a.wav", "data/a.wav", "data/sub/b.wav"):
        soundfile.write(tmp_path / path, STEPS, SAMPLE_RATE)
    (folder / "out.wav").symlink_to("../secret.wav")
    (folder / "out").symlink_to("../data_2")
    (folder / "in.wav").symlink_to("sub/b.wav")
    (folder / "dangling_out.wav").symlink_to("../nowhere.wav")
    return folder


@pytest.mark.parametrize(
    "fname",
    ["/etc/passwd", "..", "../secret.wav", "sub/../../secret.wav", "../data_2/a.wav", "out.wav", "out/a.wav",
     "dangling_out.wav", "a\0.wav", "\0", "", ".", "./", "sub/.."],
)  # fmt: skip
def test_unsafe_names_are_refused(fname, data_dir):
    with pytest.raises(DataError, match="leads out of its folder") as raised:
        clip_path(data_dir, fname)
    assert repr(fname) in str(raised.value) and len(str(raised.value).splitlines()) == 1


@pytest.mark.parametrize("fname", ["a.wav", "./a.wav", "sub/b.wav", "sub/../a.wav", "in.wav"])
def test_safe_names_lead_to_their_clip(fname, data_dir, monkeypatch):
    np.testing.assert_array_equal(read_audio(clip_path(data_dir, fname)), STEPS)
    monkeypatch.chdir(data_dir.parent)
    np.testing.assert_array_equal(read_audio(clip_path("data", fname)), STEPS)
    monkeypatch.chdir(data_dir)
    np.testing.assert_array_equal(read_audio(clip_path(".", fname)), STEPS)


def test_the_folder_itself_may_be_a_link(data_dir):
    link = data_dir.parent / "link"
    link.symlink_to(data_dir)
    assert clip_path(link, "a.wav") == link / "a.wav"
    with pytest.raises(DataError):
        clip_path(link, "../secret.wav")


def test_probe_clips_keeps_the_order_of_the_table(data_dir):
    soundfile.write(data_dir / "long.wav", np.zeros(48000), 48000)
    paths, lengths = probe_clips(["long.wav", "missing.wav", "a.wav"], data_dir, "t.csv")
    assert paths[0] == data_dir / "long.wav" and paths[2] == data_dir / "a.wav"
    assert lengths[0] == SAMPLE_RATE and lengths[2] == len(STEPS)
    assert isinstance(lengths[1], DataError) and "missing.wav" in str(lengths[1])


def test_probe_clips_stops_at_unsafe_names(data_dir):
    with pytest.raises(DataError, match="'../secret.wav' leads out"):
        probe_clips(["a.wav", "../secret.wav"], data_dir, "t.csv")


def test_a_damaged_clip_shows_when_it_is_decoded(data_dir):
    (data_dir / "cut.flac").write_bytes(encoded(data_dir / "tmp", NOISE, format="FLAC")[:30_000])
    fnames = ["cut.flac", "a.wav"]
    assert probe_clips(fnames, data_dir, "t.csv")[1] == [len(NOISE), len(STEPS)]
    table = data_dir.parent / "t.csv"
    table.write_text("fname\ncut.flac\na.wav\n")
    assert check_headers([Source(str(table), str(data_dir), "test")], {}) == []
    source = Source(str(table), str(data_dir), "test")
    (problem,) = check_headers([source], {}, decode=True)
    assert "cut.flac: cannot be decoded" in problem.detail and source.clips["a.wav"][1] == len(STEPS)


def test_unusable_clips_are_counted_and_ten_are_named(data_dir):
    fnames = [f"missing_{i:02}.wav" for i in range(12)]
    _, errors = probe_clips(fnames, data_dir, "table.csv")
    with pytest.raises(DataError) as raised:
        raise_if_any(errors, "table.csv")
    message = str(raised.value)
    assert message.startswith("table.csv: 12 of its clips cannot be used: ") and "; and 2 more" in message
    assert [name in message for name in fnames] == [True] * 10 + [False] * 2
    assert len(message.splitlines()) == 1
    raise_if_any([], "table.csv")


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(DataError, match="expected the folder with the clips of t.csv"):
        probe_clips(["a.wav"], tmp_path / "nowhere", "t.csv")
