"""Training and prediction in real processes, forked from one that has imported everything (zygote.py)."""

from __future__ import annotations

import json
import multiprocessing
import os
import re
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from repository import ROOT
from toolkit.system import processes


class Zygote:
    """Forks processes that run a script, see zygote.py."""

    def __init__(self, log: Path):
        self.log = log
        command = [sys.executable, str(Path(__file__).with_name("zygote.py"))]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout.readline() == "ready\n"

    def _ask(self, **command) -> int:
        self.process.stdin.write(json.dumps(command) + "\n")
        self.process.stdin.flush()
        return int(self.process.stdout.readline())

    def start(self, argv: list[str], **options) -> int:
        """Starts a process and returns its pid; options: script, env, kill_at_write, trace."""
        self.log.write_text("")
        return self._ask(argv=argv, log=str(self.log), **options)

    def wait(self, pid: int) -> int:
        return self._ask(wait=pid)

    def run(self, argv: list[str], **options) -> int:
        return self.wait(self.start(argv, **options))

    def start_ranks(self, argv: list[str], **options) -> list[int]:
        """Two processes with the environment that torchrun gives them. (Its start takes seconds.)"""
        self.log.write_text("")
        return [
            self._ask(argv=argv, log=str(self.log), env=env, rank=rank, **options)
            for rank, env in enumerate(environments())
        ]

    def run_ranks(self, argv: list[str], **options) -> list[int]:
        return [self.wait(pid) for pid in self.start_ranks(argv, **options)]

    def output(self) -> str:
        return self.log.read_text()

    def stop(self) -> None:
        self.process.stdin.close()
        self.process.wait()


def environments() -> list[dict[str, str]]:
    """What torchrun sets for two processes on this machine."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    shared = {
        "WORLD_SIZE": "2",
        "LOCAL_WORLD_SIZE": "2",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
    }
    return [{**shared, "RANK": str(rank), "LOCAL_RANK": str(rank)} for rank in range(2)]


def on_two_ranks(function: Callable[[int], object]) -> list[object]:
    """What function(rank) returns in two forked processes that find each other's address in os.environ."""
    fork = multiprocessing.get_context("fork")
    answers = fork.Queue()

    def child(rank: int, env: dict[str, str]) -> None:
        os.environ.update(env)
        try:
            answers.put((rank, function(rank)))
        except Exception as error:
            answers.put((rank, error))
        answers.close()
        answers.join_thread()
        processes.leave(0)
        os._exit(0)  # without waiting for the other

    children = [fork.Process(target=child, args=pair) for pair in enumerate(environments())]
    for process in children:
        process.start()
    found = dict(answers.get(timeout=60) for _ in children)
    for process in children:
        process.join()
    return [found[0], found[1]]


def outcome(folder: Path) -> dict[str, bytes]:
    """Bytes of every prediction table, record of epochs and of the results; no epoch was trained twice.

    Of the records all columns but the last, the seconds that an epoch took.
    """
    (experiment,) = folder.iterdir()
    epochs = re.findall(r"fold \d epoch \d+:", (experiment / "log").read_text())
    assert len(epochs) == len(set(epochs)), "an epoch that was finished and saved was trained again"
    paths = [*experiment.glob("predictions/*.csv"), experiment / "results.json"]
    records = {path.name: path.read_bytes().splitlines() for path in experiment.glob("history/*.csv")}
    assert all(lines[0].endswith(b",seconds") for lines in records.values())
    return {path.name: path.read_bytes() for path in paths} | {
        name: b"\n".join(line.rpartition(b",")[0] for line in lines) for name, lines in records.items()
    }


def lasting(folder) -> dict[str, bytes]:
    """All files but those that every start writes."""
    of_starts = {"log", "command", "sessions.csv", ".sessions.csv.sum"}
    return {
        str(path): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name not in of_starts and "summaries" not in path.parts
    }


def torchrun(script: str, *arguments: object, flags: tuple[str, ...] = ()) -> subprocess.Popen:
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node=2", "--standalone", *flags]
    return subprocess.Popen(
        [*command, str(ROOT / script), *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def rank_of(agent: int, rank: int) -> int:
    """The process of a rank among torchrun's children."""
    for child in Path(f"/proc/{agent}/task/{agent}/children").read_text().split():
        if f"RANK={rank}" in Path(f"/proc/{child}/environ").read_text().split("\0"):
            return int(child)
    raise AssertionError("no such process")


def outcome_of_rounds(folder) -> dict[str, bytes]:
    """Bytes of every table, prediction and result of the rounds, by their paths."""
    patterns = ("rounds.csv", "submission.csv", "plan.json", "tables/*.csv", "predictions/*.csv",
                "experiments/*/predictions/*.csv", "experiments/*/results.json",
                "experiments/*/noisy_folds.csv")  # fmt: skip
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for pattern in patterns
        for path in folder.glob(pattern)
    }
