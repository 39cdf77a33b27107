"""Releases that are not the published ones: records, clips and archives that lack something."""

import json
import os

import pytest

import releases
from ops.errors import DataError
from releases import ESC50, RECORD, assert_complete, one_line, zipped

FSD = releases.fsdkaggle2019()


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
