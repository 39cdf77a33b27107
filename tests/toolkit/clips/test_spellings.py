"""What a label that is no class may mean."""

import unicodedata

import pytest

from ops.errors import DataError
from toolkit.clips.labels import class_index, encode_labels
from toolkit.clips.spellings import KnownLabels, names_of_list, spelling_key

CLASSES = ["Bark", "Run", "Meow", "Child speech, kid speaking", "Tür", "3", "Finger snapping", "Hi-hat"]
TWO = 'write "Bark,Run"'


@pytest.mark.parametrize(
    "cell, told",
    [
        ("['Bark', 'Run']", f"a list in one cell; {TWO}"),
        ('["Bark","Run"]', TWO),
        ("['Bark' 'Run']", TWO),  # numpy's
        ("['Bark'\n 'Run']", TWO),
        ("('Bark', 'Run')", TWO),
        ("('Bark',)", 'write "Bark"'),
        ("{'Bark', 'Run'}", TWO),
        ("{Bark,Run}", TWO),
        ("{Bark}", 'write "Bark"'),
        ("[Bark]", 'write "Bark"'),
        ("[]", "leave the cell empty"),
        ("['Child speech, kid speaking', 'Bark']", 'write "Child speech,, kid speaking,Bark"'),
        ("Bark;Run", f"labels separated by ';'; {TWO}"),
        ("Bark; Run;", TWO),
        ("Bark|Run", TWO),
        ("Bark / Run", TWO),
        ("Bark\tRun", f"separated by a tab; {TWO}"),
        ("Bark\nRun", f"separated by a line break; {TWO}"),
        ("Bark\r\nRun", TWO),
        ("Bark、Run", TWO),
        ("Bark & Run", TWO),
        ("Bark Run", TWO),
        ("Bark and Run", TWO),
        ("Bark;Child speech, kid speaking", 'write "Bark,Child speech,, kid speaking"'),
        ("Bark,,Run", f"a doubled comma is a comma of a name; {TWO}"),
        ("Bark,,", 'write "Bark"'),
        ("bark", "(nearest: 'Bark', which differs in case)"),
        ("Bark.", "'Bark', which differs in dots at the end"),
        ("Ba\u200brk", "'Bark', which differs in invisible characters"),
        ("\ufeffBark", "'Bark', which differs in invisible characters"),
        ("Finger_snapping", "'Finger snapping', which differs in blanks, underscores or dashes"),
        ("Finger\xa0snapping", "differs in blanks, underscores or dashes"),
        ("Finger  Snapping", "differs in blanks, underscores or dashes and case"),
        ("Hi hat", "(nearest: 'Hi-hat', which differs in blanks"),
        (unicodedata.normalize("NFD", "Tür"), "which differs in Unicode form"),
        ("3.0", "write 3)"),
        ("'Bark'", "write Bark)"),
        ("nan", "leave the cell empty"),
        ("Bakr", "'Bakr' (nearest: 'Bark')"),
    ],
)
def test_unknown_labels_say_what_they_may_mean(cell, told):
    with pytest.raises(DataError) as raised:
        encode_labels(["Meow", cell], class_index(CLASSES), "t.csv", ["a", "b"])
    message = str(raised.value)
    assert told in message and "of clip 'b' not in the class map of 8 classes" in message
    assert len(message.splitlines()) == 1


@pytest.mark.parametrize(
    "cell",
    ["Child speech, kid speaking", "Child speech,kid speaking", "Bark,Child speech , kid speaking,Run",
     "child Speech, kid_speaking"],
)  # fmt: skip
def test_a_class_whose_comma_was_not_doubled_is_shown_with_both(cell):
    (text,) = KnownLabels(CLASSES).unknown(cell)
    assert text.endswith(
        "(the class 'Child speech, kid speaking' has a comma, write it doubled: "
        '"Child speech,, kid speaking")'
    )
    with pytest.raises(DataError, match=r"write it doubled: .* of clip 'a' not in the class map"):
        encode_labels([cell], class_index(CLASSES), "t.csv", ["a"])


def test_every_unknown_label_of_a_cell_is_told_once():
    known = KnownLabels(CLASSES)
    assert known.unknown("Bark,Zzz,Child speech, kid speaking,Qqq,Zzz")[::2] == ["'Zzz'", "'Qqq'"]
    assert known.unknown("Bark,Child speech,, kid speaking") == [] == known.unknown("")


def test_numbers_are_labels():
    assert encode_labels(["3", "Bark,3"], class_index(CLASSES), "t.csv", "ab")[:, 5].tolist() == [1, 1]


@pytest.mark.parametrize("cell", ["", "Bark", "Bark,Run", "(Bark)", "Bark [loud]", "[Bark", "[", "Bark]"])
def test_what_is_no_list(cell):
    assert names_of_list(cell) is None


def test_names_that_are_meant_to_differ():
    pairs = [("Class 1", "Class 2"), ("-1", "1"), ("Bark", "Bark 2"), ("C", "C#"), ("?", "!"), (".", "_")]
    for name, other in pairs:
        assert spelling_key(name) != spelling_key(other)
