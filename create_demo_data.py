#!/usr/bin/env python3
# PYTHON_ARGCOMPLETE_OK
"""Make a small synthetic data set in the competition's layout, for trying the scripts out.

    python create_demo_data.py --output_dir demo/data

Eight kinds of sound, synthesised with random parameters over background noise, clips of 0.3 to 12 s,
some with two labels. The folder gets train_curated/ train_noisy/ test/ (44.1 kHz, 16-bit mono WAV),
train_curated.csv (fname,labels,group), train_noisy.csv (fname,labels), sample_submission.csv, and what a
competitor never sees: train_noisy_truth.csv and test_truth.csv. Same arguments, same bytes.
"""

import argparse
from pathlib import Path

import numpy as np

from toolkit.cli.parser import COUNT, PROBABILITY, make_parser, number, run_script
from toolkit.clips.demo_sounds import CLASSES, Recipe, mislabel, write_clips_of_sets
from toolkit.clips.tables import write_table
from toolkit.system import console

SECONDS = (0.3, 12.0)  # the shortest and the longest clip


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = make_parser(__doc__)
    parser.add_argument("--output_dir", required=True, help="folder to make; must be empty or new")
    parser.add_argument("--n_curated", type=COUNT, default=48, help="curated clips")
    parser.add_argument("--n_noisy", type=COUNT, default=160, help="noisy clips")
    parser.add_argument("--n_test", type=COUNT, default=96, help="test clips")
    parser.add_argument("--label_noise", type=PROBABILITY, default=0.4, help="share of wrong noisy labels")
    parser.add_argument("--p_two", type=PROBABILITY, default=0.25, help="probability of a second label")
    parser.add_argument(
        "--max_snr_db",
        type=number(float, -100, 100),
        default=12,
        help="loudest sound over the background, dB",
    )
    parser.add_argument("--seed", type=number(int, 0), default=7, help="of every random draw")
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    output, rng = Path(args.output_dir), np.random.default_rng(args.seed)
    sizes = {"train_curated": args.n_curated, "train_noisy": args.n_noisy, "test": args.n_test}
    recipe = Recipe(SECONDS, args.p_two, args.max_snr_db)
    curated, noisy, test = write_clips_of_sets(rng, output, sizes, recipe)
    # Each clip is a recording of its own; clips cut from one would share its name.
    recordings = [f"recording_{number:04d}" for number in range(len(curated))]
    write_table(output / "train_curated.csv", curated.assign(group=recordings))
    write_table(output / "train_noisy.csv", mislabel(rng, noisy, args.label_noise))
    write_table(output / "train_noisy_truth.csv", noisy)
    write_table(output / "test_truth.csv", test)
    write_table(output / "sample_submission.csv", test[["fname"]].assign(**dict.fromkeys(CLASSES, 0)))
    counts = f"{len(curated)} curated, {len(noisy)} noisy, {len(test)} test clips"
    console.note(f"{output}: {counts}, {len(CLASSES)} classes")


if __name__ == "__main__":
    run_script(main)
