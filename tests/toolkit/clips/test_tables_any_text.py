"""Any input gives the right value or one line of error: class maps, tables, modes, predictions.

What is right is worked out here a second time, from the text that was written.
"""

import csv
import io
import json
import math
import os
import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ops.errors import DataError
from ops.relabeling import STRATEGIES, parse_mode
from toolkit.clips.labels import load_class_map, make_class_map
from toolkit.clips.tables import read_table, write_table
from toolkit.runs.predictions import Predictions, read_predictions, write_predictions

FUZZ = settings(max_examples=1000, deadline=None)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)  # what UTF-8 can hold
CSV_TEXT = st.text('ab,"\n\r\0 \t;01.é\ufeff', max_size=40)


@pytest.fixture(scope="module", autouse=True)
def no_waiting_for_the_disk():
    """Thousands of small files need not reach the disk one by one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda descriptor: None)
        yield


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return tmp_path_factory.mktemp("fuzz") / "file"


def outcome(read, path, *arguments):
    """The value, or None after a DataError of one line that names the file; no other exception."""
    try:
        return read(path, *arguments)
    except DataError as error:
        message = str(error)
        assert len(message.splitlines()) == 1 and message.startswith(f"{path}: ")
        return None


# Class maps.

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
        if name in ("", "fname") or name != name.strip() or "," in name or half_a_pair:
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
def test_class_maps_of_any_json(value, path):
    path.write_text(json.dumps(value), encoding="utf-8")
    check_class_map(path, value)


@FUZZ
@given(names=NAMES, data=st.data())
def test_class_maps_of_any_names(names, data, path):
    indices = data.draw(st.permutations(range(len(names))))
    if data.draw(st.booleans()) and names:
        indices[0] = data.draw(st.integers(-1, 6) | st.just(0.0) | st.booleans())
    value = dict(zip(names, indices, strict=True))
    path.write_text(json.dumps(value, ensure_ascii=True), encoding="utf-8")
    check_class_map(path, value)


@FUZZ
@given(
    content=st.binary(max_size=60),
    start=st.integers(0, 40),
    stop=st.integers(0, 40),
)
def test_class_maps_of_any_bytes(content, start, stop, path):
    whole = b'{"Bark": 0, "Meow": 1, "T\xc3\xbcr": 2}'
    for damaged in (content, whole[:start] + content[:4] + whole[stop:]):
        path.write_bytes(damaged)
        result = outcome(load_class_map, path)
        if result is not None:
            check_class_map(path, json.loads(damaged.decode("utf-8")))


@FUZZ
@given(cells=st.lists(TEXT, max_size=8))
def test_class_maps_made_from_any_labels_are_read_again(cells, path):
    class_map = make_class_map(cells)
    path.write_text(json.dumps(class_map), encoding="utf-8")
    if class_map and "fname" not in class_map:
        assert list(load_class_map(path).items()) == list(class_map.items())


# Tables.

FNAMES = st.lists(TEXT.filter(str.strip), unique=True, min_size=1, max_size=3)


def csv_text(rows: list[list[str]], newline: str, quote_all: bool) -> str:
    def cell(text: str) -> str:
        quoted = quote_all or any(mark in text for mark in ',"\r\n\ufeff')
        return '"' + text.replace('"', '""') + '"' if quoted else text

    return "".join(",".join(map(cell, row)) + newline for row in rows)


LAYOUT = st.fixed_dictionaries(
    {
        "newline": st.sampled_from(["\n", "\r\n", "\r"]),
        "quote_all": st.booleans(),
        "byte_order_mark": st.booleans(),
        "last_newline": st.booleans(),
    }
)


def write_csv(path, rows, layout) -> None:
    text = csv_text(rows, layout["newline"], layout["quote_all"])
    if not layout["last_newline"]:
        text = text.removesuffix(layout["newline"])
    path.write_bytes((("\ufeff" if layout["byte_order_mark"] else "") + text).encode())


@FUZZ
@given(
    fnames=FNAMES,
    further=st.lists(TEXT.filter(lambda name: name not in ("fname", "labels")), unique=True, max_size=2),
    layout=LAYOUT,
    data=st.data(),
)
def test_valid_tables_are_read_cell_by_cell(fnames, further, layout, data, path):
    header = data.draw(st.permutations(["fname", "labels", *further]))
    frame = {name: data.draw(st.lists(TEXT, min_size=len(fnames), max_size=len(fnames))) for name in header}
    frame["fname"] = fnames
    rows = [header, *map(list, zip(*(frame[name] for name in header), strict=True))]
    write_csv(path, rows, layout)
    read = read_table(path, ["fname", "labels"])
    assert read["fname"].tolist() == fnames and read["labels"].tolist() == frame["labels"]


@FUZZ
@given(content=CSV_TEXT.map(str.encode) | st.binary(max_size=40))
@example(content=b'a,"\n"')
def test_any_text_as_a_table(content, path):
    for damaged in (content, b"fname,labels\n" + content):
        path.write_bytes(damaged)
        read = outcome(read_table, path, ["fname", "labels"])
        rows = parsed(damaged, ["fname", "labels"])
        assert (read is None) == (rows is None)
        if read is not None:
            assert read.values.tolist() == rows


def parsed(content: bytes, columns: list[str]) -> list[list[str]] | None:
    """The rows' cells in the columns where the content is a valid table, else None."""
    try:
        header, *rows = csv.reader(io.StringIO(content.decode("utf-8-sig"), newline=""), strict=True)
    except (ValueError, csv.Error):
        return None
    rows = [row for row in rows if row]
    if any(header.count(name) != 1 for name in columns) or len(set(header)) != len(header) or not rows:
        return None
    if any(len(row) != len(header) for row in rows):
        return None
    rows = [[row[header.index(name)] for name in columns] for row in rows]
    fnames = [row[columns.index("fname")] for row in rows]
    return rows if len(set(fnames)) == len(fnames) and all(map(str.strip, fnames)) else None


@FUZZ
@given(fnames=FNAMES, data=st.data())
def test_tables_written_are_read_again(fnames, data, path):
    cells = data.draw(st.lists(TEXT | CSV_TEXT, min_size=len(fnames), max_size=len(fnames)))
    write_table(path, pd.DataFrame({"fname": fnames, "labels": cells}))
    read = read_table(path, ["fname", "labels"])
    assert read["fname"].tolist() == fnames and read["labels"].tolist() == cells


# Predictions.

PROBABILITY = st.floats(0, 1) | st.sampled_from([0.0, 1.0, 5e-324, 1 / 3])
CLASSES = st.lists(TEXT.filter(lambda name: name not in ("", "fname")), unique=True, min_size=1, max_size=3)


def matrix(data, rows: int, columns: int) -> np.ndarray:
    row = st.lists(PROBABILITY, min_size=columns, max_size=columns)
    return np.array(data.draw(st.lists(row, min_size=rows, max_size=rows)))


@FUZZ
@given(fnames=FNAMES, classes=CLASSES, data=st.data())
def test_predictions_written_are_read_bit_by_bit(fnames, classes, data, path):
    values = matrix(data, len(fnames), len(classes))
    write_predictions(path, Predictions(fnames, classes, values))
    order = data.draw(st.permutations(range(len(classes))))
    given = data.draw(st.sampled_from([None, [classes[i] for i in order]]))
    read = read_predictions(path, given)
    assert read.fnames == fnames and read.classes == (given or classes)
    assert read.probabilities.tobytes() == (values[:, order] if given else values).tobytes()


@FUZZ
@given(fnames=FNAMES, classes=CLASSES, layout=LAYOUT, data=st.data())
def test_valid_predictions_are_read_cell_by_cell(fnames, classes, layout, data, path):
    values = matrix(data, len(fnames), len(classes))
    form = data.draw(st.sampled_from(["{!r}", " {!r}", "{:.30f}", "{:.17E}", "+{!r}"]))
    position = data.draw(st.integers(0, len(classes)))
    rows = [list(classes), *([form.format(float(value)) for value in row] for row in values)]
    for row, fname in zip(rows, ["fname", *fnames], strict=True):
        row.insert(position, fname)
    write_csv(path, rows, layout)
    read = read_predictions(path)
    expected = [[float(form.format(float(value))) for value in row] for row in values]
    assert read.fnames == fnames and read.classes == classes
    assert read.probabilities.tolist() == expected


NUMBER = re.compile(r"\+?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?")
CELL = st.sampled_from(["0.5", "1", "0", "1e-3", "nan", "True", "", " 0.5", "1.5", "-0.1", "9" * 400, "1_0"])


@FUZZ
@given(
    content=CSV_TEXT.map(str.encode) | st.binary(max_size=40),
    cells=st.lists(st.tuples(CELL, CELL | TEXT, CELL | TEXT), max_size=4),
)
def test_any_text_as_predictions(content, cells, path):
    table = csv_text([["Bark", "Meow", "fname"], *map(list, cells)], "\n", False).encode()
    for damaged in (content, table, table + content):
        path.write_bytes(damaged)
        read = outcome(read_predictions, path, ["Bark", "Meow"])
        rows = parsed(damaged, ["Bark", "Meow", "fname"])
        valid = rows is not None and all(
            NUMBER.fullmatch(cell) and 0 <= float(cell) <= 1 for row in rows for cell in row[:2]
        )
        if valid:
            assert read is not None
            assert read.fnames == [row[2] for row in rows]
            assert read.probabilities.tolist() == [[float(cell) for cell in row[:2]] for row in rows]
        elif read is not None:  # leniencies: outer spaces, empty cells behind the last column
            assert ((read.probabilities >= 0) & (read.probabilities <= 1)).all()
            assert len(set(read.fnames)) == len(read.fnames) and all(map(str.strip, read.fnames))


# Modes.


def expected_mode(mode: str):
    name, _, parameter = mode.partition("_")
    digits = parameter.replace(".", "", 1)
    if name not in STRATEGIES or not (digits.isascii() and digits.isdigit()):
        return None
    value = float(parameter)
    strategy = STRATEGIES[name]
    if not 0 < value < math.inf or value > strategy.high or (strategy.whole and not value.is_integer()):
        return None
    return strategy, value


@FUZZ
@given(
    mode=st.text()
    | st.from_regex(r"[a-z-]+_[0-9]*\.?[0-9]*")
    | st.builds(
        "{}_{}".format,
        st.sampled_from(sorted(STRATEGIES)),
        st.text("0123456789.eE+-_ \n٣", max_size=8) | st.integers().map(str) | st.floats().map(str),
    )
)
@example(mode="scoring_1000")
@example(mode="scoring_1" + "0" * 400)
def test_any_text_as_a_mode(mode):
    expected = expected_mode(mode)
    try:
        assert parse_mode(mode) == expected
    except ValueError as error:
        assert expected is None and len(str(error).splitlines()) == 1
