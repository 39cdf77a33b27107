"""Decoded clips kept in a folder: reading by it gives what reading the files gives, to the last bit."""

import multiprocessing
import os
import resource
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from ops.errors import DataError
from ops.sampling import SAMPLE_RATE
from sounds import NOISE, encoded, stereo
from toolkit.clips import cache as module
from toolkit.clips.cache import ClipCache
from toolkit.clips.sound_files import read_audio

N = 30_000
LOUD = np.linspace(-1.5, 1.5, N)  # clipped at both ends, once it is read
# name: rate, samples, soundfile's options
FILES = {
    "16 bits.wav": (SAMPLE_RATE, NOISE, {}),
    "24 bits.wav": (SAMPLE_RATE, NOISE, {"subtype": "PCM_24"}),
    "loud.wav": (SAMPLE_RATE, LOUD, {"subtype": "FLOAT"}),
    "negative zero.wav": (SAMPLE_RATE, np.full(N, -0.0), {"subtype": "FLOAT"}),
    "8 kHz.wav": (8000, NOISE, {}),
    "stereo 48 kHz.flac": (48000, stereo(NOISE, LOUD / 2), {}),
    "six channels.wav": (SAMPLE_RATE, np.stack([NOISE * part for part in range(-3, 3)], axis=1) / 4, {}),
    "vorbis.ogg": (SAMPLE_RATE, NOISE, {}),
    "opus.ogg": (48000, NOISE, {"subtype": "OPUS"}),
    "a.mp3": (SAMPLE_RATE, NOISE, {}),
    "22 kHz.mp3": (22050, LOUD / 2, {}),
}


def settle() -> None:
    """A file that has just changed is not kept yet."""
    time.sleep(1.5 * module.SETTLED_NS / 1e9)


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("files")
    for name, (rate, samples, options) in FILES.items():
        soundfile.write(folder / name, samples, rate, **options)
    settle()
    return {name: folder / name for name in FILES}


@pytest.fixture(scope="module")
def warm(files, tmp_path_factory) -> ClipCache:
    """A cache that holds all files, opened anew."""
    folder = tmp_path_factory.mktemp("cache")
    for path in files.values():
        ClipCache(folder).read(path)
    return ClipCache(folder)


@pytest.fixture
def clip(tmp_path) -> Path:
    path = tmp_path / "clip.wav"
    soundfile.write(path, NOISE, SAMPLE_RATE)
    settle()
    return path


@pytest.fixture
def folder(tmp_path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def no_file_is_read(monkeypatch):
    """Within a test: the cache alone may give samples."""

    def refuse(path, *_):
        raise AssertionError(f"{path} was read")

    monkeypatch.setattr(module, "read_audio", refuse)
    monkeypatch.setattr(module, "decode_clip", refuse)


def entries(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def same(one: np.ndarray, other: np.ndarray) -> bool:
    return one.dtype == other.dtype == np.float32 and one.tobytes() == other.tobytes()


@pytest.mark.parametrize("name", FILES)
def test_the_whole_clip(name, files, folder):
    expected = read_audio(files[name])
    for _ in range(2):
        assert same(ClipCache(folder).read(files[name]), expected)
    assert same(ClipCache(folder).read(files[name], 0, 10 * N), expected)
    assert len(entries(folder)) == 1


@pytest.mark.parametrize("name", FILES)
@settings(max_examples=40)
@given(start=st.integers(0, 6 * N), n_samples=st.one_of(st.none(), st.integers(1, 6 * N)))
def test_any_segment(name, start, n_samples, files, warm):
    found = warm.read(files[name], start, n_samples)
    assert same(found, read_audio(files[name], start, n_samples))


@pytest.mark.parametrize("name", FILES)
def test_what_is_kept_is_not_read_from_the_file(name, files, warm, no_file_is_read):
    assert len(warm.read(files[name]))
    assert len(warm.read(files[name], 0, 1000)) == 1000
    if name in ("a.mp3", "22 kHz.mp3", "opus.ogg"):  # whose last bits depend on where decoding begins
        with pytest.raises(AssertionError, match="was read"):
            warm.read(files[name], 20_000, 1000)
    else:
        assert len(warm.read(files[name], 20_000, 1000)) == 1000


@pytest.mark.parametrize(
    "name, n_bytes",
    [("16 bits.wav", 2), ("8 kHz.wav", 2), ("24 bits.wav", 4), ("loud.wav", 4), ("negative zero.wav", 4)],
)
def test_frames_take_16_bits_where_these_are_exact(name, n_bytes, files, folder):
    ClipCache(folder).read(files[name])
    (entry,) = entries(folder)
    assert entry.stat().st_size == module.HEADER.size + module.CHECKSUM.size + N * n_bytes


def test_a_file_that_changed_is_read_anew(clip, folder):
    cache, before = ClipCache(folder), clip.stat()
    cache.read(clip)
    soundfile.write(clip, NOISE[::-1], SAMPLE_RATE)
    os.utime(clip, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert clip.stat().st_size == before.st_size and clip.stat().st_mtime_ns == before.st_mtime_ns
    assert same(cache.read(clip), read_audio(clip))
    settle()
    cache.read(clip)
    assert same(ClipCache(folder).read(clip), read_audio(clip))
    assert len(entries(folder)) == 1, "in place of the old frames"


def test_a_file_that_has_just_changed_is_not_kept(clip, folder, monkeypatch):
    """Changed again within a tick of the kernel's clock its times would stay the same."""
    with monkeypatch.context() as patch:
        patch.setattr(module, "SETTLED_NS", 10**15)
        assert same(ClipCache(folder).read(clip), read_audio(clip))
        assert not entries(folder)
    ClipCache(folder).read(clip)
    assert entries(folder)


def cut(content: bytes) -> bytes:
    return content[:-1]


def flipped(content: bytes) -> bytes:
    return content[:-5] + bytes([content[-5] ^ 1]) + content[-4:]


def other_rate(content: bytes) -> bytes:
    return content.replace(SAMPLE_RATE.to_bytes(4, "little"), (SAMPLE_RATE - 1).to_bytes(4, "little"), 1)


def empty(content: bytes) -> bytes:
    return b""


def zeros(content: bytes) -> bytes:
    return bytes(len(content))


@pytest.mark.parametrize("damage", [cut, flipped, other_rate, empty, zeros])
@pytest.mark.parametrize("anew", [True, False])
def test_a_damaged_entry_is_replaced(damage, anew, clip, folder):
    cache = ClipCache(folder)
    cache.read(clip)
    expected = cache.read(clip)  # by the entry
    (entry,) = entries(folder)
    content = entry.read_bytes()
    assert damage(content) != content
    entry.write_bytes(damage(content))
    if anew or damage is not flipped:  # frames are compared with their sum once a process
        assert same((ClipCache(folder) if anew else cache).read(clip), expected)
        assert entry.read_bytes() == content


def test_errors_are_those_of_the_file(tmp_path, folder):
    (tmp_path / "text.wav").write_bytes(b"no sound in here" * 100)
    (tmp_path / "empty.wav").touch()
    settle()
    for name in ("text.wav", "empty.wav", "missing.wav", "."):
        for segment in [(), (100, 1000)]:
            with pytest.raises(DataError) as expected:
                read_audio(tmp_path / name, *segment)
            with pytest.raises(type(expected.value)) as found:
                ClipCache(folder).read(tmp_path / name, *segment)
            assert str(found.value) == str(expected.value)
    assert not entries(folder)


def test_the_sound_part_of_a_damaged_file(tmp_path, folder):
    path, samples = tmp_path / "a.wav", NOISE.copy()
    samples[-1] = np.nan
    soundfile.write(path, samples, SAMPLE_RATE, subtype="FLOAT")
    settle()
    cache = ClipCache(folder)
    for _ in range(2):
        assert same(cache.read(path, 5, 1000), NOISE[5:1005])
        with pytest.raises(DataError, match="NaN"):
            cache.read(path)


def test_long_and_joined_clips_are_not_kept(clip, tmp_path, folder, monkeypatch):
    joined = tmp_path / "joined.ogg"
    joined.write_bytes(2 * encoded(tmp_path / "b.ogg", NOISE[: N // 2], format="OGG"))
    settle()
    monkeypatch.setattr(module, "MAX_SECONDS", (N - 1) / SAMPLE_RATE)
    cache = ClipCache(folder)
    for path in (joined, clip):
        assert same(cache.read(path, N - 10, 20), read_audio(path, N - 10, 20))
    assert not entries(folder)
    monkeypatch.setattr(module, "decode_clip", None)  # nobody tries again
    assert same(cache.read(clip, 5, 10), read_audio(clip, 5, 10))


def test_a_full_disk_gives_one_warning(clip, tmp_path, folder, monkeypatch, capsys):
    monkeypatch.setattr(module, "FREE_SHARE", 1.0)
    monkeypatch.setattr(module, "FREE_BYTES", np.inf)
    cache = ClipCache(folder)
    for path in (clip, clip, tmp_path / "clip.wav"):
        assert same(cache.read(path, 7, 100), read_audio(path, 7, 100))
    cache.announce({clip: N})
    said = capsys.readouterr()
    assert said.err.count("warning:") == 1 and "nearly full" in said.err and not entries(folder)
    assert "1 need 0.1 MB (16 bits) to 0.1 MB, 0.0 MB are free" in said.out


def read_with_small_files(cache: ClipCache, paths: list[Path]) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))
    for path in paths:
        assert same(cache.read(path), read_audio(path))


def in_child(function, *args) -> None:
    """Runs the function in a forked process."""
    child = multiprocessing.get_context("fork").Process(target=function, args=args)
    child.start()
    child.join()
    assert child.exitcode == 0


def test_failing_writes_give_one_warning_for_all_processes_and_leave_nothing(files, folder, capfd):
    cache = ClipCache(folder)
    for _ in range(3):
        in_child(read_with_small_files, cache, [*files.values()])
    said = capfd.readouterr().err
    assert said.count("warning:") == 1 and "File too large" in said
    assert not entries(folder)


@pytest.mark.parametrize("name", ["clip.wav", "clip.wav/below"])
def test_a_folder_that_cannot_be_made_gives_one_warning(name, clip, tmp_path, capsys):
    cache = ClipCache(tmp_path / name)
    cache.announce({clip: N})
    assert same(cache.read(clip), read_audio(clip))
    assert capsys.readouterr().err.count("warning:") == 1


def fill(folder: Path, paths: list[Path], start) -> None:
    cache = ClipCache(folder)
    start.wait()
    for path in paths:
        assert same(cache.read(path), read_audio(path))


def test_processes_that_fill_a_cache_at_the_same_time(files, folder, monkeypatch):
    fork, paths = multiprocessing.get_context("fork"), [*files.values()]
    start = fork.Barrier(3)
    writers = [fork.Process(target=fill, args=(folder, paths, start)) for _ in range(3)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
        assert writer.exitcode == 0
    assert len(entries(folder)) == len(paths)
    fresh = ClipCache(folder)
    monkeypatch.setattr(module, "decode_clip", None)
    for path in paths:
        assert same(fresh.read(path), read_audio(path))


def test_what_is_announced(files, tmp_path, folder, capsys):
    lengths = dict.fromkeys(files.values(), N) | {tmp_path / "long.wav": 301 * SAMPLE_RATE}
    cache = ClipCache(folder)
    cache.announce(lengths)
    text = capsys.readouterr().out
    n_bytes = [len(files) * N * size / 1e6 for size in (2, 4)]
    assert text.startswith(f"{folder}: 0 of 12 clips are kept decoded there, 1 are longer than 300 s")
    assert (
        f"11 need {n_bytes[0]:.1f} MB (16 bits) to {n_bytes[1]:.1f} MB" in text
        and len(text.splitlines()) == 1
    )
    for path in files.values():
        cache.read(path)
    cache.announce(dict.fromkeys(files.values(), N))
    assert capsys.readouterr().out == f"{folder}: 11 of 11 clips are kept decoded there\n"
