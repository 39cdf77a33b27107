#!/usr/bin/env python3
"""All checks that need a GPU, the most important first, in under eight minutes.

    python benchmarks/gpu_check.py [--parts tests steps]

Each part is a process with a time limit, forked from this one, which has loaded the libraries once (that
takes 17 s on a host whose disk is cold). A part that fails or runs out of time stops no other.
"""

import argparse
import importlib
import os
import runpy
import signal
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
TOTAL_SECONDS = 470
STEPS = ("train_2d", "infer_2d")
EPOCHS = ("train_augmented", "train_small", "folds", "effects", "lsep_20000")
GRACE_SECONDS = 5  # of a part that is told to end
# What the parts import. None of it may start CUDA: a forked process cannot use what another one started.
LIBRARIES = ("torch", "torch.profiler", "torch.utils.flop_counter", "pandas", "scipy.signal", "soundfile")
LIBRARIES += ("pytest", "iterstrat.ml_stratifiers", "train_2d_cnn", "predict_2d_cnn", "create_demo_data")


@dataclass(frozen=True)
class Part:
    """What a forked process does, and how long it may."""

    name: str
    seconds: float
    run: Callable[[], object]


def script(name: str, *flags: str) -> Callable[[], object]:
    """Runs a script of this folder as a command would."""

    def run() -> None:
        sys.argv = [str(HERE / name), *flags]
        runpy.run_path(sys.argv[0], run_name="__main__")

    return run


def has_gpu() -> None:
    import torch

    sys.exit(not torch.cuda.is_available())


def gpu_tests(of_several_processes: bool) -> Callable[[], None]:
    """The tests marked gpu; of the files that have some, since collecting all of them takes long.

    Those of several processes, which load the libraries anew, are apart.
    """

    def run() -> None:
        import pytest

        files = [
            path
            for path in sorted(ROOT.glob("tests/**/test_*.py"))
            if "pytest.mark.gpu" in path.read_text() and path.stem.endswith("_ranks") == of_several_processes
        ]
        flags = ["-m", "gpu", "-v", "--tb=short", "-rfE", "-p", "no:cacheprovider"]
        sys.exit(pytest.main([*flags, *map(str, files)]))

    return run


def parts_on(device: str) -> list[Part]:
    """On a CPU the tests are skipped, jobs of the GPU are not there, and the rest is small."""
    on, on_gpu = f"--device={device}", device.startswith("cuda")
    small = [] if on_gpu else ["--depth=8", "--clips=32", "--seconds=1"]
    large = ["--depth=100", "--batch_size=64", "--seconds=10", "--clips=256", "--epochs=2", "--amp"]
    steps, epochs = (STEPS, EPOCHS) if on_gpu else (["lsep"], ["effects"])
    return [
        Part("tests", 60, gpu_tests(of_several_processes=False)),
        Part("steps", 70, script("run.py", on, "--no_compile", "--seconds_per_job=30", "--jobs", *steps)),
        Part("profile", 65, script("step_profile.py", on, *small)),
        Part("epochs", 150, script("run.py", on, "--no_compile", "--seconds_per_job=30", "--jobs", *epochs)),
        Part("precision", 40, script("precision.py", on, *small)),
        Part("profile_large", 40, script("step_profile.py", on, *(large if on_gpu else small))),
        Part("processes", 45, gpu_tests(of_several_processes=True)),
    ]


def run_parts(parts: Sequence[Part], seconds: float) -> dict[str, str]:
    """Runs them one after the other, all within so many seconds; what became of each."""
    ends, found = time.monotonic() + seconds, {}
    for part in parts:
        limit = min(part.seconds, ends - time.monotonic() - GRACE_SECONDS)
        if limit <= 0:
            found[part.name] = "no time was left"
            continue
        print(f"\n=== {part.name} (at most {limit:.0f} s)", flush=True)
        started = time.monotonic()
        found[part.name] = f"{run_part(part.run, limit)} ({time.monotonic() - started:.0f} s)"
        print(f"=== {part.name}: {found[part.name]}", flush=True)
    return found


def run_part(run: Callable[[], object], seconds: float) -> str:
    """Runs it in a forked process; "ok", or what went wrong."""
    sys.stdout.flush()
    sys.stderr.flush()
    process = os.fork()
    if process == 0:
        os.setpgrp()  # its own processes end with it
        os._exit(exit_code_of(run))
    status = wait(process, seconds)
    if status is None:
        for number in (signal.SIGTERM, signal.SIGKILL):
            os.killpg(process, number)
            if wait(process, GRACE_SECONDS) is not None:
                break
        return "out of time"
    code = os.waitstatus_to_exitcode(status)
    return "ok" if code == 0 else f"failed, exit code {code}"


def exit_code_of(run: Callable[[], object]) -> int:
    """Of what a process does; tells of errors and flushes what was printed."""
    code = 1
    try:
        run()
        code = 0
    except SystemExit as stopped:
        code = stopped.code if isinstance(stopped.code, int) else int(stopped.code is not None)
    except BaseException:
        traceback.print_exc()
    sys.stdout.flush()
    sys.stderr.flush()
    return code


def wait(process: int, seconds: float) -> int | None:
    """A child's exit status; None where it still runs after so many seconds."""
    ends = time.monotonic() + seconds
    while True:
        done, status = os.waitpid(process, os.WNOHANG)
        if done:
            return status
        if time.monotonic() > ends:
            return None
        time.sleep(0.05)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--parts", nargs="+", choices=[part.name for part in parts_on("cuda")])
    args = parser.parse_args()
    began = time.monotonic()
    os.chdir(ROOT)
    sys.path[:0] = [str(HERE), str(ROOT)]
    sys.stdout.reconfigure(line_buffering=True)
    from toolkit.system.machine import prepare_process

    prepare_process()  # before torch is imported
    for name in LIBRARIES:
        importlib.import_module(name)
    print(f"libraries loaded in {time.monotonic() - began:.0f} s")
    if args.device.startswith("cuda") and run_part(has_gpu, 60) != "ok":
        sys.exit(
            "expected a GPU that torch can use, found none; --device=cpu tries the parts out on small data"
        )
    parts = [part for part in parts_on(args.device) if not args.parts or part.name in args.parts]
    found = run_parts(parts, TOTAL_SECONDS - (time.monotonic() - began))
    print(f"\n{time.monotonic() - began:.0f} s in all")
    for name, outcome in found.items():
        print(f"  {name:14} {outcome}")
    sys.exit(any(not outcome.startswith("ok") for outcome in found.values()))


if __name__ == "__main__":
    main()
