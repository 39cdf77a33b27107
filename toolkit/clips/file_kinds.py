"""What a file is that was given as a CSV table and is none."""

from __future__ import annotations

import os
from pathlib import Path

_BEGINNINGS = {  # first bytes -> what they begin
    b"\xff\xfe\0\0": "in UTF-32; save it as UTF-8",
    b"\xff\xfe": "in UTF-16; save it as UTF-8",
    b"\xfe\xff": "in UTF-16; save it as UTF-8",
    b"PK\x03\x04": "an Excel workbook (.xlsx) or another zip archive; save its sheet as CSV in UTF-8",
    b"\xd0\xcf\x11\xe0": "an Excel workbook (.xls) or another Office file; save its sheet as CSV in UTF-8",
    b"\x1f\x8b": "compressed with gzip; unpack it",
    b"BZh": "compressed with bzip2; unpack it",
    b"\xfd7zXZ": "compressed with xz; unpack it",
    b"\x28\xb5\x2f\xfd": "compressed with zstd; unpack it",
    b"7z\xbc\xaf": "a 7z archive; unpack it",
    b"PAR1": "a Parquet table; write it with pandas' to_csv(index=False)",
    b"ARROW1": "a Feather table; write it with pandas' to_csv(index=False)",
    b"\x89HDF": "an HDF5 file; write the table with pandas' to_csv(index=False)",
    b"\x93NUMPY": "a numpy array; give a CSV table",
    b"SQLite format 3": "an SQLite data base; export the table as CSV in UTF-8",
    b"\x80\x04\x95": "a Python pickle; write the table with pandas' to_csv(index=False)",
    b"\x80\x05\x95": "a Python pickle; write the table with pandas' to_csv(index=False)",
    b"%PDF": "a PDF; give a CSV table",
    b"RIFF": "a sound file; give the table of the clips",
    b"fLaC": "a sound file; give the table of the clips",
    b"OggS": "a sound file; give the table of the clips",
    b"ID3": "a sound file; give the table of the clips",
    b"{\\rtf": "a text with formats (RTF); save it as plain CSV in UTF-8",
    b"<": "a web page or XML; give a CSV table",
}


def kind_of_file(path: str | Path) -> str:
    """What the first bytes tell that a file is, and what to do; nothing where it may be a table of text."""
    if not os.path.isfile(path):
        return ""  # a pipe cannot be read twice
    with open(path, "rb") as file:
        start = file.read(200)
    for beginning, kind in _BEGINNINGS.items():
        if start.removeprefix(b"\xef\xbb\xbf").startswith(beginning):
            return kind
    # In UTF-16 every second byte of Latin letters is zero, and no other.
    for zeros, others in ((start[::2], start[1::2]), (start[1::2], start[::2])):
        if zeros.count(b"\0") * 2 > len(zeros) and b"\0" not in others:
            return "in UTF-16; save it as UTF-8"
    if sum(byte < 32 and byte not in b"\t\n\r\f" for byte in start) * 10 > len(start):
        return "binary, no text; give a CSV table"
    if start.lstrip()[:1] in (b"{", b"["):
        return "JSON; give a CSV table"
    return ""


def encoding_of(path: str | Path, error: UnicodeDecodeError) -> str:
    """What a file is that is no UTF-8, in words, and what to do."""
    kind = kind_of_file(path)
    if kind:
        return f"it is {kind}"
    if not os.path.isfile(path):
        return f"it is not in UTF-8 ({error}); save it as UTF-8"
    with open(path, "rb") as file:
        for number, line in enumerate(file, start=1):
            try:
                line.decode()
            except UnicodeDecodeError as wrong:
                bad = line[max(0, wrong.start - 10) : wrong.start + 10].strip()
                shown = bad.decode("cp1252", errors="replace")
                perhaps = f"perhaps in Latin-1 (line {number} would hold {shown!r})"
                return f"it is not in UTF-8, {perhaps}; save it as UTF-8"
    return f"it is not in UTF-8 ({error}); save it as UTF-8"
