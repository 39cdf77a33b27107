#!/usr/bin/env python3
"""Every job the plain way and ours, side by side: median, ratio, peak memory, clips a second.

    python benchmarks/run.py [--device cuda] [--jobs train_2d infer_2d] [--repeats 5] [--no_compile]
    python benchmarks/run.py --scaling

On a GPU all ways of all jobs run in this process, which takes long to start there, and each job ends after
--seconds_per_job (twice that at most); a row tells how many repeats there were time for. On a CPU each way
has a process of its own, whose peak memory is the way's.
"""

import argparse
import gc
import math
import platform
import statistics
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]
from toolkit.system.machine import prepare_process  # noqa: E402

prepare_process()  # before torch is imported

import torch  # noqa: E402
from comparison import Comparison, Limits, LocalWay, Measurement, ProcessWay, Way, serve  # noqa: E402
from inputs import SharedClips  # noqa: E402
from jobs import GPU_JOBS, JOBS, SCALING  # noqa: E402
from peaks import of_limit  # noqa: E402

from toolkit.cli.training_flags import resolve_device  # noqa: E402

GPU_SECONDS = 45.0  # of each of seven jobs: under six minutes with all that starts before


def find_setup(device: torch.device, name: str, way: str):
    if name.startswith("scaling:"):
        return dict(SCALING[name.removeprefix("scaling:")][1])[int(way)]
    return (GPU_JOBS if device.type == "cuda" else JOBS)[name].ways[way]


def starter(name: str, device: torch.device, clips: SharedClips) -> Callable[[str, bool], Way]:
    """What starts the ways of a job: on a GPU in this process, on a CPU in one each."""

    def start(way: str, count_flops: bool = False) -> Way:
        if device.type == "cuda":
            return LocalWay(find_setup(device, name, way), device, clips, count_flops)
        command = [sys.executable, str(HERE / "run.py"), "--work", name, way, "--clips", str(clips.folder)]
        return ProcessWay([*command, "--device", str(device)], way == "plain")

    return start


def free_memory() -> None:
    """Of what the last job left."""
    if "torch._dynamo" in sys.modules:  # else it would forget nothing, and take seconds to load
        torch.compiler.reset()
    gc.collect()
    torch.cuda.empty_cache()


def run_scaling(device: torch.device, clips: SharedClips) -> None:
    for name, (what, sizes) in SCALING.items():
        print(f"\n{name}: {what}")
        for size, _ in sizes:
            way = starter(f"scaling:{name}", device, clips)(str(size))
            seconds = statistics.median(way.repeat() for _ in range(3))
            print(f"  {size:9,} {seconds:10.4f} s {way.peak_mib:8.0f} MiB", flush=True)
            way.close()


def run_jobs(jobs: dict[str, Comparison], args: argparse.Namespace, clips: SharedClips) -> None:
    limits = Limits(args.repeats, args.seconds_per_job)
    for name, job in jobs.items():
        print(f"\n{name}: {job.what}", flush=True)
        ways = [way for way in job.ways if not (args.no_compile and "--compile" in way)]
        Measurement(job, limits, starter(name, args.device, clips), of_limit).run(ways)
        free_memory()


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--jobs", nargs="+", choices=sorted({*JOBS, *GPU_JOBS}), help="default: all")
    parser.add_argument("--no_compile", action="store_true", help="leave out the ways that compile first")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument(
        "--seconds_per_job", type=float, help=f"default: {GPU_SECONDS:g} on a GPU, on a CPU no limit"
    )
    parser.add_argument("--scaling", action="store_true", help="time and memory as the work grows")
    parser.add_argument("--work", nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--clips", help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    args.device = resolve_device(parser, args.device)
    on_gpu = args.device.type == "cuda"
    if args.seconds_per_job is None:
        args.seconds_per_job = GPU_SECONDS if on_gpu else math.inf
    jobs = GPU_JOBS if on_gpu else JOBS
    elsewhere = sorted(set(args.jobs or ()) - set(jobs))
    if elsewhere:
        parser.error(
            f"--jobs: expected jobs of {args.device} ({', '.join(jobs)}), got {', '.join(elsewhere)}"
        )
    args.jobs = {name: jobs[name] for name in args.jobs or jobs}
    return args


def main() -> None:
    args = parse_args()
    if args.work:
        setup = find_setup(args.device, *args.work)
        return serve(LocalWay(setup, args.device, SharedClips(args.clips)))
    on_gpu = args.device.type == "cuda"
    where = torch.cuda.get_device_name() if on_gpu else f"{platform.processor() or platform.machine()} CPU"
    print(f"{where}, {torch.get_num_threads()} threads, torch {torch.__version__}, median of {args.repeats}")
    with tempfile.TemporaryDirectory(prefix="clips_") as folder:
        if args.scaling:
            return run_scaling(args.device, SharedClips(folder))
        return run_jobs(args.jobs, args, SharedClips(folder))


if __name__ == "__main__":
    main()
