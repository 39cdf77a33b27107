"""check_data.py on labels and names of files that are not what they seem."""

import csv
import json

import pytest

import check_data
from checkable_data import Data
from toolkit.clips.problems import ALIKE, DOUBTFUL_LABELS, RARE, SEVERAL, TOGETHER


@pytest.fixture
def data(tmp_path):
    return Data(tmp_path)


def test_labels_that_look_like_mistakes_are_warnings_of_kinds_of_their_own(data, capsys):
    classes = ["Bark", "Bakr", "bark", "Ba\u200brk", "nan", "Bark;Run", "Speech", "kid"]
    for row, label in enumerate(classes[1:6]):
        data.add("curated", f"x{row}.wav", label, seed=300 + row)
    for row in range(4):
        data.add("noisy", f"y{row}.wav", "Speech, kid", seed=310 + row)
    names = [*classes, "Meow", "Run"]
    (data.folder / "classmap.json").write_text(json.dumps({name: row for row, name in enumerate(names)}))
    code, problems = data.check("--n_folds=2")
    kinds = [kind for kind, *_ in problems]
    assert code == 0 and set(DOUBTFUL_LABELS) <= set(kinds)
    assert all(fname == "" for kind, _, fname in problems if kind in DOUBTFUL_LABELS)
    out = capsys.readouterr().out
    curated, noisy = data.table("curated"), data.table("noisy")
    assert f"warning: 1 x {RARE}: {curated}: 'Bakr' of 'x0.wav' (nearest: 'Bark', 7 clips)" in out
    assert f"warning: 2 x {ALIKE}: {curated}: 'bark' and 'Bark' (they differ in case)" in out
    assert f"warning: 1 x {SEVERAL}: {curated}: 'Bark;Run'; put several labels in one quoted cell" in out
    whole = '"Speech,, kid"'
    assert (
        f"{TOGETHER}: {noisy}: 'Speech' and 'kid' (in the same 4 clips; if they are one class, write " in out
    )
    assert whole in out


def test_labels_that_are_errors_are_no_warnings_too(data):
    data.add("curated", "x.wav", "bark", seed=300)
    data.add("curated", "y.wav", "['Bark', 'Run']", seed=301)
    code, problems = data.check()
    assert code == 1
    assert problems == [("unknown label", "curated", "x.wav"), ("unknown label", "curated", "y.wav")]
    assert "which differs in case" in data.detail["x.wav"]
    assert data.detail["y.wav"] == (
        "\"['Bark', 'Run']\" (a list in one cell; write \"Bark,Run\") not in the class map"
    )


def test_missing_clips_name_the_file_that_may_be_meant(data, capsys):
    for role, fname in (
        ("curated", "c9"),
        ("test", "test/t9.wav"),
        ("noisy", "n9.wav "),
        ("noisy", "gone.wav"),
    ):
        data.add(role, fname, "" if role == "test" else "Bark")
    for role, fname, seed in (("curated", "c9.wav", 300), ("test", "t9.wav", 301), ("noisy", "n9.wav", 302)):
        data.add(role, fname, "Bark", seed)
        data.rows[role].pop()
    code, problems = data.check()
    assert code == 1 and [kind for kind, *_ in problems].count("missing") == 4
    line = next(line for line in capsys.readouterr().out.splitlines() if " x missing" in line)
    assert f"{data.table('curated')}: c9 (exists with extension: 'c9.wav')" in line
    assert "n9.wav  (exists without blanks at its ends: 'n9.wav'), gone.wav;" in line
    assert "test/t9.wav (exists without 'test/': 't9.wav')" in line
    assert data.detail["c9"].endswith("it does not exist (exists with extension: 'c9.wav')")


def test_a_comment_and_a_second_header_are_malformed_rows(data, capsys):
    flags = data.flags()
    with open(data.table("curated"), "a", newline="") as file:
        csv.writer(file).writerows([["# more"], ["fname", "labels"]])
    assert check_data.main(flags) == 1
    out = capsys.readouterr().out
    assert "2 x malformed row" in out and "row 10 repeats the first line" in out and "'# more'" in out
