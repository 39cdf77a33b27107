"""Users' own recordings: which sounds are found, windows of long ones, scores in words."""

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ops.errors import DataError
from toolkit.clips.foreign_files import INSTALL
from toolkit.clips.loading import Clip, join_windows, split_into_windows
from toolkit.clips.recordings import find_sounds, in_words


def touch(*paths) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")


def test_sounds_of_folders_and_files_are_found_once_and_in_order(tmp_path):
    touch(*(tmp_path / "a" / name for name in ("2.wav", "1.FLAC", "deep/3.mp3", "notes.txt", ".hidden.wav")))
    touch(tmp_path / "a" / ".git" / "4.wav", tmp_path / "b" / "odd.name")
    names, paths = find_sounds([tmp_path / "a"])
    assert names == ["1.FLAC", "2.wav", "deep/3.mp3"]
    assert paths == [tmp_path / "a" / name for name in names]
    assert find_sounds([tmp_path / "a" / "2.wav"])[0] == ["2.wav"]
    names, paths = find_sounds([tmp_path / "b" / "odd.name", tmp_path / "a", tmp_path / "a" / "2.wav"])
    assert names == ["b/odd.name", "a/1.FLAC", "a/2.wav", "a/deep/3.mp3"]


def test_a_relative_path_gives_the_same_names(tmp_path, monkeypatch):
    touch(tmp_path / "a" / "1.wav", tmp_path / "b" / "1.wav")
    monkeypatch.chdir(tmp_path / "a")
    assert find_sounds(["."])[0] == ["1.wav"]
    assert find_sounds(["1.wav", "../b"])[0] == ["a/1.wav", "b/1.wav"]


def test_names_that_are_no_utf8_can_be_written(tmp_path):
    touch(Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.wav")))
    assert find_sounds([tmp_path])[0] == ["\\xff.wav"]


def test_a_folder_without_sounds_and_a_path_that_is_not_there(tmp_path):
    touch(tmp_path / "a" / "notes.txt", tmp_path / "my_sounds" / "1.wav")
    with pytest.raises(DataError, match=r"expected a folder with sound files \(.*\.flac"):
        find_sounds([tmp_path / "a"])
    with pytest.raises(DataError, match="expected a sound file or a folder, found none.*my_sounds'"):
        find_sounds([tmp_path / "my_sound"])


def test_files_of_other_kinds_are_named_with_what_to_do(tmp_path, capsys, without_ffmpeg):
    touch(*(tmp_path / name for name in ("1.wav", "notes.txt", "call.M4A", "deep/clip.webm", ".hidden.m4a")))
    assert find_sounds([tmp_path])[0] == ["1.wav"]
    warning = capsys.readouterr().err
    assert "3 other files" in warning and len(warning.splitlines()) == 1 and ".hidden" not in warning
    assert warning.index("call.M4A") < warning.index("notes.txt")  # the sounds come first
    assert f"2 of them may be sounds that only ffmpeg reads: {INSTALL}" in warning
    touch(*(tmp_path / "many" / f"{index:02}.m4a" for index in range(12)), tmp_path / "many" / "1.wav")
    find_sounds([tmp_path / "many"])
    warning = capsys.readouterr().err
    assert "12 other files" in warning and "09.m4a, ..." in warning and "10.m4a" not in warning
    (tmp_path / "many" / "1.wav").unlink()
    with pytest.raises(DataError, match="found none, but 12 other files .*they may be .*install ffmpeg"):
        find_sounds([tmp_path / "many"])
    find_sounds([tmp_path / "deep" / "clip.webm", tmp_path / "1.wav"])  # named: tried as they are
    assert not capsys.readouterr().err


def test_links_to_folders_are_followed_once(tmp_path):
    touch(tmp_path / "a" / "1.wav", tmp_path / "a" / "b" / "2.wav", tmp_path / "elsewhere" / "deep" / "3.wav")
    (tmp_path / "a" / "0_again").symlink_to(tmp_path / "a" / "b")
    (tmp_path / "a" / "b" / "loop").symlink_to(tmp_path / "a")
    (tmp_path / "a" / "linked").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / "back").symlink_to(tmp_path)
    assert find_sounds([tmp_path / "a"])[0] == ["1.wav", "b/2.wav", "linked/deep/3.wav"]
    assert find_sounds([tmp_path / "a" / "linked"])[0][:1] == ["deep/3.wav"]


@given(st.lists(st.integers(1, 10**7), min_size=1, max_size=5), st.floats(1, 60))
def test_windows_cover_each_clip_without_overlap(lengths, seconds):
    clips = [Clip(str(index), Path(str(index)), length) for index, length in enumerate(lengths)]
    windows, owners = split_into_windows(clips, seconds)
    assert sorted(owners) == list(owners)
    for index, clip in enumerate(clips):
        own = [window for window, owner in zip(windows, owners, strict=True) if owner == index]
        if clip.n_samples <= 2 * int(seconds * 44100):
            assert own == [clip]
            continue
        assert len(own) > 2 and own[0].start == 0
        ends = [window.start + window.n_samples for window in own]
        assert [window.start for window in own[1:]] + [clip.n_samples] == ends
        sizes = [window.n_samples for window in own]
        assert max(sizes) - min(sizes) <= 1 and max(sizes) <= seconds * 44100 < 1.5 * max(sizes) + 2
    assert split_into_windows(clips, None)[0] == clips


def test_of_each_class_the_highest_window_counts():
    scores = np.array([[0.1, 0.9], [0.5, 0.2], [0.4, 0.3]])  # 3 windows, 2 classes
    assert join_windows(scores, np.array([0, 1, 1])).tolist() == [[0.1, 0.9], [0.5, 0.3]]


def test_words():
    assert in_words(np.array([0.1, 0.704, 0.7]), ["A", "B", "C"], 2) == "B 0.70, C 0.70"
    assert in_words(np.array([0.5, 0.5]), ["A", "B"], 9) == "A 0.50, B 0.50"
