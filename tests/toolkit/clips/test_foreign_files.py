"""Sounds that need ffmpeg: decoded where it is there, else named with the remedy, never in part."""

import subprocess
import sys

import numpy as np
import pytest
import soundfile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ops.errors import DataError
from ops.sampling import SAMPLE_RATE
from sounds import NOISE, stereo, tone
from toolkit.clips.cache import ClipCache
from toolkit.clips.foreign_files import INSTALL, find_ffmpeg
from toolkit.clips.recordings import find_sounds
from toolkit.clips.sound_files import (
    ForeignAudioError,
    PartialAudioError,
    check_header,
    read_audio,
    read_header,
)

FOREIGN = {
    "x.m4a": b"\0\0\0\x20ftypM4A ",
    "x.wav": b"\0\0\0\x18ftypisom",
    "x.webm": b"\x1a\x45\xdf\xa3\x9f\x42\x86\x81",
    "x.wma": b"\x30\x26\xb2\x75\x8e\x66\xcf\x11",
    "x.amr": b"#!AMR\n",
    "x.aac": b"\xff\xf1\x50\x80\x2e\x7f\xfc",
    "x.avi": b"RIFF\0\0\1\0AVI LIST",
    "x.ape": b"nothing that is known",
}
SECONDS = 1.0
# Ending, flags of ffmpeg, and seconds that a codec may add to or take from what it was given.
KINDS = [
    ("m4a", ["-c:a", "alac"], 0.0),
    ("wv", [], 0.0),
    ("tta", [], 0.0),
    ("m4a", [], 0.001),
    ("mp4", ["-movflags", "+faststart"], 0.001),
    ("webm", [], 0.01),
    ("aac", [], 0.05),
    ("wma", [], 0.06),
]


@pytest.fixture(scope="module")
def encode(tmp_path_factory):
    """encode("m4a", ["-c:a", "alac"]) -> the bytes of a stereo file of SECONDS of a tone, at 48 kHz."""
    folder, made = tmp_path_factory.mktemp("encoded"), {}
    left = tone(48000, SECONDS).astype(np.float32)
    soundfile.write(folder / "tone.wav", stereo(left, 0 * left), 48000, subtype="PCM_16")

    def run(ending: str, flags: list[str]) -> bytes:
        key = (ending, *flags)
        if key not in made:
            target = folder / f"x.{ending}"
            command = [find_ffmpeg(), "-v", "error", "-y", "-i", folder / "tone.wav", *flags, target]
            subprocess.run(command, check=True)
            made[key] = target.read_bytes()
        return made[key]

    run.original = folder / "tone.wav"
    return run


@pytest.mark.parametrize("name", FOREIGN)
def test_files_that_need_ffmpeg_are_told_so(name, tmp_path, without_ffmpeg):
    (tmp_path / name).write_bytes(FOREIGN[name] + np.random.default_rng(0).bytes(5000))
    with pytest.raises(ForeignAudioError, match="cannot be read as audio, it is .*; install") as raised:
        read_audio(tmp_path / name)
    assert str(raised.value).endswith(INSTALL) and len(str(raised.value).splitlines()) == 1


@pytest.mark.needs_ffmpeg
@pytest.mark.parametrize("name", FOREIGN)
def test_files_that_ffmpeg_cannot_decode_give_one_line(name, tmp_path):
    (tmp_path / name).write_bytes(FOREIGN[name] + np.random.default_rng(0).bytes(5000))
    with pytest.raises(DataError, match=r"x\.\w+: .*\(.+\)") as raised:
        read_audio(tmp_path / name)
    assert len(str(raised.value).splitlines()) == 1


@pytest.mark.needs_ffmpeg
@pytest.mark.parametrize("ending, flags, tolerance", KINDS)
def test_whole_clips_and_their_true_lengths(ending, flags, tolerance, encode, tmp_path):
    path = tmp_path / f"-x:y.{ending}"  # neither an option nor a protocol
    path.write_bytes(encode(ending, flags))
    header, samples = read_header(path), read_audio(path)
    assert (header.sample_rate, header.channels) == (48000, 2)
    assert header.n_samples == len(samples) == check_header(path)
    assert abs(len(samples) / SAMPLE_RATE - SECONDS) <= tolerance
    original = read_audio(encode.original)
    if not tolerance:
        np.testing.assert_array_equal(samples, original)
    middle = slice(SAMPLE_RATE // 4, SAMPLE_RATE // 2)
    assert np.std(samples[middle]) == pytest.approx(np.std(original[middle]), rel=0.02)
    np.testing.assert_allclose(read_audio(path, 20_000, 5_000), samples[20_000:25_000], atol=1e-6)


@pytest.mark.needs_ffmpeg
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(KINDS), st.floats(0.02, 0.97))
def test_files_cut_short_are_never_read_in_part(encode, tmp_path, kind, kept):
    ending, flags, _ = kind
    content, path = encode(ending, flags), tmp_path / f"cut.{ending}"
    path.write_bytes(content)
    whole = read_header(path).n_samples
    path.write_bytes(content[: int(len(content) * kept)])
    try:
        assert ending != "aac" or read_header(path).n_samples <= whole  # whose frames promise nothing
        assert ending == "aac" or read_header(path).n_samples == whole
    except PartialAudioError as error:
        assert "only 0." in str(error) and "seconds can be decoded (" in str(error)
    except DataError as error:
        assert "cannot be read as audio" in str(error) or "expected" in str(error)


@pytest.mark.needs_ffmpeg
def test_files_cut_between_two_packets_are_told(encode, tmp_path):
    """Where ffmpeg finds nothing missing."""
    blocks = encode("wv", [])
    path, second = tmp_path / "x.wv", blocks.index(b"wvpk", 4)
    path.write_bytes(blocks[:second])
    with pytest.raises(
        PartialAudioError, match=r"only 0\.\d\d seconds can be decoded \(the file is cut off\)"
    ):
        read_header(path)
    film = encode("mp4", ["-movflags", "+faststart"])
    path = tmp_path / "x.mp4"
    for missing in range(1, 300, 20):
        path.write_bytes(film[:-missing])
        with pytest.raises(PartialAudioError, match="the file is cut off"):
            read_header(path)


@pytest.mark.needs_ffmpeg
def test_videos_without_sound_say_so(tmp_path):
    command = [find_ffmpeg(), "-v", "error", "-f", "lavfi", "-i", "color=size=16x16:rate=2:duration=1"]
    subprocess.run([*command, "-c:v", "mpeg4", tmp_path / "x.mp4"], check=True)
    with pytest.raises(DataError, match="it holds no sound"):
        read_audio(tmp_path / "x.mp4")


@pytest.mark.needs_ffmpeg
def test_a_changed_file_is_decoded_anew(encode, tmp_path):
    path = tmp_path / "x.m4a"
    path.write_bytes(encode("m4a", ["-c:a", "alac"]))
    first = read_audio(path)
    path.write_bytes(encode("m4a", []))
    assert not np.array_equal(read_audio(path)[: len(first)], first[: len(read_audio(path))])


@pytest.mark.needs_ffmpeg
def test_kept_clips_are_the_same(encode, tmp_path):
    path, cache = tmp_path / "x.webm", ClipCache(tmp_path / "cache")
    path.write_bytes(encode("webm", []))
    expected = read_audio(path, 1000, 500)
    for _ in range(2):
        np.testing.assert_array_equal(cache.read(path, 1000, 500), expected)


@pytest.mark.needs_ffmpeg
def test_folders_are_searched_for_what_ffmpeg_reads(tmp_path):
    for name in ("1.wav", "call.M4A", "notes.txt"):
        (tmp_path / name).touch()
    assert find_sounds([tmp_path])[0] == ["1.wav", "call.M4A"]


def test_the_package_s_program_is_found(tmp_path, without_ffmpeg, monkeypatch):
    assert find_ffmpeg() is None
    package = tmp_path / "imageio_ffmpeg.py"
    package.write_text("def get_ffmpeg_exe():\n    return '/opt/ffmpeg'\n")
    monkeypatch.delitem(sys.modules, "imageio_ffmpeg")
    monkeypatch.syspath_prepend(tmp_path)
    assert find_ffmpeg() == "/opt/ffmpeg"
    monkeypatch.delitem(sys.modules, "imageio_ffmpeg")


def test_other_files_of_such_names_are_read_as_ever(tmp_path, without_ffmpeg):
    soundfile.write(tmp_path / "x.flac", NOISE, SAMPLE_RATE)
    (tmp_path / "x.flac").rename(tmp_path / "x.m4a")
    assert len(read_audio(tmp_path / "x.m4a")) == len(NOISE)
