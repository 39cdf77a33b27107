"""Any text as a file: what is right is worked out here a second time, from the text that was written."""

import csv
import io

from hypothesis import settings
from hypothesis import strategies as st

from ops.errors import DataError

FUZZ = settings(max_examples=1000, deadline=None)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)  # what UTF-8 can hold
CSV_TEXT = st.text('ab,"\n\r\0 \t;01.é\ufeff', max_size=40)


def outcome(read, path, *arguments):
    """The value, or None after a DataError of one line that names the file; no other exception."""
    try:
        return read(path, *arguments)
    except DataError as error:
        message = str(error)
        assert len(message.splitlines()) == 1 and message.startswith(f"{path}: ")
        return None


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
