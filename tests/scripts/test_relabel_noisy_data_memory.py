"""Memory of relabeling: a tenth of a million rows here, the million in benchmarks/relabeling.py.

The reader's buffers take some 350 MiB whatever the table, so that a tenth of the 4 GiB that the
million may take leaves room for no copy of the table: 100,000 x 80 numbers are 61 MiB.
"""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from repository import ROOT

SCRIPT = ROOT / "relabel_noisy_data.py"
# ru_maxrss is that of this process alone; a child's own figure would start at its parent's.
MEASURE = """
import resource, runpy, sys
sys.argv = sys.argv[1:]
sys.path.insert(0, sys.argv[0].rpartition("/")[0])
try:
    runpy.run_path(sys.argv[0], run_name="__main__")
except SystemExit as stopped:
    assert not stopped.code, stopped.code
for line in open("/proc/self/status"):
    if line.startswith("VmHWM"):
        print(line.split()[1])
"""
N_CLASSES, N_ROWS, LIMIT_KIB = 80, 100_000, 750 * 2**10


def peak_kib(folder: Path, n_rows: int, mode: str) -> int:
    """Peak resident memory, in KiB, of relabeling n_rows rows."""
    generator = np.random.default_rng(0)
    classes = [f"class_{number:02}" for number in range(N_CLASSES)]
    fnames = [f"{number:08x}.wav" for number in range(n_rows)]
    labels = np.array(classes)[generator.integers(N_CLASSES, size=n_rows)]
    noisy, predictions = folder / "noisy.csv", folder / "predictions.csv"
    pd.DataFrame({"fname": fnames, "labels": labels}).to_csv(noisy, index=False)
    scores = pd.DataFrame(generator.random((n_rows, N_CLASSES)), columns=classes)
    scores.assign(fname=fnames).to_csv(predictions, index=False)
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, str(SCRIPT), f"--noisy_df={noisy}", f"--mode={mode}"]
        + [f"--noisy_predictions_df={predictions}", f"--output_df={folder / 'out.csv'}"],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return int(done.stdout.split()[-1])


@pytest.mark.slow
def test_100_000_rows_are_relabeled_within_750_mib(tmp_path):
    assert peak_kib(tmp_path, N_ROWS, "relabelall-merge_1.2") < LIMIT_KIB
