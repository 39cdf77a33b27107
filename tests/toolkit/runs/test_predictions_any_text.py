"""Any text gives the right predictions or one line of error."""

import re

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from any_text import CSV_TEXT, FNAMES, FUZZ, LAYOUT, TEXT, csv_text, outcome, parsed, write_csv
from toolkit.runs.predictions import Predictions, read_predictions, write_predictions

PROBABILITY = st.floats(0, 1) | st.sampled_from([0.0, 1.0, 5e-324, 1 / 3])
CLASSES = st.lists(TEXT.filter(lambda name: name not in ("", "fname")), unique=True, min_size=1, max_size=3)


def matrix(data, rows: int, columns: int) -> np.ndarray:
    row = st.lists(PROBABILITY, min_size=columns, max_size=columns)
    return np.array(data.draw(st.lists(row, min_size=rows, max_size=rows)))


@FUZZ
@given(fnames=FNAMES, classes=CLASSES, data=st.data())
def test_predictions_written_are_read_bit_by_bit(fnames, classes, data, any_file):
    values = matrix(data, len(fnames), len(classes))
    write_predictions(any_file, Predictions(fnames, classes, values))
    order = data.draw(st.permutations(range(len(classes))))
    given = data.draw(st.sampled_from([None, [classes[i] for i in order]]))
    read = read_predictions(any_file, given)
    assert read.fnames == fnames and read.classes == (given or classes)
    assert read.probabilities.tobytes() == (values[:, order] if given else values).tobytes()


@FUZZ
@given(fnames=FNAMES, classes=CLASSES, layout=LAYOUT, data=st.data())
def test_valid_predictions_are_read_cell_by_cell(fnames, classes, layout, data, any_file):
    values = matrix(data, len(fnames), len(classes))
    form = data.draw(st.sampled_from(["{!r}", " {!r}", "{:.30f}", "{:.17E}", "+{!r}"]))
    position = data.draw(st.integers(0, len(classes)))
    rows = [list(classes), *([form.format(float(value)) for value in row] for row in values)]
    for row, fname in zip(rows, ["fname", *fnames], strict=True):
        row.insert(position, fname)
    write_csv(any_file, rows, layout)
    read = read_predictions(any_file)
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
def test_any_text_as_predictions(content, cells, any_file):
    table = csv_text([["Bark", "Meow", "fname"], *map(list, cells)], "\n", False).encode()
    for damaged in (content, table, table + content):
        any_file.write_bytes(damaged)
        read = outcome(read_predictions, any_file, ["Bark", "Meow"])
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
