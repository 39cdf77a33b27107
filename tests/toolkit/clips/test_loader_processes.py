"""Loader processes on poor machines: little shared memory, few file handles, killed, out of memory."""

import os
import re
import signal
import struct
import subprocess
import sys
import time

import numpy as np
import pytest
import soundfile

from repository import ROOT

# Prints a digest of each batch, or of the first alone and then the loader processes, and waits for the rest.
PROGRAM = """
import hashlib, multiprocessing, resource, sys
from pathlib import Path
import torch
from toolkit.cli.parser import run_script
from toolkit.clips.loading import Clip
from toolkit.system.runtime import Runtime
from toolkit.training.evaluation import portion_of

def main():
    folder, workers, first = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]
    for limit in first and first[0].split(",") or ():
        name, _, value = limit.partition("=")
        if value:
            resource.setrlimit(getattr(resource, name), (int(value), int(value)))
    clips = [Clip(path.name, path, 44100) for path in sorted(folder.iterdir())]
    loader = portion_of(clips, 1, Runtime(device=torch.device("cpu"), num_workers=workers)).loader
    for batch in loader:
        digest = hashlib.md5(batch["signal"].numpy()).hexdigest()
        print(batch["fnames"], digest, batch["lengths"].tolist(), flush=True)
        if first == ["wait"]:
            print([child.pid for child in multiprocessing.active_children()], flush=True)
            sys.stdin.readline()

run_script(main)
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """24 clips of a second: batches of four hold 0.7 MB."""
    folder = tmp_path_factory.mktemp("clips")
    for number in range(24):
        audio = np.random.default_rng(number).uniform(-1, 1, 44100)
        soundfile.write(folder / f"{number:02d}.wav", audio, 44100)
    return folder


def command(*arguments: object, shm: str = "") -> list[str]:
    """The program; with `shm` on a machine whose /dev/shm is mounted with these options."""
    argv = [sys.executable, "-c", PROGRAM, *map(str, arguments)]
    if not shm:
        return argv
    if os.geteuid() != 0 or subprocess.run(["unshare", "-m", "true"], capture_output=True).returncode:
        pytest.skip("mounting a small /dev/shm needs root")
    mounted = f'mount -t tmpfs -o {shm} tmpfs /dev/shm && exec "$@"'
    return ["unshare", "-m", "sh", "-c", mounted, "sh", *argv]


def run(*arguments: object, shm: str = "") -> tuple[int, str, str]:
    """Exit code, output and errors, without the warnings of other packages."""
    done = subprocess.run(command(*arguments, shm=shm), cwd=ROOT, capture_output=True, text=True, timeout=60)
    lines = [line for line in done.stderr.splitlines(keepends=True) if "joblib" not in line]
    return done.returncode, done.stdout, "".join(line for line in lines if "warnings.warn" not in line)


@pytest.fixture(scope="module")
def expected(folder):
    """What comes without loader processes."""
    code, output, errors = run(folder, 0)
    assert (code, output.count("\n"), errors) == (0, 6, "")
    return output


@pytest.mark.parametrize(
    "shm, warning",
    [
        ("size=1m", "lack room in /dev/shm"),
        ("size=4k", "cannot be started .No space left on device.; the main process loads the clips"),
        ("ro", "cannot be started .Read-only file system.; the main process loads the clips"),
    ],
)
def test_little_shared_memory_gives_the_same_batches_and_one_warning(folder, expected, shm, warning):
    code, output, errors = run(folder, 2, shm=shm)
    assert (code, output) == (0, expected), errors
    assert re.fullmatch(f"warning: loader processes {warning}.*\n", errors)


@pytest.mark.parametrize("handles", [20, 40, 60])
def test_few_file_handles_give_the_same_batches_or_one_line(folder, expected, handles):
    code, output, errors = run(folder, 4, f"RLIMIT_NOFILE={handles}")
    assert "Traceback" not in errors and errors.count("\n") <= 2
    if code:
        assert code == 1 and "error: too many open files; raise the limit" in errors
    else:
        assert output == expected


def test_a_folder_of_temporary_files_with_a_long_name_is_no_end(folder, expected, tmp_path, monkeypatch):
    """Sockets, which hand shared memory over, have names of at most 108 bytes."""
    (tmp_path / ("x" * 120)).mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / ("x" * 120)))
    code, output, errors = run(folder, 2)
    assert (code, output) == (0, expected) and errors.startswith("warning: loader processes lack")


@pytest.mark.parametrize("shm", ["", "size=1m"])
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGBUS])
def test_a_killed_loader_process_ends_the_run_in_one_line(folder, tmp_path, number, shm):
    for copy in range(20):
        for path in folder.iterdir():
            (tmp_path / f"{copy}_{path.name}").symlink_to(path)
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command(tmp_path, 2, "wait", shm=shm), cwd=ROOT, text=True, **pipes) as process:
        process.stdout.readline()
        workers = re.findall(r"\d+", process.stdout.readline())
        started = time.monotonic()
        os.kill(int(workers[0]), number)
        _, errors = process.communicate("\n" * 200, timeout=30)
    assert process.returncode == 1 and time.monotonic() - started < 20
    lines = [line for line in errors.replace("\0", "").splitlines() if line.strip()]
    ours = [line for line in lines if not line.startswith(("warning: loader processes lack", "ERROR: Unexp"))]
    assert len(ours) == 1 and "error: a loader process was ended by the system: " in ours[0], errors
    assert workers[0] in ours[0] or "one ended before its batch had arrived" in ours[0]


@pytest.mark.parametrize("workers", [0, 2])
def test_memory_that_is_short_is_no_fault_of_a_clip(tmp_path, workers):
    n_samples = 600_000_000  # 2.4 GB as float32; on disk a hole
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, 44100, 44100, 1, 8)
    header = struct.pack("<4sI4s", b"RIFF", 36 + n_samples, b"WAVE") + form
    with open(tmp_path / "long.wav", "wb") as file:
        file.write(header + struct.pack("<4sI", b"data", n_samples))
        file.truncate(44 + n_samples)
    code, output, errors = run(tmp_path, workers, "RLIMIT_DATA=1000000000")
    assert (code, output) == (1, "")
    assert re.fullmatch(r"error: this machine ran out of memory \(.*long\.wav: .*\); lower .*\n", errors)
