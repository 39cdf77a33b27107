"""Tables of clips in folders named after their classes: names, labels, groups, divisions."""

import os
import unicodedata

import numpy as np
import pandas as pd
import pytest

from ops.errors import DataError
from toolkit.clips.cells import split_labels
from toolkit.clips.class_folders import FolderLayout, classes_without, split, table_of_folders


@pytest.fixture
def place(tmp_path):
    """place("Bark/1.wav", ...) -> the folder with these files, each of bytes of its own."""

    def make(*names: str) -> str:
        for name in names:
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(os.fsencode(name))
        return str(tmp_path)

    return make


def rows(table: pd.DataFrame) -> list[list[str]]:
    return table.values.tolist()


def test_classes_are_the_folders(place):
    folder = place(
        "Bark/1.wav", "Bark/rex/deep/2.flac", "Meow, loud/1.ogg", " Hiss /1.wav", "Bark/.hidden.wav"
    )
    assert rows(table_of_folders(folder, FolderLayout())) == [
        [" Hiss /1.wav", "Hiss"],
        ["Bark/1.wav", "Bark"],
        ["Bark/rex/deep/2.flac", "Bark"],
        ["Meow, loud/1.ogg", "Meow,, loud"],
    ]


def test_accents_are_one_class_however_they_are_spelled(place):
    composed = unicodedata.normalize("NFC", "Türe")
    folder = place(f"{composed}/1.wav", f"{unicodedata.normalize('NFD', composed)}/2.wav")
    assert set(table_of_folders(folder, FolderLayout())["labels"]) == {composed}


@pytest.mark.parametrize(
    "layout, expected",
    [
        (
            FolderLayout("first", group_folders=True),
            [["rex/1.wav", "rex", ""], ["rex/a/b/2.wav", "rex", "a/b"]],
        ),
        (
            FolderLayout("last", group_folders=True),
            [["rex/1.wav", "rex", ""], ["rex/a/b/2.wav", "b", "rex/a"]],
        ),
        (
            FolderLayout(group_regex=r"/(\d)|b/(\d)"),
            [["rex/1.wav", "rex", "1"], ["rex/a/b/2.wav", "rex", "2"]],
        ),
        (FolderLayout(group_regex="a/b"), [["rex/1.wav", "rex", ""], ["rex/a/b/2.wav", "rex", "a/b"]]),
    ],
)
def test_groups(layout, expected, place):
    assert rows(table_of_folders(place("rex/1.wav", "rex/a/b/2.wav"), layout)) == expected


def test_a_clip_in_two_folders_has_both_labels(place, tmp_path, capsys):
    folder = place("Bark/1.wav", "Bark/2.wav", "Meow/1.wav", "Run/x.wav", "alone.wav", "notes.txt")
    (tmp_path / "Run" / "x.wav").write_text("Bark/1.wav")
    (tmp_path / "Bark" / "copy.wav").write_text("Bark/2.wav")
    assert rows(table_of_folders(folder, FolderLayout())) == [
        ["Bark/1.wav", "Bark,Run"],
        ["Bark/2.wav", "Bark"],
        ["Meow/1.wav", "Meow"],
    ]
    told = capsys.readouterr().err
    assert "1 clip left out, in no class's folder: alone.wav" in told and "notes.txt" in told
    assert "2 clips given twice, and kept once with the labels of both places: " in told
    assert "Bark/2.wav (also Bark/copy.wav)" in told and "Bark/1.wav (also Run/x.wav)" in told


@pytest.mark.parametrize(
    "names, layout, words",
    [
        (["1.wav", "2.wav"], FolderLayout(), "found 2 clips beside each other; move them into folders"),
        (["Bark/notes.txt"], FolderLayout(), "expected a folder with sound files"),
        (["?Bark/1.wav"], FolderLayout(), "the folder '?Bark' cannot be a class"),
        (["fname/1.wav"], FolderLayout(), "the folder 'fname' cannot be a class"),
        (["Bark/1.wav"], FolderLayout(group_folders=True), "no clip belongs to a group, as 'Bark/1.wav'"),
        ([os.fsdecode(b"Bark/\xff.wav")], FolderLayout(), "is no UTF-8"),
    ],
)
def test_folders_that_give_no_table(names, layout, words, place):
    with pytest.raises(DataError, match=words.replace("?", r"\?")) as raised:
        table_of_folders(place(*names), layout)
    assert len(str(raised.value).splitlines()) == 1


def test_links_out_of_the_folder_are_refused(place, tmp_path_factory, tmp_path):
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (elsewhere / "1.wav").touch()
    place("Meow/1.wav")
    (tmp_path / "Bark").symlink_to(elsewhere)
    with pytest.raises(DataError, match="leads out of its folder"):
        table_of_folders(str(tmp_path), FolderLayout())


@pytest.mark.parametrize("test_size, n_test", [(0.25, 12), (0.5, 24), (0.1, 5)])
def test_each_class_is_divided(test_size, n_test):
    labels = ["Bark", "Meow", "Run"] * 16
    table = pd.DataFrame({"fname": [f"{row}.wav" for row in range(48)], "labels": labels})
    train, test = split(table, test_size, 0)
    assert sorted([*train["fname"], *test["fname"]]) == sorted(table["fname"])
    assert abs(len(test) - n_test) <= 1
    assert np.ptp(test["labels"].value_counts()) <= 1
    again = split(table, test_size, 0)[1]
    assert again.equals(test) and not split(table, test_size, 1)[1].equals(test)


def test_groups_stay_whole():
    table = pd.DataFrame({"fname": [f"{row}.wav" for row in range(40)], "labels": ["Bark", "Meow"] * 20})
    table["group"] = [f"g{row // 4}" for row in range(40)]
    train, test = split(table, 0.2, 0)
    assert not set(train["group"]) & set(test["group"])
    assert len(test) == 8 and classes_without(test, ["Bark", "Meow", "Run"]) == ["Run"]


def test_too_few_to_divide():
    table = pd.DataFrame({"fname": ["1.wav", "2.wav"], "labels": ["Bark", "Bark"], "group": ["a", "a"]})
    with pytest.raises(DataError, match="a test part of 0.2 of 1 groups of clips leaves one of the two"):
        split(table, 0.2, 0)
    train, test = split(table.drop(columns="group"), 0.5, 0)
    assert len(train) == len(test) == 1
    assert all(split_labels(cell) == ["Bark"] for cell in train["labels"])
