"""The list of curated clips that are known to be wrong."""

import pytest

from ops.errors import DataError
from toolkit.clips import report
from toolkit.clips.report import known_bad_clips


def test_the_six_of_fsdkaggle2019():
    names = ["f76181c4", "77b925c2", "6a1f682a", "c7db12aa", "7752cc8a", "1d44b0bd"]
    found = known_bad_clips([f"{name}.wav" for name in names] + ["0006ae4e.wav"])
    assert list(found) == [f"{name}.wav" for name in names]
    assert [error == "without signal" for error in found.values()] == [False] * 5 + [True]


def test_any_folder_and_format_counts():
    fnames = ["a/f76181c4.flac", "f76181c4", "f76181c4_2.wav", "xf76181c4.wav", ""]
    assert known_bad_clips(fnames) == {"a/f76181c4.flac": "mislabelled", "f76181c4": "mislabelled"}


def test_without_the_list_only_the_flag_is_an_error(monkeypatch, tmp_path):
    monkeypatch.setattr(report, "KNOWN_BAD_CLIPS", tmp_path / "none.csv")
    assert known_bad_clips(["f76181c4.wav"]) == {}
    with pytest.raises(DataError, match="none.csv: expected a CSV table .*does not exist"):
        known_bad_clips(["f76181c4.wav"], must_exist=True)
