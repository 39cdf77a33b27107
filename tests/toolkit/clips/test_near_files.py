"""Missing clips name the file that may be meant, and why."""

import os
import unicodedata

import pytest

from ops.errors import DataError
from toolkit.clips.checks import probe_clips, raise_if_any
from toolkit.clips.near_files import FolderNames
from toolkit.clips.problems import raise_problems
from toolkit.clips.report import check_headers
from toolkit.clips.sources import Source

NFD = unicodedata.normalize("NFD", "tür.wav")
FILES = [
    "0a1b.wav",
    "B.WAV",
    "sub/c.wav",
    NFD,
    "a b.wav",
    "12345.wav",
    "00067.wav",
    "x%20y.wav",
    "d.flac",
    " e.wav",
]


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "train_curated"
    (folder / "sub").mkdir(parents=True)
    for name in FILES:
        (folder / name).touch()
    return folder


@pytest.mark.parametrize(
    "fname, hint",
    [
        ("0a1b", "exists with extension: '0a1b.wav'"),
        ("sub/c", "exists with extension: 'sub/c.wav'"),
        ("0a1b.wav ", "exists without blanks at its ends: '0a1b.wav'"),
        (" 0a1b.wav", "exists without blanks at its ends: '0a1b.wav'"),
        ("\ufeff0a1b.wav", "exists without blanks at its ends: '0a1b.wav'"),
        ("0a1b .wav", "exists without blanks at its ends: '0a1b.wav'"),
        ("e.wav", "exists with blanks at its ends: ' e.wav'"),
        ("sub\\c.wav", "exists with slashes: 'sub/c.wav'"),
        ("train_curated/0a1b.wav", "exists without 'train_curated/': '0a1b.wav'"),
        ("train_curated\\0a1b.wav", "exists with slashes, without 'train_curated/': '0a1b.wav'"),
        ("data/train_curated/sub/c.wav", "exists without 'data/train_curated/': 'sub/c.wav'"),
        ("train_curated/0a1b", "exists without 'train_curated/', with extension: '0a1b.wav'"),
        ("b.wav", "exists in other case: 'B.WAV'"),
        ("0A1B.WAV", "exists in other case: '0a1b.wav'"),
        ("b", "exists in other case, with extension: 'B.WAV'"),
        ("tür.wav", f"exists in another Unicode form: {NFD!r}"),
        ("a%20b.wav", "exists without percent-escapes: 'a b.wav'"),
        ("x y.wav", "exists with percent-escapes: 'x%20y.wav'"),
        ("12345.0", "exists as a whole number, with extension: '12345.wav'"),
        ("12345.0.wav", "exists as a whole number: '12345.wav'"),
        ("1.2345e+04", "exists as a whole number, with extension: '12345.wav'"),
        ("67", "exists with other zeros before the number: '00067.wav'"),
        ("67.0", "exists as a whole number, with other zeros before the number: '00067.wav'"),
        ("d.wav", "exists with another extension: 'd.flac'"),
        ("0a1b.wav.wav", "exists without '.wav': '0a1b.wav'"),
        ("c.wav", "exists in another folder: 'sub/c.wav'"),
        ("0a1c.wav", "nearest: '0a1b.wav'"),
        ("00a1b.wav", "nearest: '0a1b.wav'"),
        ("0a2b.wav", ""),  # numbers are meant to differ
        ("# made by hand", "a comment? remove its row"),
        ("unlike", ""),
        ("", ""),
        ("/", ""),
    ],
)
def test_names_that_were_meant(fname, hint, folder):
    assert FolderNames(folder).hint(fname) == hint


def test_training_and_prediction_tell_it(folder):
    table = folder.parent / "t.csv"
    table.write_text("fname,labels\n0a1b,Bark\ngone,Bark\n")
    (problem, other) = check_headers([Source(str(table), str(folder), "curated")], {"Bark": 0}, n_folds=2)
    assert "it does not exist (exists with extension: '0a1b.wav')" in problem.detail
    with pytest.raises(DataError, match=r"2 x missing: .*0a1b \(exists with extension: '0a1b.wav'\), gone;"):
        raise_problems([problem, other])
    _, (error, _) = probe_clips(["0a1b", "gone"], folder, table)
    with pytest.raises(DataError, match=r"does not exist \(exists with extension: '0a1b.wav'\)"):
        raise_if_any([error], table)


def test_a_folder_is_listed_once_and_only_where_a_clip_is_missing(folder, monkeypatch):
    listed, walk = [], os.walk
    monkeypatch.setattr(os, "walk", lambda top, **flags: listed.append(top) or walk(top, **flags))
    table = folder.parent / "t.csv"
    table.write_text("fname\n0a1b.wav\n")
    check_headers([Source(str(table), str(folder), "test")], {})
    probe_clips(["0a1b.wav"], folder, table)
    assert not listed
    fnames = [f"{number:05}" for number in range(2000)]
    table.write_text("fname\n" + "\n".join(fnames) + "\n")
    check_headers([Source(str(table), str(folder), role) for role in ("test", "test")], {})
    assert len(listed) == 1
    probe_clips(fnames, folder, table)
    assert len(listed) == 2
