"""MP3 and Ogg: true lengths without an index, several streams in a file, parts that are missing."""

import re

import numpy as np
import pytest
import soundfile

from ops.sampling import SAMPLE_RATE
from sounds import NOISE, encoded, mp3_frames, mp3_of, ogg_pages, patched, tone
from toolkit.clips.sound_files import PartialAudioError, read_audio, read_header

ID3V2 = b"ID3\x04\0\0\0\0\x07\x68" + bytes(1000)
ID3V1 = b"TAG" + bytes(125)
APE_END = b"APETAGEX" + b"".join(n.to_bytes(4, "little") for n in (2000, 42, 1, 0xA0000000)) + bytes(8)
APE_START = APE_END[:20] + b"\0\0\0\xa0" + bytes(8)
GARBAGE = np.random.default_rng(1).bytes(3000)


def seconds_of(path, content: bytes) -> float:
    """The length that is read, which must be the header's, and of which segments must be slices."""
    path.write_bytes(content)
    whole = read_audio(path)
    assert read_header(path).n_samples == len(whole)
    for start, count in [(777, 5000), (len(whole) // 2, 9000), (len(whole) - 700, 700), (len(whole) - 1, 9)]:
        segment = read_audio(path, start, count)
        np.testing.assert_allclose(segment, whole[start : start + count], rtol=0, atol=1e-5)
    return len(whole) / SAMPLE_RATE


def is_in_part(path, content: bytes) -> str:
    """The error that a whole and a segment both give."""
    path.write_bytes(content)
    for arguments in [(), (100, 100)]:
        with pytest.raises(PartialAudioError) as raised:
            read_audio(path, *arguments)
        assert re.search(r"/x\.\w+: only \d+\.\d\d (of \d+\.\d\d )?seconds can be decoded", str(raised.value))
    return str(raised.value)


@pytest.mark.parametrize("rate", [8000, 11025, 16000, 22050, 24000, 32000, 44100, 48000])
@pytest.mark.parametrize("channels", [1, 2])
def test_an_mp3_has_its_true_length_with_and_without_an_index(rate, channels, tmp_path):
    content = mp3_of(tmp_path / "x.mp3", rate, channels)
    assert seconds_of(tmp_path / "x.mp3", content) == 2
    frames = mp3_frames(content)[1:]
    samples = 1152 if rate >= 32000 else 576
    expected = len(frames) * samples / rate
    # The decoder leaves out its own delay of 529 samples.
    found = seconds_of(tmp_path / "x.mp3", b"".join(frames))
    assert expected - 530 / rate < found <= expected


@pytest.mark.parametrize("rate", [16000, 44100])
def test_what_stands_around_an_mp3_changes_no_length(rate, tmp_path):
    path = tmp_path / "x.mp3"
    content = mp3_of(path, rate)
    raw = b"".join(mp3_frames(content)[1:])
    length = seconds_of(path, raw)
    for before, behind in [
        (ID3V2, b""),
        (ID3V2 + ID3V2, ID3V1),
        (b"", APE_START + bytes(1968) + APE_END + ID3V1),
        (bytes(3000), bytes(5000)),
        (GARBAGE, GARBAGE),
    ]:
        assert seconds_of(path, before + raw + behind) == length
        assert seconds_of(path, before + content + behind) == 2


@pytest.mark.parametrize("count", [0, 5, 10**6])
def test_a_wrong_number_of_frames_in_an_index_is_counted_anew(count, tmp_path):
    content = mp3_of(tmp_path / "x.mp3")
    wrong = patched(content, content.index(b"Xing") + 8, count.to_bytes(4, "big"))
    assert seconds_of(tmp_path / "x.mp3", wrong) == 2


def test_a_vbri_index_is_none_that_libsndfile_knows(tmp_path):
    path = tmp_path / "x.mp3"
    content = mp3_of(path)
    index, *frames = mp3_frames(content)
    length = seconds_of(path, b"".join(frames))
    told = b"VBRI" + bytes(6) + len(content).to_bytes(4, "big") + len(frames).to_bytes(4, "big")
    vbri = patched(patched(index, 4, bytes(len(index) - 4)), 36, told)
    assert seconds_of(path, vbri + b"".join(frames)) == length
    assert "promises" in is_in_part(path, vbri + b"".join(frames[:40]))


@pytest.mark.parametrize("rate", [16000, 44100])
def test_an_mp3_of_free_format(rate, tmp_path):
    path = tmp_path / "x.mp3"
    frames = mp3_frames(mp3_of(path, rate, bitrate_mode="CONSTANT"))[1:]
    length = seconds_of(path, b"".join(frames))
    free = b"".join(patched(frame, 2, bytes([frame[2] & 15])) for frame in frames)
    assert seconds_of(path, free) == length
    is_in_part(path, free[: len(free) // 2 + 100])


def test_joined_mp3s_are_one_clip(tmp_path):
    path = tmp_path / "x.mp3"
    slow, fast, wide = mp3_of(path, 16000), mp3_of(path, 44100), mp3_of(path, 44100, 2)
    raw = b"".join(mp3_frames(fast)[1:])
    assert seconds_of(path, fast + fast) == 4
    assert seconds_of(path, fast + slow + wide) == 6
    assert seconds_of(path, ID3V2 + fast + ID3V1 + ID3V2 + slow + ID3V1) == 4
    assert seconds_of(path, raw + raw) == pytest.approx(2 * seconds_of(path, raw), abs=0.02)
    path.write_bytes(fast)
    alone = read_audio(path)
    path.write_bytes(slow + fast)
    np.testing.assert_allclose(read_audio(path)[-len(alone) :], alone, rtol=0, atol=1e-6)


def test_an_mp3_that_ends_early_or_has_a_hole_is_told(tmp_path):
    path = tmp_path / "x.mp3"
    content = mp3_of(path)
    frames = mp3_frames(content)
    at = sum(map(len, frames[:50]))
    assert "of 2.04 seconds can be decoded (the file is cut off)" in is_in_part(path, content[: at - 100])
    assert "promises 78 frames, found 49" in is_in_part(path, content[:at])
    raw = b"".join(frames[1:])
    is_in_part(path, raw[: len(raw) * 2 // 3])
    is_in_part(path, raw[: len(raw) * 2 // 3] + ID3V1)
    is_in_part(path, b"".join(frames[1:50]) + GARBAGE + b"".join(frames[57:]))
    path.write_bytes(content[: at + 9] + GARBAGE + content[at + 3009 :])  # the index says that it is whole
    with pytest.raises(PartialAudioError, match=r"only 1\.\d\d of 2\.00 seconds"):
        read_audio(path)


def ogg(tmp, seconds: float = 3.0, rate: int = SAMPLE_RATE, **options) -> bytes:
    noise = np.random.default_rng(rate).uniform(-0.5, 0.5, round(seconds * rate))
    soundfile.write(tmp / "tmp", noise, rate, format="OGG", **options)
    return (tmp / "tmp").read_bytes()


@pytest.fixture
def vorbis(tmp_path):
    return ogg(tmp_path)


@pytest.fixture
def opus(tmp_path):
    return ogg(tmp_path, rate=48000, subtype="OPUS")


def test_segments_on_the_last_page_of_vorbis_stand_where_they_should(vorbis, tmp_path):
    assert seconds_of(tmp_path / "x.ogg", vorbis) == 3
    whole = read_audio(tmp_path / "x.ogg")
    for start in range(len(whole) - 30_000, len(whole), 4099):
        np.testing.assert_array_equal(read_audio(tmp_path / "x.ogg", start, 500), whole[start : start + 500])


def test_chained_ogg_streams_are_one_clip(vorbis, opus, tmp_path):
    path = tmp_path / "x.ogg"
    slow = ogg(tmp_path, 1.0, 22050)
    assert seconds_of(path, vorbis + slow) == 4
    assert seconds_of(path, vorbis + vorbis) == 6  # even of the same serial number
    assert seconds_of(path, slow + opus + vorbis) == 7
    joined = read_audio(path)
    path.write_bytes(opus)
    np.testing.assert_allclose(joined[SAMPLE_RATE:][: 3 * SAMPLE_RATE], read_audio(path), atol=1e-5)


def test_garbage_around_ogg_changes_nothing(vorbis, opus, tmp_path):
    for content in (vorbis, opus):
        assert seconds_of(tmp_path / "x.ogg", content + GARBAGE) == 3
        assert seconds_of(tmp_path / "x.ogg", content + bytes(5000)) == 3


def test_a_second_stream_beside_the_first_is_told(vorbis, opus, tmp_path):
    pages, others = ogg_pages(vorbis), ogg_pages(opus)
    mixed = [pages.pop(0), others.pop(0)]
    while pages or others:
        mixed += [queue.pop(0) for queue in (pages, others) if queue]
    assert seconds_of(tmp_path / "x.ogg", b"".join(mixed)) == 3
    assert read_header(tmp_path / "x.ogg").surplus == "1 further sound streams beside the first are not read"


def test_ogg_that_ends_early_or_lacks_pages_is_told(vorbis, opus, tmp_path):
    path = tmp_path / "x.ogg"
    for content in (vorbis, opus):
        pages = ogg_pages(content)
        assert len(pages) > 4
        assert "cut off" in is_in_part(path, content[: len(content) * 2 // 3])
        assert "cut off" in is_in_part(path, b"".join(pages[:-1]))
        assert "of 3.0" in is_in_part(path, b"".join([*pages[:3], *pages[4:]]))
        middle = len(content) // 2
        assert "damaged" in is_in_part(path, patched(content, middle, b"\0" * 50))
        is_in_part(path, content + content[: len(content) // 2])


def test_flac_behind_a_tag_and_of_unknown_length(tmp_path):
    flac = encoded(tmp_path / "tmp", np.append(NOISE, tone(SAMPLE_RATE)), format="FLAC")
    length = (len(NOISE) + SAMPLE_RATE) / SAMPLE_RATE
    streamed = patched(flac, 21, bytes([flac[21] & 0xF0, 0, 0, 0, 0]))
    for content in (flac, streamed):
        assert seconds_of(tmp_path / "x.flac", content) == length
        assert seconds_of(tmp_path / "x.flac", ID3V2 + content) == length
        assert seconds_of(tmp_path / "x.flac", content + ID3V1) == length
    for size in (len(flac) // 2, len(flac) * 9 // 10):
        assert f"of {length:.2f}" in is_in_part(tmp_path / "x.flac", flac[:size])
