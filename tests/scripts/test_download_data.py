"""download_data.py from a local server of small releases: layouts, folders, disks, kills."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time

import pandas as pd
import pytest

import download_data
import releases
from ops.errors import DataError
from releases import CURATED, ESC50, RECORD, Answered, assert_complete, content, one_line

NOISY_1 = f"{RECORD}/files/FSDKaggle2019.audio_train_noisy.z01/content"
FSD = releases.fsdkaggle2019()


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
        released = rows["esc50_fold"] if name == "train_curated" else rows["fold"]
        assert set(released) == expected and set(rows["labels"]) == {"dog", "rain"}
        assert all(fname.startswith(fold) for fname, fold in zip(rows["fname"], released, strict=True))
        assert {*os.listdir(folder / name)} == {*rows["fname"], ".release.json"}
        assert all(f"-{group}-" in fname for fname, group in zip(rows["fname"], rows["group"], strict=True))
    curated = pd.read_csv(folder / "train_curated.csv")
    assert set(curated["fold"]) == set(range(curated["esc50_fold"].nunique()))
    assert curated.groupby("fold")["esc50_fold"].nunique().max() == 1
    mark = json.loads((folder / "test" / ".release.json").read_text())
    assert mark["comment"].startswith("33c8ce9e")
    assert (folder / "sample_submission.csv").read_text().startswith("fname,dog,rain\n")
    assert {*os.listdir(folder / "esc50")} == {"esc50.csv", "README.md", "LICENSE", ".release.json"}
    with pytest.raises(DataError, match="holds .*not .*choose another --output_dir"):
        get("esc50", "--test_folds", "2")


def test_spoken_digits_by_their_division_with_speakers_as_groups(get, server, tmp_path):
    assert get("fsdd") == 0
    folder = tmp_path / "data"
    curated, test = (pd.read_csv(folder / f"{name}.csv") for name in ("train_curated", "test_truth"))
    assert curated.to_dict("list") == {
        "fname": ["0_jackson_5.wav", "3_theo_49.wav", "7_jackson_12.wav"],
        "labels": ["zero", "three", "seven"],
        "group": ["jackson", "theo", "jackson"],
    }
    assert list(test["fname"]) == ["0_jackson_4.wav", "3_theo_1.wav", "7_george_0.wav"]
    for part, table in (("train_curated", curated), ("test", test)):
        assert {*os.listdir(folder / part)} == {*table["fname"], ".release.json"}
    assert {*os.listdir(folder / "fsdd")} == {"README.md", "metadata.py", "__init__.py", ".release.json"}
    assert (folder / "sample_submission.csv").read_text().startswith("fname,seven,three,zero\n0_jackson_4")
    n_requests = len(server.requests)
    assert get("fsdd") == 0 and len(server.requests) == n_requests


def test_spoken_digits_without_recordings(get, server):
    server.files[releases.FSDD] = releases.zipped({"a/README.md": b"x", "a/recordings/one.wav": b"x"})
    with pytest.raises(DataError, match="<digit>_<speaker>_<number>.wav, found none") as raised:
        get("fsdd")
    one_line(raised)


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


def test_too_small_a_disk_is_told_before_it_is_filled(get, server, small_disk):
    folder = small_disk(48, "data")
    with pytest.raises(DataError, match="GB free to download .*noisy.*make room") as raised:
        get("fsdkaggle2019", "--parts", "train_noisy")
    one_line(raised)
    assert not any("noisy" in path for path, _ in server.requests) and not (folder / "train_noisy").exists()


def test_a_disk_that_fills_up_on_the_way(get, server, small_disk, tmp_path):
    folder = small_disk(200, "data")

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
        (["fsd50k", "--parts", "train_noisy"], "fsd50k has train_curated, test; got train_noisy"),
        (["arca23k", "--test_folds", "1"], "arca23k takes --parts"),
        (["fsdd", "--test_folds", "1"], "belong to esc50, not to fsdd"),
        (["fsdd", "--parts", "test"], "not to fsdd; it is small, and comes whole"),
    ],
)
def test_usage_errors(flags, words, capsys):
    with pytest.raises(SystemExit) as stopped:
        download_data.parse_args([*flags, "--output_dir", "x"])
    error = capsys.readouterr().err
    assert stopped.value.code == 2 and words in error and error.count("\n") == 1


def test_an_interrupted_run_says_how_to_go_on(server, tmp_path):
    over = threading.Event()

    def trickle(handler):
        handler.send_response(200)
        handler.send_header("Content-Length", "999999")
        handler.end_headers()
        with contextlib.suppress(OSError):  # the client hangs up
            while not over.wait(0.1):
                handler.wfile.write(b"x")
                handler.wfile.flush()
        raise Answered

    server.faults[ESC50] = [trickle]
    argv = ["esc50", "--output_dir", str(tmp_path / "data"), "--base_url", server.url]
    command = [sys.executable, str(download_data.__file__), *argv]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    part = tmp_path / "data" / "archives" / "ESC-50-master.zip.part"
    deadline = time.monotonic() + 300  # on a busy machine
    while not part.exists():
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    out, error = process.communicate(timeout=60)
    over.set()
    assert process.returncode == 130 and out == ""
    assert error.startswith("interrupted; continue with: python ") and error.count("\n") == 1
    assert part.exists()
