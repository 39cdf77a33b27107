"""Downloads over connections that break, and from servers that send something else."""

import os

import pytest

import download_data
from ops.errors import DataError
from releases import ESC50, RECORD, Answered, Server, assert_complete, one_line
from toolkit.download import http

NOISY_1 = f"{RECORD}/files/FSDKaggle2019.audio_train_noisy.z01/content"
CURATED_ZIP = f"{RECORD}/files/FSDKaggle2019.audio_train_curated.zip/content"


# Connections that break.


def test_a_broken_download_goes_on_where_it_stood(get, server, tmp_path, capsys):
    server.faults[NOISY_1] = [("drop", 2500), ("drop", 3000), 503, ("drop", 0)]
    assert get("fsdkaggle2019") == 0
    assert_complete(tmp_path / "data")
    asked = [span for path, span in server.requests if path == NOISY_1]
    assert asked == [None, "bytes=2500-", "bytes=5500-", "bytes=5500-", "bytes=5500-"]
    error = capsys.readouterr().err
    assert "the connection ended after 2500 of" in error and "HTTP 503" in error


def test_a_server_without_ranges_sends_it_all_again(get, server, tmp_path):
    server.ranges = False
    server.faults[NOISY_1] = [("drop", 5000)]
    get("fsdkaggle2019")
    assert_complete(tmp_path / "data")
    assert [span for path, span in server.requests if path == NOISY_1] == [None, "bytes=5000-"]


def test_a_server_that_tells_no_length(get, server, tmp_path):
    server.lengths = False
    server.faults[NOISY_1] = [("drop", 5000)]
    get("fsdkaggle2019")
    assert_complete(tmp_path / "data")


def test_an_unfinished_archive_without_a_known_size_is_asked_for_its_rest(get, server, tmp_path):
    part = tmp_path / "data" / "archives" / "ESC-50-master.zip.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(server.files[ESC50])  # all of it: killed before it was renamed
    assert get("esc50") == 0
    assert [span for path, span in server.requests if path == ESC50] == [f"bytes={len(server.files[ESC50])}-"]


def test_what_is_left_of_an_earlier_run_is_continued(get, server, tmp_path):
    server.faults[CURATED_ZIP] = [("drop", 700), 500, 502, 504]
    with pytest.raises(DataError, match="cannot be downloaded .*HTTP 504.*3 tries.*run again") as raised:
        get("fsdkaggle2019")
    one_line(raised)
    folder = tmp_path / "data"
    assert {*os.listdir(folder / "archives")} == {"FSDKaggle2019.audio_train_curated.zip.part"}
    assert not (folder / "train_curated").exists()
    get("fsdkaggle2019")
    assert_complete(folder)
    asked = [span for path, span in server.requests if path == CURATED_ZIP]
    assert asked == [None, *["bytes=700-"] * 4]


def test_redirections_keep_the_place(get, server, tmp_path):
    """GitHub sends every request for an archive to another host."""

    def moved(handler):
        handler.send_response(302)
        handler.send_header("Location", "/elsewhere")
        handler.send_header("Content-Length", "0")
        handler.end_headers()
        raise Answered

    server.files["/elsewhere"] = server.files[ESC50]
    server.faults[ESC50] = [moved, moved]
    server.faults["/elsewhere"] = [("drop", 4000)]
    get("esc50")
    assert server.requests == [
        *((ESC50, None), ("/elsewhere", None)),
        *((ESC50, "bytes=4000-"), ("/elsewhere", "bytes=4000-")),
    ]


def test_tries_are_counted_from_the_last_new_byte(get, server, tmp_path):
    server.faults[NOISY_1] = [fault for _ in range(4) for fault in (("drop", 100), 500)]
    get("fsdkaggle2019")  # eight failures, never more than two in a row without a new byte
    assert_complete(tmp_path / "data")


def test_a_part_longer_than_the_file_is_begun_anew(get, server, tmp_path):
    part = tmp_path / "data" / "archives" / "FSDKaggle2019.audio_train_curated.zip.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(b"x" * 100_000)
    get("fsdkaggle2019")
    assert_complete(tmp_path / "data")


def test_a_part_of_something_else_is_found_by_its_checksum(get, server, tmp_path, capsys):
    part = tmp_path / "data" / "archives" / "FSDKaggle2019.audio_train_curated.zip.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(b"x" * 500)
    get("fsdkaggle2019")
    assert_complete(tmp_path / "data")
    assert "expected md5 " in capsys.readouterr().err


def test_no_server_at_all(tmp_path):
    with Server({}) as gone:
        pass
    argv = ["esc50", "--output_dir", str(tmp_path / "data"), "--base_url", gone.url, "--retries", "1"]
    with pytest.raises(DataError, match="refused.*2 tries.*check the connection") as raised:
        download_data.main(argv)
    one_line(raised)
    assert os.listdir(tmp_path / "data") == []


def test_a_server_may_ask_for_a_longer_wait(get, server, monkeypatch):
    waits = []
    monkeypatch.setattr(http.time, "sleep", waits.append)

    def busy(handler):
        handler.send_response(429)
        handler.send_header("Retry-After", "7")
        handler.send_header("Content-Length", "0")
        handler.end_headers()
        raise Answered

    server.faults[ESC50] = [busy]
    get("esc50")
    assert waits == [7]


# Content that is not the published one.


def test_a_wrong_checksum_twice_ends_it(get, server, tmp_path):
    server.files[CURATED_ZIP] = bytes(len(server.files[CURATED_ZIP]))
    with pytest.raises(DataError, match="expected md5 [0-9a-f]{32}, found .*twice.*removed") as raised:
        get("fsdkaggle2019")
    assert CURATED_ZIP in one_line(raised)
    assert sum(path == CURATED_ZIP for path, _ in server.requests) == 2
    assert (
        not (tmp_path / "data" / "archives").exists() and not (tmp_path / "data" / "train_curated").exists()
    )


def test_a_login_page_in_place_of_a_file(get, server):
    server.files[CURATED_ZIP] = b"<html>Please log in"
    with pytest.raises(DataError, match="expected .* bytes, the server offers 19; is it a login") as raised:
        get("fsdkaggle2019")
    one_line(raised)


def test_a_file_that_the_server_does_not_have(get, server):
    del server.files[CURATED_ZIP]
    with pytest.raises(DataError, match="the server refuses it .HTTP 404") as raised:
        get("fsdkaggle2019")
    assert CURATED_ZIP in one_line(raised)
    assert sum(path == CURATED_ZIP for path, _ in server.requests) == 1
