"""Servers that break off, or never end: metadata is fetched like data, and nothing goes past its size."""

import io
import os
import zipfile

import pytest

import download_data
from ops.errors import DataError
from releases import ESC50, RECORD, Answered, assert_complete, esc50, one_line
from toolkit.download import http

CURATED_ZIP = f"{RECORD}/files/FSDKaggle2019.audio_train_curated.zip/content"


def endless(handler):
    """Sends bytes without a length until the other side hangs up."""
    handler.send_response(200)
    handler.end_headers()
    try:
        while True:
            handler.wfile.write(b" " * 100_000)
    except OSError:
        raise Answered from None


def test_metadata_whose_connection_breaks_is_asked_for_again(get, server, tmp_path, capsys):
    server.faults[RECORD] = [("drop", 100), ("drop", 0)]
    assert get("fsdkaggle2019") == 0
    assert_complete(tmp_path / "data")
    assert sum(path == RECORD for path, _ in server.requests) == 3
    assert "the connection ended after 100 of" in capsys.readouterr().err


def test_metadata_that_never_comes_whole_ends_in_a_line(get, server):
    server.faults[RECORD] = [("drop", 10)] * 5
    with pytest.raises(DataError, match="cannot be downloaded .*3 tries") as raised:
        get("fsdkaggle2019")
    assert RECORD in one_line(raised)


def test_metadata_without_end_is_refused(get, server, monkeypatch):
    monkeypatch.setattr(http, "MAX_DOCUMENT", 1_000_000)
    server.faults[RECORD] = [endless]
    with pytest.raises(DataError, match="at most 1000000 bytes, the server sends more") as raised:
        get("fsdkaggle2019")
    assert RECORD in one_line(raised) and sum(path == RECORD for path, _ in server.requests) == 1


def test_nothing_is_written_past_the_declared_size(get, server, tmp_path):
    """The record tells the size; the server of the file sends no length and does not end."""
    size = len(server.files[CURATED_ZIP])
    server.faults[CURATED_ZIP] = [endless]
    with pytest.raises(DataError, match=f"expected {size} bytes, the server sends more") as raised:
        get("fsdkaggle2019")
    assert CURATED_ZIP in one_line(raised)
    assert not (tmp_path / "data/archives").exists() and not (tmp_path / "data/train_curated").exists()
    get("fsdkaggle2019")
    assert_complete(tmp_path / "data")


def test_a_refused_archive_says_what_to_remove(server, tmp_path):
    folder, content = tmp_path / "data", io.BytesIO(esc50())
    with zipfile.ZipFile(content, "a") as archive:
        archive.writestr("../outside.wav", b"x")
    server.files[ESC50] = content.getvalue()
    argv = ["esc50", "--output_dir", str(folder), "--base_url", server.url]
    for _ in range(2):
        with pytest.raises(DataError, match="leads out of its folder") as raised:
            download_data.main(argv)
        assert f"remove {folder / 'archives/ESC-50-master.zip'}" in one_line(raised)
    os.remove(folder / "archives/ESC-50-master.zip")
    server.files[ESC50] = esc50()
    assert download_data.main(argv) == 0
