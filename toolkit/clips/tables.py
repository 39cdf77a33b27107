"""CSV tables of clips: reading and writing, with every row keyed by its `fname`."""

from __future__ import annotations

import csv
import difflib
import itertools
import os
import re
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path

import pandas as pd

from ops.errors import DataError
from toolkit.clips.file_kinds import encoding_of, kind_of_file
from toolkit.clips.problems import MAX_NAMED, ONE_CELL, MalformedRow
from toolkit.system import console, processes
from toolkit.system.files import check_sum, write_atomically, write_with_sum
from toolkit.system.suggestions import nearest_path

# What other data sets call the columns, without blanks, marks and case: taken for them; and only named.
TAKEN_NAMES = {
    "fname": ["filename", "file", "filepath", "path", "slicefilename"],
    "labels": ["label", "class", "classes", "classname", "category", "tags", "tag"],
}
OTHER_NAMES = {"fname": ["name", "audio", "clip", "id"], "labels": ["target"]}


def read_table(path: str | Path, columns: Sequence[str], all_columns: bool = False) -> pd.DataFrame:
    """Reads the given columns of a CSV table, with `all_columns` its further ones too, as text.

    Rows are in the file's order; the first of the columns names the clips. Raises DataError where the
    file is missing or no CSV, a column is missing, a row has more or fewer cells than the first line
    (as unquoted labels give), or an fname is empty or stands twice.
    """
    expected = f"a CSV table with the columns {', '.join(columns)}"
    if all_columns:
        header = _renamed(next(_csv_rows(path, expected), []), path, columns)
        check_columns(header, path, columns, expected)
        columns = [*columns, *(name for name in header if name not in columns)]
    cells = []
    for _, row in scan_table(path, columns):
        if isinstance(row, DataError):
            raise row
        cells.append(row)
    if not cells:
        raise DataError(f"{path}: expected {expected}, found no rows")
    frame = pd.DataFrame(cells, columns=list(columns), dtype=str)
    check_fnames(frame[columns[0]], path)
    return frame


def has_column(path: str | Path, name: str) -> bool:
    """Whether a CSV table's first line names the column, see `scan_table`."""
    return name in _renamed(next(_csv_rows(path, "a CSV table"), []), path, [name])


def column_of(path: str | Path, name: str) -> dict[str, str]:
    """fname -> its cell in a column of names or numbers; nothing where the table lacks the column.

    Blanks at the ends are removed, and the .0 of whole numbers, which pandas writes where others are missing.
    """
    if not has_column(path, name):
        return {}
    rows = (cells for _, cells in scan_table(path, ["fname", name]))
    return {
        cells[0]: re.sub(r"^(-?\d+)\.0$", r"\1", cells[1].strip())
        for cells in rows
        if not isinstance(cells, MalformedRow)
    }


def is_weight(cell: str) -> bool:
    """Whether a cell of the column `weight` is a number from 0 to 1."""
    try:
        return 0 <= float(cell) <= 1
    except ValueError:
        return False


def read_weights(noisy_table: str) -> dict[str, float]:
    """fname -> weight of its loss, where a noisy table has the column `weight`; else nothing."""
    if not has_column(noisy_table, "weight"):
        return {}
    frame = read_table(noisy_table, ["fname", "weight"])
    bad = frame[~frame["weight"].map(is_weight)]
    if len(bad):
        raise DataError(
            f"{noisy_table}: expected weights from 0 to 1, found {bad['weight'].iloc[0]!r} for clip "
            f"{bad['fname'].iloc[0]!r} ({len(bad)} such rows); correct them or remove the column"
        )
    return dict(zip(frame["fname"], frame["weight"].map(float).tolist(), strict=True))


def scan_table(path: str | Path, columns: Sequence[str]) -> Iterator[tuple[int, list[str] | MalformedRow]]:
    """Yields each row's number, from 1, and its cells in the given columns, as text.

    Columns that the first line spells with blanks, marks or in other case are taken, and for fname and
    labels those of TAKEN_NAMES, which a note tells once. In place of the cells a MalformedRow where their
    number differs from the first line's. Raises DataError where the file is missing or no CSV, or a column
    is missing or may be one of several.
    """
    expected = f"a CSV table with the columns {', '.join(columns)}"
    rows = _csv_rows(path, expected)
    first = next(rows, [])
    header = _renamed(first, path, columns)
    if not set(columns) <= set(header):
        _refuse_other_files(path, expected, columns)
    check_columns(header, path, columns, expected)
    positions = [header.index(name) for name in columns]
    for number, row in enumerate(rows, start=1):
        if row == first or (row and [row[0].lstrip("\ufeff"), *row[1:]] == first):
            yield number, MalformedRow(path, f"row {number} repeats the first line", "remove it")
        elif len(row) == len(header):
            yield number, [row[position] for position in positions]
        elif row:  # no blank line
            remedy = "a comment has no place in a table" if row[0].lstrip().startswith("#") else ONE_CELL
            found = (
                f"row {number} has {len(row)} cells, expected {len(header)} as in the first line, found "
                f"{','.join(row)[:80]!r}"
            )
            yield number, MalformedRow(path, found, remedy)


def read_numbers(path: str | Path, expected: str) -> pd.DataFrame:
    """Reads a CSV table whose columns are numbers but for `fname`, which is text."""
    header = next(_csv_rows(path, expected), [])
    if "fname" not in header:
        _refuse_other_files(path, expected, ["fname"])
    check_columns(header, path, ["fname"], expected)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)  # rows longer than the header
            frame = pd.read_csv(
                path,
                names=header,  # pandas would rename columns without a name
                header=0,
                dtype={"fname": str},
                na_filter=False,
                encoding="utf-8-sig",
                index_col=False,
            )
    except (ValueError, OverflowError, OSError, pd.errors.ParserWarning) as error:
        reason = " ".join(str(error).split())
        if isinstance(error, UnicodeDecodeError):
            reason = encoding_of(path, error)
        raise DataError(f"{path}: expected {expected}, found no valid one ({reason})") from error
    if not len(frame):
        raise DataError(f"{path}: expected {expected}, found no rows")
    check_fnames(frame["fname"], path)
    # pandas takes a column of True and False for booleans; for probabilities these are no numbers.
    return frame.astype({name: str for name in frame.select_dtypes(bool)})


def _refuse_other_files(path: str | Path, expected: str, columns: Sequence[str]) -> None:
    """Raises DataError where a file that is no table as expected is known to be something else."""
    found = kind_of_file(path)
    if found:
        raise DataError(f"{path}: expected {expected}, found no column: it is {found}")
    if not columns or not os.path.isfile(path):
        return
    for number, row in enumerate(itertools.islice(_csv_rows(path, expected), 20), start=1):
        if set(columns) <= set(row):
            raise DataError(
                f"{path}: expected {expected}, found no column {', '.join(map(repr, columns))} in its first "
                f"line but in row {number}; remove the lines above"
            )


def _renamed(header: list[str], path: str | Path, columns: Sequence[str]) -> list[str]:
    """A first line with near misses of the columns under the columns' own names; a note tells it once."""
    taken = {}
    for name in columns:
        others = [other for other in header if other not in columns and "\0" not in other]  # no UTF-16
        alike = [other for other in others if _plain(other) == _plain(name)]
        alike = alike or [other for other in others if _plain(other) in TAKEN_NAMES.get(name, ())]
        if name in header or not alike:
            continue
        if len(alike) > 1:
            raise DataError(
                f"{path}: expected a column {name!r}, found {', '.join(map(repr, alike))} in its first line, "
                f"which may all be meant; rename one to {name!r}"
            )
        taken[alike[0]] = name
    for other, name in taken.items() if processes.is_main() else ():
        console.note_once(f"{path}: takes its column {other!r} for {name!r}")
    return [taken.get(name, name) for name in header]


def _nearest_columns(missing: Sequence[str], header: Sequence[str]) -> str:
    """ "'filename' to 'fname'": columns that may be the missing ones under other names, or nothing."""
    found = []
    for name in missing[:MAX_NAMED]:
        plain = {_plain(other): other for other in reversed(header)}
        usual = [_plain(name), *TAKEN_NAMES.get(name, ()), *OTHER_NAMES.get(name, ())]
        near = difflib.get_close_matches(_plain(name), plain, n=1, cutoff=0.7)
        other = next((plain[other] for other in [*usual, *near] if other in plain), None)
        if other is not None:
            found.append(f"{other!r} to {name!r}")
    return ", ".join(found)


def _plain(name: str) -> str:
    """A column's name without blanks, marks and case."""
    return re.sub(r"[\W_]+", "", name).casefold()


def _csv_rows(path: str | Path, expected: str) -> Iterator[list[str]]:
    check_sum(path)
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            yield from csv.reader(file, strict=True)
    except FileNotFoundError:
        raise DataError(
            f"{path}: expected {expected}, but it does not exist{nearest_path(path)}; check the path"
        ) from None
    except OSError as error:
        raise DataError(
            f"{path}: expected {expected}, but it cannot be read ({error.strerror or error})"
        ) from error
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path}: expected {expected}, found no valid one: {encoding_of(path, error)}"
        ) from error
    except (csv.Error, ValueError) as error:
        if isinstance(error, csv.Error):
            _refuse_other_files(path, expected, [])
        raise DataError(f"{path}: expected {expected}, found no valid one ({error})") from error


def check_columns(header: Sequence[str], path: str | Path, columns: Sequence[str], expected: str) -> None:
    """Raises DataError where a column is missing from the first line, or stands in it twice."""
    missing = [name for name in columns if name not in header]
    other = next((mark for mark in ";\t|" if len(header) == 1 and mark in header[0]), None)
    if missing and other:
        raise DataError(
            f"{path}: expected {expected}, found cells separated by {other!r} in its first line; separate "
            "them by commas"
        )
    if missing and len(header) == 1 and "," in header[0]:
        raise DataError(
            f"{path}: expected {expected}, found its whole first line in quotes, as one cell; quote single "
            "cells, not lines"
        )
    if missing:
        near = _nearest_columns(missing, [name for name in header if name not in columns])
        remedy = f"; rename {near}" if near else "; add it, or check that this is the right file"
        raise DataError(
            f"{path}: expected {expected}, found no column {', '.join(map(repr, missing))} in its first "
            f"line{remedy}"
        )
    twice = [name for name in header if list(header).count(name) > 1]
    if twice:
        raise DataError(f"{path}: the column {twice[0]!r} stands twice in its first line; rename one")


def check_fnames(fnames: pd.Series, path: str | Path) -> None:
    """Raises DataError where an fname is empty or stands twice."""
    empty = fnames.index[fnames.str.strip() == ""]
    if len(empty):
        raise DataError(f"{path}: row {empty[0] + 1} has an empty fname; name its clip or remove it")
    duplicated = fnames[fnames.duplicated()]
    if len(duplicated):
        raise DataError(
            f"{path}: expected each fname once, found {duplicated.iloc[0]!r} twice "
            f"({len(duplicated)} rows too many); remove the extra rows"
        )


def write_table(path: str | Path, frame: pd.DataFrame, with_sum: bool = False) -> None:
    """Writes a CSV table whole or not at all; floats with the digits that read back the same.

    with_sum: with its digest beside it, by which all that read it notice a table that was changed since.
    """
    texts = [*frame.columns, *frame.select_dtypes(exclude="number").to_numpy(dtype=object).ravel()]
    # Python < 3.13 leaves these unquoted: read back, a carriage return would end the row and a byte
    # order mark would vanish.
    unsafe = any(mark in str(text) for text in texts for mark in "\r\ufeff")
    quoting = csv.QUOTE_NONNUMERIC if unsafe else csv.QUOTE_MINIMAL
    write_file = write_with_sum if with_sum else write_atomically
    write_file(path, lambda file: frame.to_csv(file, index=False, lineterminator="\n", quoting=quoting))
