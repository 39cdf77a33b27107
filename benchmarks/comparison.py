"""Ways of a job measured side by side: they take turns, repeat by repeat, in one process or in one each.

Taking turns, a machine that slows down slows all of them. Before its first repeat each way runs once to warm
up. Ways that compile come last, since they may take minutes to begin with, and the plain way takes its turns
with them once more.
"""

from __future__ import annotations

import json
import math
import os
import resource
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import torch
from inputs import SharedClips, synchronize

Job = Callable[[int], object]
Setup = Callable[[torch.device, SharedClips], Job]


@dataclass(frozen=True)
class Comparison:
    """A job and its ways.

    what: is done once. ways: their setups; what a setup does is not timed. targets: by way, a ratio ("x 3")
    or a time. n_clips: of the job, for clips/s. counts_flops: all ways compute the same; rows tell how fast.
    """

    what: str
    ways: dict[str, Setup]
    targets: dict[str, str] = field(default_factory=dict)
    n_clips: int = 0
    counts_flops: bool = False


@dataclass(frozen=True)
class Limits:
    """repeats: of each way. seconds: of a job; then no repeat begins, and no way that compiles.

    After twice the seconds a job is stopped wherever it is.
    """

    repeats: int = 5
    seconds: float = math.inf


class Way(Protocol):
    """peak_mib: so far. flops: of one repeat; 0: not counted."""

    peak_mib: float
    flops: int

    def repeat(self) -> float:
        """Does the job once; returns its seconds."""

    def parts(self) -> dict[str, float]:
        """Seconds of the parts of one more repeat; empty where a job has none."""

    def close(self) -> None: ...


class LocalWay:
    """A way of a job in this process; set up and warmed up.

    On a GPU its peak memory is what it holds and takes itself, whatever other ways hold; on a CPU it is the
    process's.
    """

    def __init__(self, setup: Setup, device: torch.device, clips: SharedClips, count_flops: bool = False):
        self.device, self.peak_mib, self.flops, self._held, self._n_done = device, 0.0, 0, 0, 0
        with self._watching_memory():
            self.job = setup(device, clips)
            if count_flops:
                self.flops = counted_flops(self.job)
            else:
                self.job(0)
            synchronize(device)

    def repeat(self) -> float:
        self._n_done += 1
        synchronize(self.device)
        with self._watching_memory():
            started = time.perf_counter()
            self.job(self._n_done)
            synchronize(self.device)
            return time.perf_counter() - started

    def parts(self) -> dict[str, float]:
        return self.job.parts(self._n_done) if hasattr(self.job, "parts") else {}

    def close(self) -> None:
        del self.job

    @contextmanager
    def _watching_memory(self) -> Iterator[None]:
        if self.device.type != "cuda":
            yield
            own = int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) / 1024
            children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
            # Of a job that is a process this one only made the tables.
            self.peak_mib = children if getattr(self.job, "in_child", False) else max(own, children)
            return
        before = torch.cuda.memory_allocated(self.device)
        torch.cuda.reset_peak_memory_stats(self.device)
        yield
        taken = torch.cuda.max_memory_allocated(self.device) - before
        self.peak_mib = max(self.peak_mib, (self._held + taken) / 2**20)
        self._held += torch.cuda.memory_allocated(self.device) - before


def counted_flops(job: Job) -> int:
    """Floating-point operations of the job, done once: matrix products and convolutions alone."""
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter:
        job(0)
    return counter.get_total_flops()


class ProcessWay:
    """A way of a job in a process of its own, whose peak memory is the way's.

    command: starts `serve` there.
    """

    flops = 0

    def __init__(self, command: Sequence[str], is_plain: bool):
        # What prepare_process sets is part of our way.
        environment = {**os.environ, "KEEP_FREED_MEMORY": "0" if is_plain else "1"}
        pipes = {name: subprocess.PIPE for name in ("stdin", "stdout", "stderr")}
        self.process = subprocess.Popen(command, text=True, env=environment, **pipes)
        self.peak_mib = self._read()["peak_mib"]

    def repeat(self) -> float:
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        told = self._read()
        self.peak_mib = told["peak_mib"]
        return told["seconds"]

    def parts(self) -> dict[str, float]:
        return {}

    def close(self) -> None:
        self.process.stdin.close()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:  # in the midst of a repeat that was given up
            self.process.kill()

    def _read(self) -> dict:
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(self.process.stderr.read().strip()[-2000:])
        return json.loads(line)


def serve(way: Way) -> None:
    """What a way's process does: a repeat for each line of stdin, answered by a line of JSON."""
    print(json.dumps({"peak_mib": way.peak_mib}), flush=True)
    for _ in sys.stdin:
        seconds = way.repeat()
        print(json.dumps({"seconds": seconds, "peak_mib": way.peak_mib}), flush=True)


class TimeUp(BaseException):
    """No Exception: what tries and goes on without (torch.compile) must not keep it."""


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Raises TimeUp in the main thread once they are over, again and again until that is left."""

    def stop(*_: object) -> None:
        raise TimeUp

    if seconds == math.inf:
        yield
        return
    before = signal.signal(signal.SIGALRM, stop)
    try:
        signal.setitimer(signal.ITIMER_REAL, max(seconds, 1e-3), 5)
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


class Measurement:
    """Measures the ways of a comparison and prints a row for each.

    Args:
        start: (way, whether to count flops) -> the way, warmed up.
        of_limit: (way, flop/s) -> how that compares with what the device can do.
    """

    def __init__(
        self,
        comparison: Comparison,
        limits: Limits,
        start: Callable[[str, bool], Way],
        of_limit: Callable[[str, float], str] = lambda *_: "",
    ):
        self.comparison, self.limits, self.start, self.of_limit = comparison, limits, start, of_limit
        self.running: dict[str, Way] = {}
        self.flops, self.began = 0, time.monotonic()

    @property
    def seconds_left(self) -> float:
        return self.limits.seconds - (time.monotonic() - self.began)

    def run(self, names: Sequence[str]) -> None:
        compiling = [name for name in names if "--compile" in name]
        try:
            self._measure([name for name in names if name not in compiling], 2 * self.limits.seconds)
            if self.seconds_left > 0:
                self._measure(compiling, self.seconds_left)
            else:
                for name in compiling:
                    say(name, f"left out: the {self.limits.seconds:g} s of the job are over")
        finally:
            for way in self.running.values():
                way.close()

    def _measure(self, names: Sequence[str], seconds: float) -> None:
        """Warms the ways up, lets them take turns, prints their rows."""
        pending, timed = list(names), {}
        with suppress(TimeUp), time_limit(seconds):
            while pending:
                self._start(pending[0])
                pending.pop(0)
            turns = [name for name in self.running if name == "plain" or name in names]
            if set(turns) & set(names):
                self._take_turns(turns, timed)
        for name in pending:
            say(name, f"left out: not ready within the {self.limits.seconds:g} s of the job")
        rows = [name for name in names if timed.get(name)]
        for name in rows:
            self._print_row(name, timed)
        with suppress(TimeUp), time_limit(max(1, self.seconds_left)):
            for name in rows:
                if self.seconds_left > 0:
                    self._print_parts(name)

    def _start(self, name: str) -> None:
        try:
            self.running[name] = way = self.start(name, self.comparison.counts_flops and not self.flops)
        except Exception as error:  # a way that lacks something stops no other
            say(name, f"left out: {last_line(error)}")
            return
        self.flops = self.flops or way.flops

    def _take_turns(self, names: Sequence[str], timed: dict[str, list[float]]) -> None:
        for name in names:
            timed[name] = []
        for repeat in range(self.limits.repeats):
            if repeat and self.seconds_left <= 0:
                return
            for name in [name for name in names if name in self.running]:
                try:
                    timed[name].append(self.running[name].repeat())
                except Exception as error:
                    say(name, f"stopped: {last_line(error)}")
                    del self.running[name]

    def _print_row(self, name: str, timed: dict[str, list[float]]) -> None:
        repeats, plain = timed[name], timed.get("plain", [])
        seconds = statistics.median(repeats)
        ratios = [theirs / ours for theirs, ours in zip(plain, repeats, strict=False)]
        ratio = f"x {statistics.median(ratios):6.2f}" if ratios else ""
        target = self.comparison.targets.get(name, "")
        rest = [f"{self.comparison.n_clips / seconds:8.1f} clips/s"] if self.comparison.n_clips else []
        if self.flops:
            rest.append(
                f"{self.flops / seconds / 1e12:7.1f} TFLOP/s{self.of_limit(name, self.flops / seconds)}"
            )
        rest.append(f"n = {len(repeats)}")
        peak = self.running[name].peak_mib if name in self.running else math.nan
        say(
            name,
            f"{1000 * seconds:10.2f} ms   {ratio:8}  {target and 'target ' + target:14}{peak:8.0f} MiB  "
            f"{', '.join(rest)}",
        )

    def _print_parts(self, name: str) -> None:
        spent = self.running[name].parts() if name in self.running else {}
        in_all = sum(spent.values())
        if spent:
            listed = ", ".join(f"{part} {seconds / in_all:.0%}" for part, seconds in spent.items())
            say(f"  {name}", f"{listed}, of {1000 * in_all:.0f} ms when each is waited for")


def say(name: str, text: str) -> None:
    print(f"  {name:32} {text}", flush=True)


def last_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[-1] if lines else type(error).__name__
