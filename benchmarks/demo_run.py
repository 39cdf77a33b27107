"""A real training run on synthetic clips in WAV files, by the script's own functions."""

from __future__ import annotations

import io
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import create_class_map
import train_2d_cnn
from toolkit.clips.demo_sounds import Recipe, write_clips
from toolkit.clips.tables import write_table
from toolkit.runs.experiment import Experiment


@dataclass(frozen=True)
class DemoRun:
    """A fold of two, of n_clips clips of about `seconds`; the published network on log-mel spectrograms."""

    folder: Path
    n_clips: int
    seconds: float
    epochs: int
    depth: int
    batch_size: int

    def write_data(self) -> None:
        folder = self.folder / "clips"
        recipe = Recipe((self.seconds, 2 * self.seconds), p_two=0.25, max_snr_db=12)
        table = write_clips(np.random.default_rng(0), folder, "clip", self.n_clips, recipe)
        write_table(self.folder / "train.csv", table)
        files = ["--train_df", str(self.folder / "train.csv"), "--output_file", str(self.folder / "map.json")]
        create_class_map.main(["--quiet", *files])

    def train(self, device: str, *flags: str) -> Experiment:
        """Trains fold 0; flags come last, so that they overrule."""
        here = self.folder / "experiments"
        argv = (
            f"--train_df={self.folder}/train.csv --train_data_dir={self.folder}/clips "
            f"--classmap={self.folder}/map.json --experiments_dir={here} --device={device} --quiet "
            f"--features=mel_2048_1024_128 --aggregation_type=max --optimizer=adam --folds 0 --n_folds=2 "
            f"--scheduler=1cycle_0.0001_0.005 --growth_rate=1.5 --start_deep_supervision_on=1 "
            f"--conv_base_depth={self.depth} --batch_size={self.batch_size} --epochs={self.epochs} "
            f"--max_audio_length={self.seconds:g}"
        ).split()
        with redirect_stdout(io.StringIO()):  # the directory's name
            train_2d_cnn.main([*argv, *flags])
        (directory,) = here.iterdir()
        return Experiment.load(directory)
