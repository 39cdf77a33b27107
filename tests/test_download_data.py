"""download_data.py from a local server of small releases: connections that break, wrong content, kills."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time

import pandas as pd
import pytest
import releases
from releases import CURATED, ESC50, NOISY, RECORD, TEST, Answered, Server, zipped

import download_data
from ops import downloads
from ops.errors import DataError

NOISY_1 = f"{RECORD}/files/FSDKaggle2019.audio_train_noisy.z01/content"
CURATED_ZIP = f"{RECORD}/files/FSDKaggle2019.audio_train_curated.zip/content"
META_ZIP = f"{RECORD}/files/FSDKaggle2019.meta.zip/content"
FSD = releases.fsdkaggle2019()


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch):
    monkeypatch.setattr(downloads, "BACKOFF", 0.001)
    monkeypatch.setattr(downloads, "CHUNK", 1000)


@pytest.fixture
def server():
    with Server({ESC50: releases.esc50()}) as running:
        running.serve_record(FSD)
        yield running


@pytest.fixture
def get(server, tmp_path):
    """get("esc50", ...) -> the exit code of a download into tmp_path/data."""

    def run(*argv: str) -> int:
        return download_data.main(
            [*argv, "--output_dir", str(tmp_path / "data"), "--base_url", server.url, "--retries", "2"]
        )

    return run


def content(folder) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def assert_complete(folder) -> None:
    for name, rows, seed in (("train_curated", CURATED, 0), ("test", TEST, 100), ("train_noisy", NOISY, 200)):
        clips = content(folder / name)
        mark = json.loads(clips.pop(".release.json"))
        assert mark["origin"] == {"data_set": "fsdkaggle2019"}
        assert clips == {fname: releases.wav(seed + i) for i, fname in enumerate(rows)}
    assert set(os.listdir(folder)) == {
        *("train_curated", "train_noisy", "test", "fsdkaggle2019"),
        *("train_curated.csv", "train_noisy.csv", "test_truth.csv", "sample_submission.csv"),
    }


def one_line(raised) -> str:
    message = str(raised.value)
    assert len(message.splitlines()) == 1
    return message


def test_fsdkaggle2019_as_the_scripts_expect_it(get, tmp_path, capsys):
    assert get("fsdkaggle2019") == 0
    folder = tmp_path / "data"
    assert_complete(folder)
    curated = pd.read_csv(folder / "train_curated.csv")
    assert list(curated.columns) == ["fname", "labels", "freesound_id", "license"]
    assert dict(zip(curated["fname"], curated["labels"], strict=True)) == CURATED
    assert list(pd.read_csv(folder / "train_noisy.csv")["flickr_video_URL"])[1] == "http://f/1"
    truth = pd.read_csv(folder / "test_truth.csv")
    assert list(truth["usage"]) == ["Private", "Public", "Public"]
    assert (folder / "sample_submission.csv").read_text() == (
        "fname,Bark,Meow,Run\nt0.wav,0,0,0\nt1.wav,0,0,0\nt2.wav,0,0,0\n"
    )
    assert (folder / "fsdkaggle2019" / "LICENSE-DATASET").read_bytes() == b"CC"
    assert "train_noisy: 8 clips" in capsys.readouterr().out


def test_a_second_run_does_nothing_and_needs_no_server(get, server, tmp_path):
    get("fsdkaggle2019")
    table = tmp_path / "data" / "train_curated.csv"
    table.write_text("fname,labels\nmine.wav,Bark\n")  # what a user changed stays
    before, n_requests = content(tmp_path / "data"), len(server.requests)
    assert get("fsdkaggle2019") == 0
    assert content(tmp_path / "data") == before and len(server.requests) == n_requests


def test_parts_now_and_the_others_later(get, server, tmp_path):
    get("fsdkaggle2019", "--parts", "train_curated")
    assert not (tmp_path / "data" / "test").exists()
    assert not any("noisy" in path for path, _ in server.requests)
    get("fsdkaggle2019")
    assert_complete(tmp_path / "data")
    assert sum("audio_train_curated" in path for path, _ in server.requests) == 1


def test_archives_are_kept_when_asked_and_used_when_there(get, server, tmp_path):
    archives = tmp_path / "data" / "archives"
    archives.mkdir(parents=True)
    for name in ("FSDKaggle2019.audio_train_noisy.z01", "FSDKaggle2019.audio_test.zip"):
        (archives / name).write_bytes(FSD[name])
    get("fsdkaggle2019", "--keep_archives")
    assert content(archives) == dict(sorted(FSD.items()))
    asked = [path for path, _ in server.requests]
    assert NOISY_1 not in asked and not any("audio_test" in path for path in asked)


def test_an_archive_that_is_there_but_wrong_is_not_replaced(get, tmp_path):
    mine = tmp_path / "data" / "archives" / "FSDKaggle2019.audio_test.zip"
    mine.parent.mkdir(parents=True)
    mine.write_bytes(b"mine")
    with pytest.raises(DataError, match="expected .* bytes, found 4; remove this file") as raised:
        get("fsdkaggle2019")
    assert one_line(raised).startswith(str(mine)) and mine.read_bytes() == b"mine"


@pytest.mark.parametrize("folds", [[], ["--test_folds", "1", "--curated_folds", "3", "2"]])
def test_esc50_keeps_its_folds(folds, get, tmp_path):
    assert get("esc50", *folds) == 0
    curated, test = ({"2", "3"}, {"1"}) if folds else ({"1", "2", "3", "4"}, {"5"})
    folder = tmp_path / "data"
    for name, table, expected in (("train_curated", "train_curated", curated), ("test", "test_truth", test)):
        rows = pd.read_csv(folder / f"{table}.csv", dtype=str)
        assert list(rows.columns)[:3] == ["fname", "labels", "fold"]
        assert set(rows["fold"]) == expected and set(rows["labels"]) == {"dog", "rain"}
        assert all(fname.startswith(fold) for fname, fold in zip(rows["fname"], rows["fold"], strict=True))
        assert {*os.listdir(folder / name)} == {*rows["fname"], ".release.json"}
    mark = json.loads((folder / "test" / ".release.json").read_text())
    assert mark["comment"].startswith("33c8ce9e")
    assert (folder / "sample_submission.csv").read_text().startswith("fname,dog,rain\n")
    assert {*os.listdir(folder / "esc50")} == {"esc50.csv", "README.md", "LICENSE", ".release.json"}
    with pytest.raises(DataError, match="holds .*not .*choose another --output_dir"):
        get("esc50", "--test_folds", "2")


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
    monkeypatch.setattr(downloads.time, "sleep", waits.append)

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


# Folders that are not ours, disks that are full, runs that are killed.


@pytest.mark.parametrize(
    "name", ["train_curated/", "test/", "fsdkaggle2019/", "train_curated.csv", "test_truth.csv"]
)
def test_what_is_there_already_is_not_touched(name, get, server, tmp_path):
    mine = tmp_path / "data" / name
    (mine if name.endswith("/") else mine.parent).mkdir(parents=True)
    (mine / "a.wav" if name.endswith("/") else mine).write_text("mine")
    before = content(tmp_path)
    with pytest.raises(DataError, match="exists, but was not made by this script") as raised:
        get("fsdkaggle2019")
    assert one_line(raised).startswith(str(mine))
    assert content(tmp_path) == before and not server.requests


@pytest.fixture
def small_disk(tmp_path):
    """small_disk(kilobytes) -> a folder on a tmpfs of that size; needs root."""
    mounted = []

    def mount(kilobytes: int):
        folder = tmp_path / "data"
        folder.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", str(folder)]
        if os.geteuid() != 0 or subprocess.run(command, capture_output=True).returncode:
            pytest.skip("mounting a tmpfs needs root")
        mounted.append(folder)
        return folder

    yield mount
    for folder in mounted:
        subprocess.run(["umount", str(folder)], check=True)


def test_too_small_a_disk_is_told_before_it_is_filled(get, server, small_disk):
    folder = small_disk(48)
    with pytest.raises(DataError, match="GB free to download .*noisy.*make room") as raised:
        get("fsdkaggle2019", "--parts", "train_noisy")
    one_line(raised)
    assert not any("noisy" in path for path, _ in server.requests) and not (folder / "train_noisy").exists()


def test_a_disk_that_fills_up_on_the_way(get, server, small_disk, tmp_path):
    folder = small_disk(200)

    def fill(_):
        (folder / "filler").write_bytes(bytes(shutil.disk_usage(folder).free - 8192))

    server.faults[NOISY_1] = [fill]
    with pytest.raises(DataError, match="No space left on device") as raised:
        get("fsdkaggle2019")
    one_line(raised)
    assert not (folder / "train_noisy").exists()
    assert (folder / "archives" / "FSDKaggle2019.audio_train_noisy.z01.part").stat().st_size <= 8192
    (folder / "filler").unlink()
    assert get("fsdkaggle2019") == 0
    assert_complete(folder)


def test_a_killed_run_started_again_ends_as_one_never_killed(server, tmp_path):
    """SIGKILL in the middle of a download, then within the unpacking, then once more to the end."""
    folder = tmp_path / "data"
    argv = ["fsdkaggle2019", "--output_dir", str(folder), "--base_url", server.url]
    command = [sys.executable, str(download_data.__file__), *argv]

    def killed_when(ready, fault):
        server.faults[NOISY_1] = [fault]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 60
        while not ready() and time.monotonic() < deadline:
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL

    def hang(handler):  # after 3,000 bytes
        whole = server.files[NOISY_1]
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(whole)))
        handler.end_headers()
        handler.wfile.write(whole[:3000])
        handler.wfile.flush()
        time.sleep(30)
        raise Answered

    part = folder / "archives" / "FSDKaggle2019.audio_train_noisy.z01.part"
    killed_when(lambda: part.exists(), hang)
    assert not (folder / "train_noisy").exists()
    (folder / ".train_noisy.partial").mkdir()  # what a kill within the unpacking leaves
    (folder / ".train_noisy.partial" / "n0.wav").write_bytes(b"half")
    finished = subprocess.run(command, capture_output=True, text=True)
    assert finished.returncode == 0, finished.stderr
    assert_complete(folder)


def test_two_runs_into_one_folder(get, server, tmp_path):
    seen = []

    def second(_):
        with pytest.raises(DataError, match="another process is downloading into it") as raised:
            get("esc50")
        seen.append(one_line(raised))

    server.faults[ESC50] = [second]
    assert get("esc50") == 0 and len(seen) == 1


def test_errors_are_one_line_for_users(run_script, server, tmp_path):
    finished = run_script("download_data.py", "esc50", "--output_dir", tmp_path, "--base_url", "ftp://x")
    assert finished.returncode == 2 and finished.stderr.count("\n") == 1 and "http://" in finished.stderr
    del server.files[ESC50]
    finished = run_script("download_data.py", "esc50", "--output_dir", tmp_path, "--base_url", server.url)
    assert finished.returncode == 1 and finished.stderr.startswith("error: http") and finished.stdout == ""
    assert finished.stderr.count("\n") == 1


@pytest.mark.parametrize(
    "flags, words",
    [
        (["fsdkaggle2019", "--test_folds", "1"], "belong to esc50"),
        (["esc50", "--parts", "test"], "belongs to fsdkaggle2019"),
        (["esc50", "--test_folds", "1", "--curated_folds", "1", "2"], "no fold in both, got 1"),
        (["esc50", "--test_folds", "1", "2", "3", "4", "5"], "at least one fold less"),
        (["esc50", "--test_folds", "6"], "from 1 to 5"),
        (["fsdkaggle2018"], "esc50"),
    ],
)
def test_usage_errors(flags, words, capsys):
    with pytest.raises(SystemExit) as stopped:
        download_data.parse_args([*flags, "--output_dir", "x"])
    error = capsys.readouterr().err
    assert stopped.value.code == 2 and words in error and error.count("\n") == 1
