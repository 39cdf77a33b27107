#!/usr/bin/env python3
"""Time and memory of relabel_noisy_data.py on synthetic tables, whole process, every strategy.

python benchmarks/relabeling.py [--rows 19815 1000000] [--classes 80] [--modes scoring_1000]
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

SCRIPT = Path(__file__).resolve().parent.parent / "relabel_noisy_data.py"
MODES = [
    "scoring_1000",
    "fullmatch_1.2",
    "relabelall_1.2",
    "relabelall-replacenan_1.2",
    "relabelall-merge_1.2",
    "trust_0.95",
    "correct-soft_0.3",
]


def make_tables(folder: Path, n_rows: int, n_classes: int) -> tuple[Path, Path]:
    """Tables of random labels and of predictions that agree with them more or less."""
    rng = np.random.default_rng(0)
    names = [f"Class_{i:02d}" for i in range(n_classes)]
    noisy, predictions = folder / f"noisy_{n_rows}.csv", folder / f"predictions_{n_rows}.csv"
    for start in range(0, n_rows, 50_000):
        n = min(50_000, n_rows - start)
        label = rng.integers(0, n_classes, n)
        logits = rng.normal(-4, 1.5, (n, n_classes))
        logits[np.arange(n), label] += rng.normal(4, 2, n)
        fnames = [f"{start + i:08x}.wav" for i in range(n)]
        frame = pd.DataFrame(1 / (1 + np.exp(-logits)), columns=names).assign(fname=fnames)
        options = {"index": False, "header": start == 0, "mode": "a"}
        frame.to_csv(predictions, **options)
        pd.DataFrame({"fname": fnames, "labels": [names[i] for i in label]}).to_csv(noisy, **options)
    return noisy, predictions


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rows", type=int, nargs="+", default=[19_815])
    parser.add_argument("--classes", type=int, default=80)
    parser.add_argument("--modes", nargs="+", default=MODES)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for n_rows in args.rows:
            noisy, predictions = make_tables(Path(folder), n_rows, args.classes)
            for mode in args.modes:
                command = [sys.executable, str(SCRIPT), "--noisy_df", str(noisy)]
                command += ["--noisy_predictions_df", str(predictions), "--mode", mode]
                command += ["--output_df", os.path.join(folder, "out.csv")]
                started = time.perf_counter()
                subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
                seconds = time.perf_counter() - started
                # The largest child so far; the modes of one table need about the same.
                peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20
                print(
                    f"{n_rows:8d} x {args.classes}  {mode:26} {seconds:7.2f} s  {peak:5.2f} GiB", flush=True
                )


if __name__ == "__main__":
    main()
