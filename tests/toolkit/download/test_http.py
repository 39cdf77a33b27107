"""Downloads over connections that break, and of content that is not the published one."""

import json
import os

import pytest

import download_data
import releases
from ops.errors import DataError
from releases import ESC50, RECORD, Answered, Server, assert_complete, one_line, zipped
from toolkit.download import http

NOISY_1 = f"{RECORD}/files/FSDKaggle2019.audio_train_noisy.z01/content"
CURATED_ZIP = f"{RECORD}/files/FSDKaggle2019.audio_train_curated.zip/content"
FSD = releases.fsdkaggle2019()


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


@pytest.mark.parametrize(
    "name, words",
    [
        ("meta.zip", "expected one file *.meta.zip, found FSDKaggle2019."),
        ("audio_test.zip", "expected one file *.audio_test.zip, found FSDKaggle2019."),
        ("audio_train_noisy.z01", "expected the parts of FSDKaggle2019.audio_train_noisy.zip without gaps"),
    ],
)
def test_a_record_without_one_of_its_files(name, words, get, server, tmp_path):
    server.serve_record({key: value for key, value in FSD.items() if not key.endswith(name)})
    with pytest.raises(DataError) as raised:
        get("fsdkaggle2019")
    assert RECORD in one_line(raised) and words in str(raised.value)
    assert not list((tmp_path / "data").iterdir())


def test_a_record_without_a_split_archives_last_part_but_one(get, server, tmp_path):
    server.serve_record({key: value for key, value in FSD.items() if not key.endswith("z02")})
    with pytest.raises(DataError, match="the last of 3 parts of a split archive, found 2 parts") as raised:
        get("fsdkaggle2019")
    one_line(raised)
    assert not (tmp_path / "data" / "train_noisy").exists()


def test_a_file_that_the_server_does_not_have(get, server):
    del server.files[CURATED_ZIP]
    with pytest.raises(DataError, match="the server refuses it .HTTP 404") as raised:
        get("fsdkaggle2019")
    assert CURATED_ZIP in one_line(raised)
    assert sum(path == CURATED_ZIP for path, _ in server.requests) == 1


@pytest.mark.parametrize(
    "record",
    [
        b"<html>",
        b"[]",
        b"null",
        b"{}",
        b'{"files": 3}',
        b'{"files": [{"key": "a.zip"}]}',
        b'{"files": [{"key": "../a.meta.zip", "size": 1, "checksum": "md5:00"}]}',
        b'{"files": [{"key": "a.meta.zip", "size": -1, "checksum": "md5:00"}]}',
        b'{"files": [{"key": "a.meta.zip", "size": 1, "checksum": "rot13:00"}]}',
    ],
)
def test_what_is_no_record(record, get, server):
    server.files[RECORD] = record
    with pytest.raises(DataError, match="expected (a Zenodo record|JSON)") as raised:
        get("fsdkaggle2019")
    assert one_line(raised).startswith(server.url + RECORD)


def test_the_other_form_of_record(get, server, tmp_path):
    """InvenioRDM's own: files under "entries", named by the key."""
    record = json.loads(server.files[RECORD])
    entries = {entry["key"]: {**entry, "links": {}} for entry in record["files"]}
    server.files[RECORD] = json.dumps({"files": {"entries": entries}}).encode()
    get("fsdkaggle2019")
    assert_complete(tmp_path / "data")


def test_clips_that_the_release_lacks_are_told(get, server, capsys):
    files = dict(FSD)
    name = "FSDKaggle2019.audio_test.zip"
    files[name] = zipped({"FSDKaggle2019.audio_test/t1.wav": releases.wav(101)})
    server.serve_record(files)
    assert get("fsdkaggle2019") == 3
    assert "lacks 2 of the 3 clips of its table (first 't0.wav')" in capsys.readouterr().err


def test_unsafe_names_in_a_release_leave_nothing(get, server, tmp_path):
    server.files[ESC50] = zipped({"ESC-50-master/meta/esc50.csv": b"x", "../evil.wav": b"x"})
    with pytest.raises(DataError, match="leads out of its folder; nothing was unpacked") as raised:
        get("esc50")
    one_line(raised)
    assert {*os.listdir(tmp_path / "data")} == {"archives"} and not (tmp_path / "evil.wav").exists()


def test_a_damaged_archive_without_a_published_checksum_is_removed(get, server, tmp_path):
    whole = server.files[ESC50]
    damaged = bytearray(whole)
    damaged[whole.find(b"README.md") + len("README.md")] ^= 0xFF  # the first byte of its content
    server.files[ESC50] = bytes(damaged)
    with pytest.raises(DataError, match="is damaged.*removed, run again") as raised:
        get("esc50")
    one_line(raised)
    server.files[ESC50] = whole
    assert get("esc50") == 0
