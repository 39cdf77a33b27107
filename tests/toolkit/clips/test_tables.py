"""CSV tables of clips: what is read, what is refused and in which words, and write -> read."""

import numpy as np
import pandas as pd
import pytest

from ops.errors import DataError
from toolkit.clips.tables import read_table, read_weights, scan_table, write_table

COLUMNS = ["fname", "labels"]


@pytest.fixture
def table(tmp_path):
    """table(content) -> the path of a file of that content."""

    def make(content: str | bytes):
        path = tmp_path / "table.csv"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return make


PLAIN = [["a.wav", "Bark,Run"], ["b.wav", "Meow"]]


@pytest.mark.parametrize(
    "content, rows",
    [
        ('fname,labels\na.wav,"Bark,Run"\nb.wav,Meow\n', PLAIN),
        ('fname,labels\r\na.wav,"Bark,Run"\r\nb.wav,Meow\r\n', PLAIN),
        ('fname,labels\ra.wav,"Bark,Run"\rb.wav,Meow\r', PLAIN),
        ('fname,labels\na.wav,"Bark,Run"\nb.wav,Meow', PLAIN),  # no newline at the end
        ('\ufefffname,labels\na.wav,"Bark,Run"\nb.wav,Meow\n', PLAIN),  # a byte order mark
        ('fname,labels\n\na.wav,"Bark,Run"\n\n\nb.wav,Meow\n\n', PLAIN),  # blank lines
        ('labels,fname\n"Bark,Run",a.wav\nMeow,b.wav\n', PLAIN),
        ('n,labels,,fname\n1,"Bark,Run",,a.wav\n2,Meow,x,b.wav\n', PLAIN),
        ('"fname","labels"\n"a.wav","Bark,Run"\n"b.wav","Meow"\n', PLAIN),
        ('fname,labels\na.wav,"say ""a""\nb"\n', [["a.wav", 'say "a"\nb']]),
        ("fname,labels\na.wav,\n", [["a.wav", ""]]),
        ("fname,labels\nNA,nan\nnull,None\n1e5,007\n", [["NA", "nan"], ["null", "None"], ["1e5", "007"]]),
        ("fname,labels\n a.wav , Bark\n", [[" a.wav ", " Bark"]]),
        ("fname,labels\nmöwe 🐦.wav,Möwe\n", [["möwe 🐦.wav", "Möwe"]]),
    ],
)
def test_read_table(content, rows, table):
    frame = read_table(table(content), COLUMNS)
    assert list(frame.columns) == COLUMNS and frame.values.tolist() == rows
    assert list(frame.index) == list(range(len(rows)))


@pytest.mark.parametrize(
    "content, words",
    [
        ("", "found no column 'fname', 'labels'"),
        ("\nfname,labels\na,b\n", "found no column 'fname', 'labels'"),
        ("fname;labels\na;b\n", "separated by ';' in its first line; separate them by commas"),
        ("fname\na\n", "found no column 'labels' in its first line"),
        ("fname,labels,fname\na,b,c\n", "the column 'fname' stands twice"),
        ("fname,labels\n", "found no rows"),
        ("fname,labels\n\n\n", "found no rows"),
        ("fname,labels\na,Bark\nb,Bark,Run\n", "row 2 has 3 cells, expected 2 as in the first line"),
        ("fname,labels\na\n", "row 1 has 1 cells, expected 2"),
        ("fname,labels\na,x\nb,y\na,z\n", "expected each fname once, found 'a' twice (1 rows too many)"),
        ("fname,labels\na,x\n,y\n", "row 2 has an empty fname"),
        ('fname,labels\n"  ",y\n', "row 1 has an empty fname"),
        ('fname,labels\na,"Bark\n', "found no valid one"),
        ('fname,labels\na,"Bark"Run\n', "found no valid one"),
        ("fname,labels\na," + "x" * 200_000 + "\n", "found no valid one"),
        ("fname,labels\na,T\xfcr\n".encode("latin-1"), "found no valid one: it is not in UTF-8"),
        ("fname,labels\na,T\xfcr\n".encode("latin-1"), "; save it as UTF-8"),
        ("fname\tlabels\na\tBark\n", r"separated by '\t' in its first line"),
        ("labels\nBark\n", "found no column 'fname' in its first line"),
        ("fname,labels\na,b\n".encode("utf-16"), "found no valid one"),
        ("fnmae,labels\na,b\n", "no column 'fname' in its first line; rename 'fnmae' to 'fname'"),
        ("id,target\na,b\n", "rename 'id' to 'fname', 'target' to 'labels'"),
        ("file,path,labels\na,b,c\n", "found 'file', 'path' in its first line, which may all be meant"),
        ("fname,label,tags\na,b,c\n", "rename one to 'labels'"),
        ('"fname,labels"\n"a,b"\n', "its whole first line in quotes, as one cell"),
        ("# by hand\nfname,labels\na,b\n", "in its first line but in row 2; remove the lines above"),
        ("fname,labels\na,b\n# by hand\n", "found '# by hand'; a comment has no place in a table"),
        ("fname,labels\na,b\nfname,labels\nc,d\n", "row 2 repeats the first line; remove it"),
        ("fname,labels\na,b\n\ufefffname,labels\nc,d\n", "row 2 repeats the first line; remove it"),
        (b"PK\x03\x04\x14\x00\x00\x00\x08\x00", "found no column"),
    ],
)
def test_what_is_no_table(content, words, table):
    path = table(content)
    with pytest.raises(DataError) as raised:
        read_table(path, COLUMNS)
    message = str(raised.value)
    assert words in message and message.startswith(str(path))
    assert len(message.splitlines()) == 1


@pytest.mark.parametrize(
    "header, told",
    [
        ("fname,label", "'label' for 'labels'"),
        ("filename,labels", "'filename' for 'fname'"),
        ("file_name,labels", "'file_name' for 'fname'"),
        ("fname , labels", "'fname ' for 'fname', ' labels' for 'labels'"),
        ("Fname,LABELS", "'Fname' for 'fname', 'LABELS' for 'labels'"),
        ("\ufeff\ufefffname,labels", r"'\ufefffname' for 'fname'"),
        ("path,category", "'path' for 'fname', 'category' for 'labels'"),
    ],
)
def test_near_misses_of_columns_are_taken_and_told_once(header, told, table, capsys):
    path = table(f"{header},Weight,n\na,b,0.5,1\n")
    assert read_table(path, COLUMNS).values.tolist() == [["a", "b"]]
    assert read_table(path, COLUMNS, all_columns=True)["labels"].tolist() == ["b"]
    assert read_weights(path) == {"a": 0.5}
    told = [*told.split(", "), "'Weight' for 'weight'"]
    assert capsys.readouterr().out.splitlines() == [f"{path}: takes its column {text}" for text in told]


def test_tables_that_cannot_be_opened(tmp_path):
    with pytest.raises(DataError, match="does not exist; check the path"):
        read_table(tmp_path / "missing.csv", COLUMNS)
    with pytest.raises(DataError, match="Is a directory"):
        read_table(tmp_path, COLUMNS)
    with pytest.raises(DataError, match="null"):
        read_table("a\0b.csv", COLUMNS)


def test_rows_with_other_numbers_of_cells_can_be_collected(table):
    path = table("fname,labels\na,x\nb,y,z\n\nc,v\nd\n")
    rows = list(scan_table(path, ["labels", "fname"]))
    assert [number for number, _ in rows] == [1, 2, 4, 5]
    assert rows[0][1] == ["x", "a"] and rows[2][1] == ["v", "c"]
    assert "row 2 has 3 cells" in str(rows[1][1]) and "row 5 has 1 cells" in str(rows[3][1])
    assert isinstance(rows[1][1], DataError) and isinstance(rows[3][1], DataError)


AWKWARD = [
    '"',
    "a,b",
    "a\nb",
    "a\rb",
    "a\r\nb",
    "\ufeffa",
    "NA",
    "'",
    "a\0b",
    " a ",
    "1.0",
    "\\",
    "a\x85\u2028b",
]


def test_what_is_written_is_read(tmp_path):
    path = tmp_path / "t.csv"
    frame = pd.DataFrame({"fname": AWKWARD, "labels": AWKWARD[::-1]})
    write_table(path, frame)
    assert read_table(path, COLUMNS).values.tolist() == frame.values.tolist()
    for cell in AWKWARD:
        write_table(path, pd.DataFrame({"fname": [cell], "labels": [""]}))
        assert read_table(path, COLUMNS).values.tolist() == [[cell, ""]]
        if cell != "fname":
            write_table(path, pd.DataFrame({cell: ["x"], "fname": ["y"]}))
            assert read_table(path, [cell, "fname"]).values.tolist() == [["x", "y"]]


def test_the_bytes_of_a_plain_table(tmp_path):
    write_table(tmp_path / "t.csv", pd.DataFrame({"fname": ["a.wav", "b.wav"], "labels": ["Bark,Run", ""]}))
    assert (tmp_path / "t.csv").read_bytes() == b'fname,labels\na.wav,"Bark,Run"\nb.wav,\n'


def test_floats_are_written_with_the_digits_that_read_back(tmp_path):
    values = [0.1, 1 / 3, 5e-324, np.nextafter(1, 0), 0.0, 1.0, 1e-17]
    write_table(tmp_path / "t.csv", pd.DataFrame({"x": values}))
    assert [float(line) for line in (tmp_path / "t.csv").read_text().split()[1:]] == values


@pytest.mark.parametrize("cell", ["", "x", "-0.1", "1.1", "nan"])
def test_weights_that_are_none_are_named(tmp_path, cell):
    (tmp_path / "t.csv").write_text(f"fname,labels,weight\na,A,1\nb,A,{cell}\n")
    with pytest.raises(DataError, match="expected weights from 0 to 1, found .* for clip 'b'"):
        read_weights(str(tmp_path / "t.csv"))
