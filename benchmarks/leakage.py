#!/usr/bin/env python3
"""What out-of-fold figures say of labels that nothing can predict, with and without the column `group`.

    python benchmarks/leakage.py [--recordings 12] [--clips 10] [--seeds 3]

Each recording (tones of its own over noise of its own) is cut into clips, all with the recording's label,
which is drawn at random: what is learned of one recording says nothing about another, and lwlrap is chance.
Where clips of one recording lie on both sides of a fold, a network recognises the recording.
"""

import argparse
import contextlib
import io
import json
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import soundfile

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from toolkit.system.machine import prepare_process  # noqa: E402

prepare_process()  # before torch is imported

import create_class_map  # noqa: E402
import train_2d_cnn  # noqa: E402
from ops.metrics import lwlrap  # noqa: E402
from ops.sampling import SAMPLE_RATE  # noqa: E402

CLASSES = ["A", "B", "C"]
FLAGS = "--features=mel_1024_512_64 --aggregation_type=max --num_conv_blocks=3 --conv_base_depth=12"
FLAGS += " --start_deep_supervision_on=1 --growth_rate=1.5 --optimizer=adam --scheduler=1cycle_0.0001_0.01"
FLAGS += " --epochs=12 --batch_size=8 --n_folds=3 --folds 0 1 2 --num_workers=0 --device=cpu --quiet"


def make_clips(folder: Path, n_recordings: int, n_clips: int, seed: int) -> pd.DataFrame:
    """Writes the clips, half a second each; returns fname, labels, group."""
    rng, rows = np.random.default_rng(seed), []
    time = np.arange(n_clips * SAMPLE_RATE // 2) / SAMPLE_RATE
    labels = [CLASSES[i % len(CLASSES)] for i in range(n_recordings)]
    for number, label in enumerate(rng.permutation(labels)):
        tones = sum(np.sin(2 * np.pi * hz * time) for hz in rng.uniform(200, 8000, 4))
        audio = 0.1 * tones + rng.uniform(0.05, 0.2) * rng.standard_normal(len(time))
        for part, clip in enumerate(np.split(audio.clip(-1, 1), n_clips)):
            fname = f"{number}_{part}.wav"
            soundfile.write(folder / fname, clip, SAMPLE_RATE)
            rows.append((fname, label, f"recording {number}"))
    return pd.DataFrame(rows, columns=["fname", "labels", "group"])


def out_of_fold(folder: Path, table: pd.DataFrame, name: str) -> float:
    """lwlrap over all out-of-fold predictions of a training run on the table."""
    path, classmap = folder / f"{name}.csv", folder / "classmap.json"
    table.to_csv(path, index=False)
    with contextlib.redirect_stdout(io.StringIO()):
        create_class_map.main([f"--train_df={path}", f"--output_file={classmap}"])
        flags = [
            f"--train_df={path}",
            f"--train_data_dir={folder}",
            f"--classmap={classmap}",
            f"--label={name}",
        ]
        train_2d_cnn.main([*flags, *FLAGS.split(), f"--experiments_dir={folder / 'experiments'}", "--quiet"])
    (experiment,) = (folder / "experiments").glob(f"{name}-*")
    return json.loads((experiment / "results.json").read_text())["metric"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--recordings", type=int, default=12)
    parser.add_argument("--clips", type=int, default=10, help="of each recording")
    parser.add_argument("--seeds", type=int, default=3)
    args = parser.parse_args()
    truth = np.eye(len(CLASSES))[np.arange(300) % len(CLASSES)]
    chance = lwlrap(truth, np.random.default_rng(0).random(truth.shape))
    print(f"{'seed':>4}  without group  with group  (chance: {chance:.2f})")
    for seed in range(args.seeds):
        with tempfile.TemporaryDirectory() as name:
            table = make_clips(Path(name), args.recordings, args.clips, seed)
            without = out_of_fold(Path(name), table.drop(columns="group"), "without")
            with_group = out_of_fold(Path(name), table, "with")
        print(f"{seed:4}  {without:13.3f}  {with_group:10.3f}", flush=True)


if __name__ == "__main__":
    main()
