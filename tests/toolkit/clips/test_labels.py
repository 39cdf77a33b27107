"""Class maps and label cells."""

import numpy as np
import pytest

from ops.errors import DataError
from toolkit.clips.labels import (
    class_index,
    decode_labels,
    encode_labels,
    join_labels,
    load_class_map,
    make_class_map,
    split_labels,
)
from toolkit.system.files import write_json

CLASS_MAP = {"Bark": 0, "Meow": 1, "Run": 2}


@pytest.mark.parametrize(
    "cell, names",
    [
        ("Bark,Run", ["Bark", "Run"]),
        ("Bark", ["Bark"]),
        ("", []),
        ("   ", []),
        (",", []),
        (" Bark , Run ,", ["Bark", "Run"]),
        ("Run,Bark,Run", ["Run", "Bark", "Run"]),
        ("Male speech and man speaking", ["Male speech and man speaking"]),
        ("Äther,猫", ["Äther", "猫"]),
        ("Child speech,, kid speaking,Bark", ["Child speech, kid speaking", "Bark"]),
        ("Bark,Child speech,, kid speaking", ["Bark", "Child speech, kid speaking"]),
        ("a,,b", ["a,b"]),
        ("a,,,b", ["a,", "b"]),  # of a run of commas, pairs from the left are commas
        ("a,,,,b", ["a,,b"]),
        ("a,,,,,b", ["a,,", "b"]),
        (",,a", [",a"]),
        (",,,a", [",", "a"]),
        ("a,,", ["a,"]),
        ("a,,,", ["a,"]),
        ("a, ,,b", ["a", ",b"]),
        ("a , , b", ["a", "b"]),
        (" ,, ", [","]),
    ],
)
def test_split_labels(cell, names):
    assert split_labels(cell) == names


def test_joined_labels_split_again():
    names = ["Bark", "Chewing and mastication", "Run"]
    assert join_labels(names) == "Bark,Chewing and mastication,Run"
    assert split_labels(join_labels(names)) == names
    assert split_labels(join_labels([])) == []
    assert join_labels(["Child speech, kid speaking", "Bark"]) == "Child speech,, kid speaking,Bark"
    assert join_labels(["a,", ",b"]) == "a,,, ,,b"


def test_class_maps_are_sorted_whatever_the_order():
    cells = ["Run,Bark", "", "Meow", "Bark, Run", "bark"]
    expected = {"Bark": 0, "Meow": 1, "Run": 2, "bark": 3}
    assert make_class_map(cells) == expected and list(make_class_map(cells)) == list(expected)
    assert make_class_map(reversed(cells)) == expected
    assert make_class_map([]) == {}


def test_a_class_map_is_read_in_the_order_of_its_indices(tmp_path):
    path = tmp_path / "map.json"
    path.write_text('{"Run": 2, "Bark": 0, "Meow, purr": 1}')
    assert list(load_class_map(path).items()) == [("Bark", 0), ("Meow, purr", 1), ("Run", 2)]


def test_a_class_map_written_is_read_the_same(tmp_path):
    class_map = make_class_map(["Tür, 'quoted' name,\"x\"", "a\\b\tc"])
    write_json(tmp_path / "map.json", class_map)
    assert list(load_class_map(tmp_path / "map.json").items()) == list(class_map.items())


@pytest.mark.parametrize(
    "text, words",
    [
        ("", "no valid JSON"),
        ("{", "no valid JSON"),
        ('["Bark"]', "found ['Bark']"),
        ("{}", "found {}"),
        ("null", "found None"),
        ('{"Bark": 0, "Run": 2}', "expected the indices 0..1, each once, found [0, 2]"),
        ('{"Bark": 1}', "expected the indices 0..0"),
        ('{"Bark": -1, "Run": 0}', "found [-1, 0]"),
        ('{"Bark": 0, "Run": 0}', "found [0, 0]"),
        ('{"Bark": 0, "Bark": 1}', "key 'Bark' twice"),
        ('{"Bark": "0"}', "found 'Bark': '0'"),
        ('{"Bark": 0.0}', "found 'Bark': 0.0"),
        ('{"Bark": true, "Run": 0}', "found 'Bark': True"),
        ('{"Bark": null}', "found 'Bark': None"),
        ('{"?": 0}', "in tables '?' before a label says that nobody knows"),
        ('{"Bark": NaN}', "no valid JSON (NaN"),
        ('{"Bark": {"deep": [1]}}', "found 'Bark': {'deep': [1]}"),
        ('{" Bark": 0}', "outer spaces"),
        ('{"": 0}', "found ''"),
        ('{"fname": 0}', "'fname' cannot be a class, predictions have a column"),
        ('{"\\ud800": 0}', r"'\ud800' cannot be a class, it is no text"),
        ('{"a\\nb ": 0}', r"found 'a\nb '"),
        ("[" * 100_000, "no valid JSON"),
        ('{"Bark": 1' + "0" * 5000 + "}", "no valid JSON"),
        ("[" + "1," * 999 + "1]", "found [1, 1"),
    ],
)
def test_what_is_no_class_map(text, words, tmp_path):
    path = tmp_path / "map.json"
    path.write_text(text)
    with pytest.raises(DataError) as raised:
        load_class_map(path)
    message = str(raised.value)
    assert words in message and str(path) in message
    assert len(message.splitlines()) == 1 and len(message) < 400 + len(str(path))


def test_a_class_map_that_cannot_be_read(tmp_path):
    (tmp_path / "latin.json").write_bytes('{"Tür": 0}'.encode("latin-1"))
    for path in (tmp_path / "missing.json", tmp_path, tmp_path / "latin.json"):
        with pytest.raises(DataError, match=r"make it with create_class_map\.py"):
            load_class_map(path)


def test_encode_labels():
    cells = ["Run,Bark", "Meow", "", "Bark,Bark", " Run "]
    encoded = encode_labels(cells, CLASS_MAP, "t.csv", list("abcde"))
    assert encoded.dtype == np.float32
    np.testing.assert_array_equal(encoded, [[1, 0, 1], [0, 1, 0], [0, 0, 0], [1, 0, 0], [0, 0, 1]])
    assert encode_labels([], CLASS_MAP, "t.csv", []).shape == (0, 3)


def test_encoding_follows_rows():
    cells, order = np.array(["Run,Bark", "Meow", "", "Bark"]), [2, 0, 3, 1]
    encoded = encode_labels(cells, CLASS_MAP, "t.csv", list("abcd"))
    permuted = encode_labels(cells[order], CLASS_MAP, "t.csv", list("cadb"))
    np.testing.assert_array_equal(permuted, encoded[order])


def test_unknown_labels_are_named_with_clip_and_nearest_class():
    with pytest.raises(DataError) as raised:
        encode_labels(["Bark", "Bakr,Bark", "Rnu,Qux", "Bakr"], CLASS_MAP, "t.csv", list("abcd"))
    message = str(raised.value)
    assert message.startswith("t.csv: label 'Bakr' (nearest: 'Bark') of clip 'b' and 2 more labels ")
    with pytest.raises(DataError) as raised:
        encode_labels(["XXXX"], CLASS_MAP, "t.csv", ["a"])
    assert "label 'XXXX' of clip 'a' not in the class map of 3 classes" in str(raised.value)
    with pytest.raises(DataError):  # names are case-sensitive
        encode_labels(["bark"], CLASS_MAP, "t.csv", ["a"])


def test_cells_and_fnames_go_together():
    with pytest.raises(ValueError, match="zip"):
        encode_labels(["Bark", "Run"], CLASS_MAP, "t.csv", ["a"])


def test_labels_that_nobody_knows_are_nan():
    cells = ["Bark,?Run", "?Meow", "", "? Run , Meow", "?Bark,?Meow,?Run"]
    assert make_class_map(cells) == CLASS_MAP
    rows = encode_labels(cells, CLASS_MAP, "t.csv", "abcde")
    nan = np.nan
    expected = [[1, 0, nan], [0, nan, 0], [0, 0, 0], [0, 1, nan], [nan, nan, nan]]
    np.testing.assert_array_equal(rows, np.array(expected, dtype=np.float32))
    assert decode_labels(rows, list(CLASS_MAP)) == ["Bark,?Run", "?Meow", "", "Meow,?Run", "?Bark,?Meow,?Run"]


@pytest.mark.parametrize(
    ("cell", "words"),
    [
        ("Bark,?Bark", "either with '?' or without, found 'Bark' in both ways in 'Bark,?Bark'"),
        ("?Bakr", "label 'Bakr' (nearest: 'Bark') of clip 'x'"),
        ("?Bakr,Mow", "and 1 more labels not in the class map"),
        ("?", "label '?'"),
        ("??Bark", "label '?Bark'"),
    ],
)
def test_question_marks_that_say_nothing(cell, words):
    with pytest.raises(DataError) as raised:
        encode_labels([cell], CLASS_MAP, "t.csv", ["x"])
    assert words in str(raised.value) and "t.csv" in str(raised.value)


def test_decode_labels():
    rows = np.array([[1, 0, 1], [0, 0, 0], [0, 1, 0]], dtype=bool)
    assert decode_labels(rows, list(CLASS_MAP)) == ["Bark,Run", "", "Meow"]
    assert decode_labels(rows[:0], list(CLASS_MAP)) == []


def test_decoded_labels_encode_the_same():
    rows = np.random.default_rng(0).random((50, 3)) > 0.5
    cells = decode_labels(rows, list(CLASS_MAP))
    np.testing.assert_array_equal(encode_labels(cells, CLASS_MAP, "t.csv", map(str, range(50))), rows)


def test_the_class_map_of_names():
    assert class_index(["Run", "Bark"]) == {"Run": 0, "Bark": 1}
