"""Files that are no tables of text are told as what they are."""

import gzip
import io
import pickle
import zipfile

import pandas as pd
import pytest

from ops.errors import DataError
from sounds import STEPS, encoded
from toolkit.clips.tables import read_numbers, read_table

TEXT = "fname,labels\na.wav,Tür\n"


def workbook() -> bytes:
    """The skeleton of an .xlsx file."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("[Content_Types].xml", "<Types/>" * 200)
        archive.writestr("xl/worksheets/sheet1.xml", "<worksheet/>" * 200)
    return file.getvalue()


@pytest.mark.parametrize(
    "content, told",
    [
        (
            workbook(),
            "it is an Excel workbook (.xlsx) or another zip archive; save its sheet as CSV in UTF-8",
        ),
        (bytes.fromhex("d0cf11e0a1b11ae1") + bytes(500), "it is an Excel workbook (.xls)"),
        (gzip.compress(TEXT.encode(), mtime=0), "it is compressed with gzip; unpack it"),
        (pickle.dumps(pd.DataFrame({"fname": ["a"]})), "it is a Python pickle"),
        (b"PAR1\x15\x04\x15\x10" + bytes(range(256)), "it is a Parquet table"),
        (b'[{"fname": "a.wav"}]', "it is JSON; give a CSV table"),
        (b'{"fname": "a.wav"}', "it is JSON; give a CSV table"),
        (b"<!DOCTYPE html><html>", "it is a web page or XML"),
        (bytes([1, 2, 3, 4, 250, 0]) * 50, "it is binary, no text"),
        (TEXT.encode("utf-16"), "it is in UTF-16; save it as UTF-8"),
        (TEXT.encode("utf-16-le"), "it is in UTF-16; save it as UTF-8"),
        (TEXT.encode("utf-16-be"), "it is in UTF-16; save it as UTF-8"),
        ("fname,labels\na,b\n".encode("utf-16-le"), "it is in UTF-16; save it as UTF-8"),
        (TEXT.encode("utf-32"), "it is in UTF-32; save it as UTF-8"),
        (
            TEXT.encode("latin-1"),
            "it is not in UTF-8, perhaps in Latin-1 (line 2 would hold 'a.wav,Tür'); save it as UTF-8",
        ),
    ],
)
def test_what_the_file_is(content, told, tmp_path):
    path = tmp_path / "table.csv"
    path.write_bytes(content)
    for read in (lambda: read_table(path, ["fname", "labels"]), lambda: read_numbers(path, "predictions")):
        with pytest.raises(DataError) as raised:
            read()
        message = str(raised.value)
        assert told in message and message.startswith(str(path)) and len(message.splitlines()) == 1


def test_a_sound_in_place_of_its_table(tmp_path):
    path = tmp_path / "table.csv"
    path.write_bytes(encoded(tmp_path / "tmp", STEPS, format="WAV"))
    with pytest.raises(DataError, match="it is a sound file; give the table of the clips"):
        read_table(path, ["fname"])
