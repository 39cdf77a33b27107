"""Any text gives the right class map or one line of error."""

import json

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

from any_text import FUZZ, TEXT, outcome
from toolkit.clips.cells import unknown_labels
from toolkit.clips.doubtful_labels import doubtful_labels
from toolkit.clips.labels import (
    decode_labels,
    encode_labels,
    join_labels,
    load_class_map,
    make_class_map,
    split_labels,
)
from toolkit.clips.problems import DOUBTFUL_LABELS
from toolkit.clips.spellings import KnownLabels

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 10) | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=8), inner, max_size=5),
    max_leaves=6,
)
NAMES = st.lists(TEXT | st.sampled_from(["Bark", "fname", "a,b", " a", "\ud800"]), unique=True, max_size=6)


def is_class_map(value: object) -> bool:
    if not isinstance(value, dict) or not value:
        return False
    for name in value:
        half_a_pair = any("\ud800" <= character <= "\udfff" for character in name)
        if name in ("", "fname") or name[0] == "?" or name != name.strip() or half_a_pair:
            return False
    indices = list(value.values())
    return all(type(index) is int for index in indices) and sorted(indices) == list(range(len(indices)))


def check_class_map(path, value: object) -> None:
    result = outcome(load_class_map, path)
    assert (result is not None) == is_class_map(value)
    if result is not None:
        assert list(result.items()) == sorted(value.items(), key=lambda item: item[1])


@FUZZ
@given(value=JSON)
@example(value={"Bark": 1, "Run": 0})
def test_class_maps_of_any_json(value, any_file):
    any_file.write_text(json.dumps(value), encoding="utf-8")
    check_class_map(any_file, value)


@FUZZ
@given(names=NAMES, data=st.data())
def test_class_maps_of_any_names(names, data, any_file):
    indices = data.draw(st.permutations(range(len(names))))
    if data.draw(st.booleans()) and names:
        indices[0] = data.draw(st.integers(-1, 6) | st.just(0.0) | st.booleans())
    value = dict(zip(names, indices, strict=True))
    any_file.write_text(json.dumps(value, ensure_ascii=True), encoding="utf-8")
    check_class_map(any_file, value)


@FUZZ
@given(
    content=st.binary(max_size=60),
    start=st.integers(0, 40),
    stop=st.integers(0, 40),
)
def test_class_maps_of_any_bytes(content, start, stop, any_file):
    whole = b'{"Bark": 0, "Meow": 1, "T\xc3\xbcr": 2}'
    for damaged in (content, whole[:start] + content[:4] + whole[stop:]):
        any_file.write_bytes(damaged)
        result = outcome(load_class_map, any_file)
        if result is not None:
            check_class_map(any_file, json.loads(damaged.decode("utf-8")))


CLASSES = (TEXT | st.text(", ab\t\n\u200b", max_size=8)).map(str.strip).filter(bool)


@FUZZ
@given(names=st.lists(CLASSES, max_size=6))
@example(names=[",", ",", ",,", "a,", ",b"])
def test_labels_of_any_names_are_joined_and_split_again(names):
    cell = join_labels(names)
    of_marks = [name for name in names if name[0] == "?" and name != "?"]
    assert split_labels(cell) == [name for name in names if name not in of_marks]
    assert unknown_labels(cell) == [name[1:].strip() for name in of_marks]


@FUZZ
@given(
    names=st.lists(CLASSES.filter(lambda name: name[0] != "?"), unique=True, min_size=1, max_size=5),
    data=st.data(),
)
def test_arrays_of_any_classes_are_written_as_cells_and_read_again(names, data):
    row = st.lists(st.sampled_from([0.0, 1.0, np.nan]), min_size=len(names), max_size=len(names))
    rows = np.array(data.draw(st.lists(row, min_size=1, max_size=3)))
    cells = decode_labels(rows, names)
    class_map = {name: index for index, name in enumerate(names)}
    np.testing.assert_array_equal(encode_labels(cells, class_map, "t.csv", range(len(cells))), rows)


MESSY = TEXT | st.text("aAb[]{}'\", ;|\n\u200b._-0", max_size=12)


@FUZZ
@given(cells=st.lists(MESSY, max_size=6), names=st.lists(CLASSES, unique=True, max_size=5))
def test_whatever_is_written_is_known_or_explained_and_never_fails(cells, names):
    known = KnownLabels(names)
    for cell in cells:
        assert bool(known.unknown(cell)) == (not {*split_labels(cell), *unknown_labels(cell)} <= set(names))
    for classes in (None, names):
        doubts = doubtful_labels([(str(row), cell) for row, cell in enumerate(cells)], classes)
        assert all(doubt.kind in DOUBTFUL_LABELS and doubt.text.isprintable() for doubt in doubts)


@FUZZ
@given(cells=st.lists(TEXT, max_size=8))
def test_class_maps_made_from_any_labels_are_read_again(cells, any_file):
    class_map = make_class_map(cells)
    any_file.write_text(json.dumps(class_map), encoding="utf-8")
    if class_map and "fname" not in class_map and not any(name[0] == "?" for name in class_map):
        assert list(load_class_map(any_file).items()) == list(class_map.items())
