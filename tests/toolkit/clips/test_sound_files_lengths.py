"""Sizes in headers: left open in any spelling, or larger than the file; float files scaled to integers."""

import struct
import subprocess

import numpy as np
import pytest
import soundfile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ops.errors import DataError
from ops.sampling import SAMPLE_RATE
from sounds import NOISE, STEPS, encoded, patched, stereo
from toolkit.clips.sound_files import (
    OverscaleAudioError,
    PartialAudioError,
    check_header,
    read_audio,
    read_header,
)

OPEN = [0, 0xFFFFFFFF, 0xFFFFFFFF - 36, 0x7FFFFFFF, 0x7FFFFFFF - 36, 0x7FFFF000, 0x80000000]
PAIRS = [
    (kind, subtype)
    for kind in soundfile.available_formats()
    for subtype in soundfile.available_subtypes(kind)
    # RAW has no header; soundfile cannot read DWVW; of the other layers of MP3 there is no encoder.
    if kind != "RAW" and not subtype.startswith("DWVW") and subtype not in ("MPEG_LAYER_I", "MPEG_LAYER_II")
    if (kind, subtype) != ("WAV", "MPEG_LAYER_III")
]

# Nothing in these files tells their length, or libsndfile does not.
UNKNOWN_LENGTH = {"HTK", "IRCAM", "MAT5", "PAF", "PVF", "SD2", "XI"}


def written(path, samples, rate: int, **options) -> bytes:
    soundfile.write(path, samples, rate, **options)
    return path.read_bytes()


def smooth(rate: int, n: int) -> np.ndarray:
    noise = np.random.default_rng(4).normal(size=n + 7)
    return (0.1 * np.convolve(noise, np.ones(8) / 4, "valid")[:n]).astype(np.float32)


@pytest.mark.parametrize("kind, subtype", PAIRS)
def test_in_every_format_segments_are_slices_and_what_is_cut_off_is_told(kind, subtype, tmp_path):
    path = tmp_path / "x"
    for rate in (SAMPLE_RATE, 48000, 8000):
        try:
            content = written(path, smooth(rate, rate), rate, format=kind, subtype=subtype)
            break
        except soundfile.LibsndfileError:  # some codecs know few rates
            continue
    whole = read_audio(path)
    n = len(whole)
    assert n == read_header(path).n_samples
    for start, count in [(1, 100), (777, 5000), (n // 2, 4000), (n - 3000, 3000), (n - 5, 5), (n // 3, n)]:
        segment = read_audio(path, start, count)
        np.testing.assert_allclose(segment, whole[start : start + count], rtol=0, atol=2e-5)
    path.write_bytes(content[: len(content) * 6 // 10])
    if kind not in UNKNOWN_LENGTH:
        with pytest.raises(DataError, match="seconds can be decoded|cannot be read as audio"):
            read_audio(path)


def test_files_that_a_program_wrote_to_a_pipe_are_whole(tmp_path):
    tone = ["sox", "-n", "-r", "44100", "-c", "1", "-b", "16", "-t"]
    for kind in ("wav", "aiff", "aifc", "au", "flac"):
        done = subprocess.run([*tone, kind, "-", "synth", "1", "sine", "440"], capture_output=True)
        (tmp_path / "x").write_bytes(done.stdout)
        samples = read_audio(tmp_path / "x")
        assert read_header(tmp_path / "x").n_samples == len(samples) == SAMPLE_RATE, kind
        assert np.abs(np.fft.rfft(samples)).argmax() == 440


@pytest.mark.parametrize("size", OPEN)
@pytest.mark.parametrize("riff", [None, 0, 0xFFFFFFFF])
def test_open_sizes_of_wav(size, riff, tmp_path):
    path = tmp_path / "x.wav"
    content = written(path, NOISE, SAMPLE_RATE)
    path.write_bytes(content)
    expected = read_audio(path)
    for kind, order in [(b"RIFF", "<I"), (b"RIFX", ">I")]:
        if kind == b"RIFX":
            content = written(path, NOISE, SAMPLE_RATE, endian="BIG")
        wrong = patched(content, 40, struct.pack(order, size))
        if riff is not None:
            wrong = patched(wrong, 4, struct.pack(order, riff))
        path.write_bytes(wrong)
        assert content[:4] == kind
        assert read_header(path).n_samples == len(NOISE) and not read_header(path).surplus
        np.testing.assert_array_equal(read_audio(path), expected)
        np.testing.assert_array_equal(read_audio(path, 9000, 500), expected[9000:9500])


@pytest.mark.parametrize("riff", [0, 1, 0x7FFFF024, 0xFFFFFFFF])
def test_a_wrong_size_of_the_riff_chunk_alone_does_not_matter(riff, tmp_path):
    content = written(tmp_path / "x.wav", STEPS, SAMPLE_RATE)
    (tmp_path / "x.wav").write_bytes(patched(content, 4, struct.pack("<I", riff)))
    np.testing.assert_array_equal(read_audio(tmp_path / "x.wav"), STEPS)


def test_chunks_around_the_samples(tmp_path):
    path = tmp_path / "x.wav"
    content = written(path, STEPS, SAMPLE_RATE)
    odd = b"LIST" + struct.pack("<I", 5) + b"INFOx"
    for chunk in (odd + b"\0", odd):  # with its padding byte and without
        for at in (12, 36, len(content)):
            path.write_bytes(content[:at] + chunk + content[at:])
            np.testing.assert_array_equal(read_audio(path), STEPS)
            assert not read_header(path).surplus
    path.write_bytes(content + bytes(4096))
    assert not read_header(path).surplus
    path.write_bytes(content + content)
    np.testing.assert_array_equal(read_audio(path), STEPS)
    path.write_bytes(patched(content, 40, struct.pack("<I", 200)))
    assert read_header(path).surplus == "1800 bytes behind its samples are not read"
    np.testing.assert_array_equal(read_audio(path), STEPS[:100])


@pytest.mark.parametrize("size", [0, 8, 0xFFFFFFFF, 0x7FFFFFFF, 0x7F000008])
def test_open_sizes_of_aiff_and_au(size, tmp_path):
    path = tmp_path / "x"
    aiff = written(path, STEPS, SAMPLE_RATE, format="AIFF", subtype="PCM_16")
    at = aiff.index(b"SSND") + 4
    path.write_bytes(patched(aiff, at, struct.pack(">I", size)))
    np.testing.assert_array_equal(read_audio(path), STEPS)
    frames = aiff.index(b"COMM") + 10
    for count in (0, 0x3F800000, 0xFFFFFFFF):
        open_length = patched(aiff, at, struct.pack(">I", size))
        path.write_bytes(patched(open_length, frames, struct.pack(">I", count)))
        np.testing.assert_array_equal(read_audio(path), STEPS)
    if size != 8:  # in AU no size counts a header
        au = written(path, STEPS, SAMPLE_RATE, format="AU", subtype="PCM_16")
        path.write_bytes(patched(au, 8, struct.pack(">I", size)))
        np.testing.assert_array_equal(read_audio(path), STEPS)


def test_open_sizes_of_caf_w64_and_rf64(tmp_path):
    path = tmp_path / "x"
    caf = written(path, STEPS, SAMPLE_RATE, format="CAF", subtype="PCM_16")
    at = caf.rindex(b"data") + 4
    w64 = written(path, STEPS, SAMPLE_RATE, format="W64", subtype="PCM_16")
    w64_at = w64.index(b"data") + 16
    rf64 = written(path, STEPS, SAMPLE_RATE, format="RF64", subtype="PCM_16")
    for content in (
        rf64,
        *(patched(caf, at, struct.pack(">q", size)) for size in (-1, 0)),
        *(patched(w64, w64_at, struct.pack("<Q", size)) for size in (0, 24, 2**63 - 1, 2**64 - 1)),
        *(patched(rf64, rf64.index(b"ds64") + 16, struct.pack("<Q", size)) for size in (0, 2**64 - 1)),
    ):
        path.write_bytes(content)
        assert read_header(path).n_samples == len(STEPS)
        np.testing.assert_array_equal(read_audio(path), STEPS)


@pytest.mark.parametrize("subtype", ["FLOAT", "DOUBLE"])
@pytest.mark.parametrize("kind", ["WAV", "AIFF", "CAF", "AU", "W64"])
@pytest.mark.parametrize("bits", [8, 16, 24, 32])
def test_integers_written_as_float_are_no_square_wave(kind, subtype, bits, tmp_path):
    path = tmp_path / "x"
    samples = NOISE * 2 ** (bits - 1)
    samples[: SAMPLE_RATE // 4] = 0  # the loud part is not at the beginning
    soundfile.write(path, samples, SAMPLE_RATE, format=kind, subtype=subtype)
    for reads in (read_audio, check_header):
        with pytest.raises(OverscaleAudioError, match=rf"divide them by {2 ** (bits - 1)} \({bits} bits\)"):
            reads(path)


def test_a_little_beyond_full_scale_is_clipped(tmp_path):
    path = tmp_path / "x.wav"
    samples = np.array([0.5, 1.05, -1.5, 3.0, -0.25], dtype=np.float32)
    soundfile.write(path, stereo(samples, samples), SAMPLE_RATE, subtype="FLOAT")
    np.testing.assert_array_equal(read_audio(path), [0.5, 1, -1, 1, -0.25])
    assert check_header(path) == 5


CONTENTS = st.sampled_from(["WAV", "AIFF", "AU", "CAF", "W64", "RF64", "FLAC", "OGG", "MP3", "NIST", "SVX"])

DAMAGES = st.lists(st.tuples(st.floats(0, 1), st.binary(min_size=1, max_size=4)), max_size=3)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(CONTENTS, st.floats(0, 1), DAMAGES)
def test_any_damage_gives_samples_or_one_line(tmp_path, kind, kept, damages):
    path = tmp_path / "x"
    content = encoded(path, NOISE[:6000], format=kind)
    content = content[: max(1, int(len(content) * kept))]
    for place, new in damages:
        at = int(place**4 * (len(content) - 1))  # most often in the header
        content = patched(content, at, new)[: len(content)]
    path.write_bytes(content)
    try:
        samples = read_audio(path)
        assert len(samples) == read_header(path).n_samples and np.abs(samples).max() <= 1
    except DataError as error:
        assert len(str(error).splitlines()) == 1 and str(path) in str(error)


def test_a_file_that_ends_early_tells_how_much_it_holds(tmp_path):
    path = tmp_path / "x.wav"
    content = written(path, np.zeros(4 * SAMPLE_RATE), SAMPLE_RATE)
    path.write_bytes(content[: 44 + 3 * SAMPLE_RATE])
    for arguments in [(), (100, 100)]:
        with pytest.raises(PartialAudioError, match=r"only 1\.50 of 4\.00 seconds can be decoded"):
            read_audio(path, *arguments)
    path.write_bytes(content[:-1])  # half a sample
    with pytest.raises(PartialAudioError):
        read_audio(path)
