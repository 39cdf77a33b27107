"""Labels that look like mistakes, each told under its kind; and what is none."""

import unicodedata

import pytest

from toolkit.clips.doubtful_labels import doubtful_labels
from toolkit.clips.problems import ALIKE, HIDDEN, NO_LABEL, RARE, SEVERAL, TOGETHER


def doubts(cells, known=None):
    return doubtful_labels([(f"{row}.wav", cell) for row, cell in enumerate(cells)], known)


@pytest.mark.parametrize(
    "kind, cells, told",
    [
        (SEVERAL, ["['Bark', 'Run']"] * 4, 'one quoted cell, "Bark,Run"'),
        (SEVERAL, ['["Bark","Run"]', "Run"], 'one quoted cell, "Bark,Run"'),
        (SEVERAL, ["{Bark}"], '"Bark" (clip'),
        (SEVERAL, ["Bark;Run"], "'Bark;Run'; put several labels"),
        (SEVERAL, ["Bark|Run", "Run"], '"Bark,Run"'),
        (SEVERAL, ["Bark/Run", "Bark", "Run"], '"Bark,Run"'),
        (SEVERAL, ["Bark\nRun", "Bark"], "'Bark\\nRun'"),
        (SEVERAL, ["Bark,,Run", "Bark", "Run"], '"Bark,Run"'),
        (SEVERAL, ['"Bark"', "Run"], "without its quotes"),
        (ALIKE, ["Bark", "bark", "Bark"], "'bark' and 'Bark' (they differ in case)"),
        (ALIKE, ["Finger snapping", "Finger_snapping"], "(they differ in blanks"),
        (ALIKE, ["Finger snapping", "Finger  snapping"], "(they differ in blanks"),
        (ALIKE, ["Bark", "Bark."], "(they differ in dots at the end)"),
        (ALIKE, ["Tür", unicodedata.normalize("NFD", "Tür")], "(they differ in Unicode form)"),
        (ALIKE, ["Bark", "Ba\u200crk"], "(they differ in invisible characters)"),
        (HIDDEN, ["Ba\u200brk", "Run"], r"'Ba\u200brk'"),
        (HIDDEN, ["\ufeffBark", "Run"], r"'\ufeffBark'"),
        (HIDDEN, ["Finger\xa0snapping"], r"'Finger\xa0snapping'"),
        (RARE, ["Bark"] * 3 + ["Bakr"], "'Bakr' of '3.wav' (nearest: 'Bark', 3 clips)"),
        (RARE, ["Finger snapping"] * 9 + ["Finger snaping"], "9 clips"),
        (RARE, ["Finger snapping"] * 9 + ["Fingr snaping"], "9 clips"),
        (TOGETHER, ["Child speech, kid speaking"] * 3, 'write "Child speech,, kid speaking")'),
        (NO_LABEL, ["nan", "Bark"], "leave the cell empty"),
    ],
)
def test_labels_that_look_like_mistakes(kind, cells, told):
    texts = [doubt.text for doubt in doubts(cells) if doubt.kind == kind]
    assert len(texts) == 1 and told in texts[0]


@pytest.mark.parametrize(
    "cells",
    [
        ["Bark,Run", "Bark", "Run"],
        ["Child speech,, kid speaking,Bark", "Child speech,, kid speaking"] * 5,
        ["Class 1"] * 9 + ["Class 2"],
        ["Male singing"] * 9 + ["Female singing"],
        ["Cat"] * 9 + ["Bat"],
        ["Bark,Run"] * 2,  # by chance
        ["Bark,Run"] * 9 + ["Run"],
        ["1", "2", "-1", "10"],
        ["Zupfen/Streichen", "Bark"],  # a name of its own: no label is called as its parts
        ["Tür", "猫", "नमस्ते", "می\u200cخواهم"],
        ["", ""],
    ],
)
def test_labels_that_look_right(cells):
    assert doubts(cells) == []


def test_with_a_class_map_its_names_alone_are_doubted():
    assert doubts(["Bark"] * 3 + ["Bakr", "bark"], ["Bark", "Run"]) == []
    ((kind, _, text),) = doubts(["Bark"], ["Bark", "bark"])
    assert kind == ALIKE and text.startswith("'bark' and 'Bark'")
