#!/usr/bin/env python3
"""Processes that share batches, or folds, against a single one: clips trained on a second.

    python benchmarks/parallel.py [--processes 1 2] [--epochs 3] [--device cpu]

Two folds of a synthetic data set, whole training commands under torchrun. Each command runs with one epoch
and with 1 + --epochs; the difference leaves out starting and reading tables. Processor time changes little
with other work on the machine, clips a second change with it.
"""

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
N_CLIPS = 192  # half of them train in each of two folds
FLAGS = (
    "--features=mel_2048_1024_128 --aggregation_type=max --optimizer=adam --scheduler=1cycle_0.0001_0.005 "
    "--growth_rate=1.5 --start_deep_supervision_on=1 --batch_size=16 --p_mixup=0.5 --n_folds=2 --folds 0 1"
).split()


def processor_seconds() -> float:
    """Of all ended children and theirs."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def run(command: list[str]) -> tuple[float, float]:
    """Runs it; returns the seconds on the clock and of processors."""
    started, used = time.perf_counter(), processor_seconds()
    finished = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if finished.returncode:
        raise SystemExit(finished.stderr[-3000:])
    return time.perf_counter() - started, processor_seconds() - used


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--processes", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--epochs", type=int, default=3, help="epochs measured")
    parser.add_argument("--depth", type=int, default=16, help="channels of block 0")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--num_workers", type=int, default=0)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="parallel_") as folder:
        data = Path(folder) / "data"
        sizes = ["--n_curated", str(N_CLIPS), "--n_noisy", "8", "--n_test", "8"]
        run([sys.executable, "create_demo_data.py", "--output_dir", str(data), *sizes])
        table = str(data / "train_curated.csv")
        run([sys.executable, "create_class_map.py", "--train_df", table, "--output_file", f"{data}/map.json"])
        flags = [*FLAGS, f"--train_df={table}", f"--train_data_dir={data}/train_curated"]
        flags += [f"--classmap={data}/map.json", f"--conv_base_depth={args.depth}", f"--device={args.device}"]
        flags += [f"--num_workers={args.num_workers}"]
        single = None
        for n in args.processes:
            for parallel in ["batches", "folds"] if n > 1 else ["batches"]:
                launcher = ["-m", "torch.distributed.run", "--standalone", f"--nproc_per_node={n}"]
                command = [sys.executable, *launcher, "train_2d_cnn.py", *flags, f"--parallel={parallel}"]
                seconds = [
                    run([*command, f"--epochs={e}", f"--experiments_dir={folder}/{parallel}_{n}_{e}"])
                    for e in (1, 1 + args.epochs)
                ]
                elapsed, used = (more - less for less, more in zip(*seconds, strict=True))
                clips = N_CLIPS * args.epochs
                rate = clips / elapsed
                single = single or rate
                what = f"share the {parallel}" if n > 1 else ""
                print(
                    f"{n} {args.device} processes {what:18} {rate:8.1f} clips/s  x {rate / single:.2f}  "
                    f"{1000 * used / clips:6.1f} ms of processors a clip",
                    flush=True,
                )


if __name__ == "__main__":
    main()
