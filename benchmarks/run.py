#!/usr/bin/env python3
"""Every job the plain way and ours, side by side: median, ratio, peak memory.

    python benchmarks/run.py [--device cuda] [--jobs train_2d infer_2d] [--repeats 5] [--no_compile]
    python benchmarks/run.py --scaling

Each way of a job runs in a process of its own; the ways take turns, repeat by repeat, so that a machine
that slows down slows all of them. Before the first repeat each runs once to warm up.
"""

import argparse
import json
import os
import platform
import resource
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]
from toolkit.system.machine import prepare_process  # noqa: E402

prepare_process()  # before torch is imported

import torch  # noqa: E402

# Peak of dense matrix products in TFLOP/s (bfloat16, float32 without TF32), by part of the GPU's name.
PEAKS = {"H200": (989, 67), "H100": (989, 67), "A100": (312, 19.5), "L4": (121, 30)}


def find_setup(device: str, name: str, way: str):
    from jobs import GPU_JOBS, JOBS, SCALING

    if name.startswith("scaling:"):
        return dict(SCALING[name.removeprefix("scaling:")][1])[int(way)]
    return (GPU_JOBS if device.startswith("cuda") else JOBS)[name][2][way]


def work(name: str, way: str, device_name: str) -> None:
    """A worker: sets the job up, warms up, then runs it once a line of stdin and prints the seconds."""
    device = torch.device(device_name)
    on_gpu = device.type == "cuda"
    job = find_setup(device_name, name, way)(device)
    print(json.dumps({"flops": count_flops(job) if on_gpu else job(0) and None}), flush=True)
    for repeat, _ in enumerate(sys.stdin, start=1):
        started = time.perf_counter()
        job(repeat)
        if on_gpu:
            torch.cuda.synchronize()
        print(json.dumps({"seconds": time.perf_counter() - started}), flush=True)
    own = int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) / 1024
    children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    if hasattr(job, "in_child"):
        own = 0.0  # this process made the tables
    peak = torch.cuda.max_memory_allocated() / 2**20 if on_gpu else max(own, children)
    print(json.dumps({"peak_mib": peak}), flush=True)
    if hasattr(job, "folder"):
        shutil.rmtree(job.folder)


def count_flops(job) -> int:
    """Floating-point operations of one job, matrix products and convolutions alone; warms up, too."""
    from torch.utils.flop_counter import FlopCounterMode

    job(0)
    with FlopCounterMode(display=False) as counter:
        job(0)
    return counter.get_total_flops()


class Worker:
    """A process that runs one way of one job."""

    def __init__(self, name: str, way: str, device: str):
        command = [sys.executable, str(HERE / "run.py"), "--work", name, way, "--device", device]
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            # What prepare_process sets is part of our way.
            env={**os.environ, "KEEP_FREED_MEMORY": "0" if way == "plain" else "1"},
        )
        self.seconds: list[float] = []
        self.flops = self._read()["flops"]

    def _read(self) -> dict:
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(self.process.stderr.read()[-2000:])
        return json.loads(line)

    def repeat(self) -> None:
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        self.seconds.append(self._read()["seconds"])

    def finish(self) -> float:
        """Ends the process; returns its peak memory in MiB."""
        self.process.stdin.close()
        peak = self._read()["peak_mib"]
        self.process.wait()
        return peak


def measure(name: str, ways: list[str], device: str, repeats: int) -> list[tuple[Worker, float]]:
    """The workers of all ways, done, each with its peak memory."""
    workers = [Worker(name, way, device) for way in ways]
    for _ in range(repeats):
        for worker in workers:
            worker.repeat()
    return [(worker, worker.finish()) for worker in workers]


def share_of_peak(worker: Worker, way: str, seconds: float) -> str:
    """Achieved TFLOP/s and its share of the GPU's limit; empty on a CPU."""
    if not worker.flops:
        return ""
    achieved = worker.flops / seconds / 1e12
    name = torch.cuda.get_device_name()
    peaks = next((peak for part, peak in PEAKS.items() if part in name), None)
    limit = peaks[0 if "--amp" in way else 1] if peaks else None
    return f"{achieved:7.1f} TFLOP/s" + (f", {achieved / limit:.0%} of {limit}" if limit else "")


def main() -> None:
    from jobs import GPU_JOBS, JOBS, SCALING

    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--jobs", nargs="+", choices=sorted({*JOBS, *GPU_JOBS}), help="default: all")
    parser.add_argument("--no_compile", action="store_true", help="leave out the ways that compile first")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--scaling", action="store_true", help="time and memory as the work grows")
    parser.add_argument("--work", nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.work:
        return work(*args.work, args.device)
    on_gpu = args.device.startswith("cuda")
    where = torch.cuda.get_device_name() if on_gpu else f"{platform.processor() or platform.machine()} CPU"
    print(f"{where}, {torch.get_num_threads()} threads, torch {torch.__version__}, median of {args.repeats}")
    if args.scaling:
        for name, (what, sizes) in SCALING.items():
            print(f"\n{name}: {what}")
            for size, _ in sizes:
                ((worker, peak),) = measure(f"scaling:{name}", [str(size)], args.device, 3)
                print(f"  {size:9,} {statistics.median(worker.seconds):10.4f} s {peak:8.0f} MiB", flush=True)
        return None
    table = GPU_JOBS if on_gpu else JOBS
    for name in args.jobs or table:
        what, targets, ways = table[name]
        ways = [way for way in ways if not (args.no_compile and "--compile" in way)]
        print(f"\n{name}: {what}", flush=True)
        plain = None
        for (worker, peak), way in zip(measure(name, ways, args.device, args.repeats), ways, strict=True):
            seconds = statistics.median(worker.seconds)
            plain = worker.seconds if way == "plain" else plain
            ratio = ""
            if plain:
                ratio = (
                    f"x {statistics.median(p / s for p, s in zip(plain, worker.seconds, strict=True)):6.2f}"
                )
            target = f"target {targets[way]:.2f}" if way in targets else ""
            print(
                f"  {way:32} {1000 * seconds:10.2f} ms   {ratio:8}  {target:12}"
                f"{peak:8.0f} MiB  {share_of_peak(worker, way, seconds)}",
                flush=True,
            )


if __name__ == "__main__":
    main()
