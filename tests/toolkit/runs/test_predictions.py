"""Prediction tables: write -> read bit by bit, joins by fname, the average."""

import numpy as np
import pytest

from ops.errors import DataError
from toolkit.runs.predictions import Predictions, average, read_predictions, write_predictions

CLASSES = ["Bark", "Meow"]


def make(fnames: str, probabilities, classes=CLASSES) -> Predictions:
    return Predictions(list(fnames), list(classes), np.array(probabilities, dtype=np.float64))


@pytest.fixture
def table(tmp_path):
    def write(content: str):
        path = tmp_path / "p.csv"
        path.write_bytes(content.encode())
        return path

    return write


def test_the_bytes_of_a_table(tmp_path):
    write_predictions(tmp_path / "p.csv", make("ba", [[0.5, 0.25], [1, 0.1]]))
    assert (tmp_path / "p.csv").read_bytes() == b"Bark,Meow,fname\n0.5,0.25,b\n1.0,0.1,a\n"


def test_what_is_written_is_read_bit_by_bit(tmp_path):
    rng = np.random.default_rng(0)
    values = rng.random((200, 7)) ** rng.integers(1, 300, (200, 7))
    values[0] = [0, 1, 5e-324, np.nextafter(0, 1), np.nextafter(1, 0), 1e-308, 0.1]
    fnames = [f'clip, "{row}"\n.wav' for row in range(200)]
    classes = ["a", "fname ", "é", '"', "x y", "1", "NA"]
    write_predictions(tmp_path / "p.csv", Predictions(fnames, classes, values))
    read = read_predictions(tmp_path / "p.csv")
    assert read.fnames == fnames and read.classes == classes
    assert read.probabilities.dtype == np.float64
    assert read.probabilities.tobytes() == values.tobytes()


def test_columns_are_ordered_as_the_classes_given(table):
    path = table("fname,Meow,Extra,Bark\na,0.1,9,0.2\nb,0.3,x,0.4\n")
    read = read_predictions(path, CLASSES)
    assert read.classes == CLASSES and read.fnames == ["a", "b"]
    np.testing.assert_array_equal(read.probabilities, [[0.2, 0.1], [0.4, 0.3]])
    np.testing.assert_array_equal(read_predictions(path, ["Meow"]).probabilities, [[0.1], [0.3]])


@pytest.mark.parametrize(
    "content",
    [
        "Bark,fname\r\n0.5,007\r\n1,NA\r\n",
        "\ufeffBark,fname\n0.5,007\n1,NA\n",
        'fname,Bark\n"007","0.5"\n"NA",1',
        "fname,Bark\n\n007, 0.5 \n\nNA,1e0\n",
    ],
)
def test_ways_of_writing_the_same(content, table):
    read = read_predictions(table(content))
    assert (read.fnames, read.classes, read.probabilities.tolist()) == (["007", "NA"], ["Bark"], [[0.5], [1]])


@pytest.mark.parametrize(
    "content, words",
    [
        ("", "found no column 'fname'"),
        ("Bark,Meow\n0.1,0.2\n", "found no column 'fname'"),
        ("fname\na\n", "found no class column"),
        ("Bark,fname\n", "found no rows"),
        (",Bark,fname\n0,0.5,a\n", "found a column without a name"),
        ("Bark,Bark,fname\n0.1,0.2,a\n", "the column 'Bark' stands twice"),
        ("Bark,fname\n0.1,a\n0.2,a\n", "found 'a' twice"),
        ("Bark,fname\n0.1,\n", "empty fname"),
        ("Bark,fname\n0.1\n", "empty fname"),
        ("fname,Bark\na\n", "found '' in column 'Bark' of clip 'a'"),
        ("Bark,fname\n0.1,a\n0.1,b,c\n", "Expected 2 fields in line 3, saw 3"),
        ("Bark,fname\n0.1,a,x\n0.1,b,c\n", "found no valid one"),
        ("Bark,fname\n0.1,a\nhigh,b\n", "found 'high' in column 'Bark' of clip 'b'"),
        ("Bark,fname\n0.1,a\n1.5,b\n", "found '1.5' in column 'Bark' of clip 'b'"),
        ("Bark,fname\n-1e-9,a\n", "found '-1e-09'"),
        ("Bark,fname\nnan,a\n", "found 'nan'"),
        ("Bark,fname\n,a\n", "found ''"),
        ("Bark,fname\ninf,a\n", "found 'inf'"),
        ("Bark,fname\nTrue,a\nFalse,b\n", "found 'True'"),
        ("Bark,fname\n0x1p-1,a\n", "found '0x1p-1'"),
        ("Bark,fname\n" + "9" * 400 + ",a\n", "expected probabilities from 0 to 1"),
        ('Bark,fname\n0.1,"a\n', "found no valid one"),
    ],
)
def test_what_is_no_table_of_predictions(content, words, table):
    path = table(content)
    with pytest.raises(DataError) as raised:
        read_predictions(path)
    message = str(raised.value)
    assert words in message and message.startswith(str(path)) and len(message.splitlines()) == 1


def test_missing_classes_are_named(table):
    with pytest.raises(DataError, match="found no column 'Meow' in its first line"):
        read_predictions(table("Bark,fname\n0.1,a\n"), CLASSES)
    with pytest.raises(DataError) as raised:
        read_predictions(table("Bark,fname\n0.1,a\n"), ["two\nlines"])
    assert len(str(raised.value).splitlines()) == 1


def test_a_class_called_fname_cannot_be_written(tmp_path):
    with pytest.raises(DataError, match="a class is called 'fname'"):
        write_predictions(tmp_path / "p.csv", make("a", [[0.5]], ["fname"]))
    assert list(tmp_path.iterdir()) == []


def test_rows_are_found_by_fname():
    predictions = make("abc", [[0.1, 0.2], [0.3, 0.4], [0.5, 0.6]])
    np.testing.assert_array_equal(predictions.rows_of(["c", "a"], "t.csv"), [[0.5, 0.6], [0.1, 0.2]])
    assert predictions.rows_of([], "t.csv").shape == (0, 2)
    with pytest.raises(DataError, match=r"t\.csv: .* found none of 'x' \(2 missing in all\)"):
        predictions.rows_of(["a", "x", "y"], "t.csv")


def test_average_joins_by_fname():
    first = make("abc", [[0.1, 0.2], [0.3, 0.4], [0.5, 0.6]])
    second = make("cab", [[0.9, 0.0], [0.3, 0.0], [0.1, 0.8]])
    mean = average([first, second])
    assert mean.fnames == ["a", "b", "c"] and mean.classes == CLASSES
    np.testing.assert_allclose(mean.probabilities, [[0.2, 0.1], [0.2, 0.6], [0.7, 0.3]], rtol=1e-15)
    np.testing.assert_array_equal(first.probabilities[0], [0.1, 0.2])  # the input is as it was
    one = average([first])
    np.testing.assert_array_equal(one.probabilities, first.probabilities)


def test_average_refuses_other_classes_and_missing_clips():
    first = make("a", [[0.1, 0.2]])
    with pytest.raises(DataError, match="the same classes"):
        average([first, make("a", [[0.1, 0.2]], ["Meow", "Bark"])])
    with pytest.raises(DataError, match="found none of 'a'"):
        average([first, make("b", [[0.1, 0.2]])])
