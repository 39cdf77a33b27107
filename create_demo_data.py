#!/usr/bin/env python3
# PYTHON_ARGCOMPLETE_OK
"""Make a small synthetic data set in the competition's layout, for trying the scripts out.

    python create_demo_data.py --output_dir demo/data

Eight kinds of sound, synthesised with random parameters over background noise, clips of 0.3 to 12 s,
some with two labels. The folder gets train_curated/ train_noisy/ test/ (44.1 kHz, 16-bit mono WAV),
train_curated.csv and train_noisy.csv (fname,labels), sample_submission.csv, and what a competitor
never sees: train_noisy_truth.csv and test_truth.csv. Same arguments, same bytes.
"""

import argparse
import io
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import soundfile
from scipy.signal import butter, sosfilt

from ops.errors import DataError
from ops.sampling import SAMPLE_RATE
from toolkit.cli import parser as cli
from toolkit.clips.tables import write_table
from toolkit.system import console
from toolkit.system.files import disk_errors

SECONDS = (0.3, 12.0)
MEDIAN_SECONDS = 1.5


def _time(n: int) -> np.ndarray:
    return np.arange(n) / SAMPLE_RATE  # s


def _noise(rng: np.random.Generator, n: int, low_hz: float, high_hz: float) -> np.ndarray:
    band = butter(2, [low_hz, high_hz], btype="bandpass", fs=SAMPLE_RATE, output="sos")
    return sosfilt(band, rng.standard_normal(n))


def _sweep(hz: np.ndarray) -> np.ndarray:
    """A sine of the given frequency at each sample."""
    return np.sin(2 * np.pi * np.cumsum(hz) / SAMPLE_RATE)


def _repeat(rng: np.random.Generator, n: int, per_second: float, make_event) -> np.ndarray:
    """Events at random times, about per_second a second and at least one."""
    audio = np.zeros(n)
    for start in rng.integers(
        0, max(1, n - SAMPLE_RATE // 10), max(1, rng.poisson(per_second * n / SAMPLE_RATE))
    ):
        event = make_event()[: n - start]
        audio[start : start + len(event)] += event
    return audio


def alarm(rng: np.random.Generator, n: int) -> np.ndarray:
    """A tone that jumps between two pitches."""
    low, rate = rng.uniform(500, 900), rng.uniform(2, 5)
    return _sweep(np.where(np.sin(2 * np.pi * rate * _time(n)) > 0, low, low * rng.uniform(1.2, 1.5)))


def siren(rng: np.random.Generator, n: int) -> np.ndarray:
    """A tone that glides up and down."""
    low, rate = rng.uniform(500, 900), rng.uniform(0.5, 3)
    return _sweep(low * (1.25 + 0.25 * np.sin(2 * np.pi * rate * _time(n) + rng.uniform(0, 6))))


def bell(rng: np.random.Generator, n: int) -> np.ndarray:
    """Struck inharmonic partials that die away."""
    base = rng.uniform(300, 1000)
    time = _time(SAMPLE_RATE)
    strike = sum(
        np.sin(2 * np.pi * base * partial * time) * np.exp(-time * (3 + 2 * i))
        for i, partial in enumerate((1, 2.76, 5.4, 8.9))
    )
    return _repeat(rng, n, 1, lambda: strike * rng.uniform(0.5, 1))


def drum(rng: np.random.Generator, n: int) -> np.ndarray:
    """Low beats whose pitch falls."""
    time = _time(SAMPLE_RATE // 3)
    base = rng.uniform(60, 140)
    beat = _sweep(base * (1 + 2 * np.exp(-30 * time))) * np.exp(-12 * time)
    return _repeat(rng, n, 3, lambda: beat * rng.uniform(0.6, 1))


def rain(rng: np.random.Generator, n: int) -> np.ndarray:
    """Steady high noise."""
    return _noise(rng, n, rng.uniform(1000, 2500), rng.uniform(8000, 16000))


def clicks(rng: np.random.Generator, n: int) -> np.ndarray:
    """Short bursts of wide noise."""
    length = int(rng.uniform(0.002, 0.01) * SAMPLE_RATE)
    return _repeat(rng, n, 8, lambda: rng.standard_normal(length) * np.linspace(1, 0, length))


def engine(rng: np.random.Generator, n: int) -> np.ndarray:
    """Many harmonics of a low, wavering pitch."""
    hz = rng.uniform(40, 110) * (1 + 0.05 * np.sin(2 * np.pi * rng.uniform(0.3, 2) * _time(n)))
    return sum(_sweep(k * hz) / k for k in range(1, 20))


def birdsong(rng: np.random.Generator, n: int) -> np.ndarray:
    """Fast chirps of high pitch."""

    def chirp() -> np.ndarray:
        length = int(rng.uniform(0.05, 0.15) * SAMPLE_RATE)
        return _sweep(np.linspace(*rng.uniform(2500, 7000, 2), length)) * np.hanning(length)

    return _repeat(rng, n, 5, chirp)


SOUNDS = {
    "Alarm": alarm,
    "Bell": bell,
    "Birdsong": birdsong,
    "Clicks": clicks,
    "Drum": drum,
    "Engine": engine,
    "Rain": rain,
    "Siren": siren,
}
CLASSES = sorted(SOUNDS)


def make_clip(rng: np.random.Generator, labels: list[str], max_snr_db: float) -> np.ndarray:
    """(samples,) float64 in [-1, 1]: the labels' sounds at random levels over background noise."""
    seconds = np.clip(MEDIAN_SECONDS * np.exp(rng.normal(0, 0.8)), *SECONDS)
    n = int(seconds * SAMPLE_RATE)
    clip = np.zeros(n)
    for name in labels:
        sound = SOUNDS[name](rng, n)
        clip += sound / max(np.sqrt(np.mean(sound**2)), 1e-9) * 10 ** (rng.uniform(-6, 0) / 20)
    noise = _noise(rng, n, 50, rng.uniform(500, 6000))
    clip += noise / np.sqrt(np.mean(noise**2)) * 10 ** (-rng.uniform(-6, max_snr_db) / 20)
    return clip / np.abs(clip).max() * rng.uniform(0.2, 0.95)


def write_subset(
    rng: np.random.Generator, folder: Path, prefix: str, n_clips: int, p_two: float, max_snr_db: float
) -> pd.DataFrame:
    """Writes n_clips WAV files, the classes in turn; returns their fname,labels."""
    with disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for i in range(n_clips):
        labels = [CLASSES[i % len(CLASSES)]]
        if rng.random() < p_two:
            labels.append(str(rng.choice([name for name in CLASSES if name != labels[0]])))
        fname = f"{prefix}_{i:04d}.wav"
        audio = make_clip(rng, labels, max_snr_db)
        content = io.BytesIO()
        soundfile.write(content, audio, SAMPLE_RATE, format="WAV", subtype="PCM_16")
        with disk_errors(folder / fname):
            (folder / fname).write_bytes(content.getvalue())
        rows.append((fname, ",".join(sorted(labels))))
    return pd.DataFrame(rows, columns=["fname", "labels"])


def mislabel(rng: np.random.Generator, truth: pd.DataFrame, share: float) -> pd.DataFrame:
    """With probability `share` a clip's labels become one other class."""
    cells = [
        str(rng.choice([name for name in CLASSES if name not in cell.split(",")]))
        if rng.random() < share
        else cell
        for cell in truth["labels"]
    ]
    return truth.assign(labels=cells)


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = cli.make_parser(__doc__)
    parser.add_argument("--output_dir", required=True, help="folder to make; must be empty or new")
    parser.add_argument("--n_curated", type=cli.COUNT, default=48, help="curated clips")
    parser.add_argument("--n_noisy", type=cli.COUNT, default=160, help="noisy clips")
    parser.add_argument("--n_test", type=cli.COUNT, default=96, help="test clips")
    parser.add_argument(
        "--label_noise", type=cli.PROBABILITY, default=0.4, help="share of wrong noisy labels"
    )
    parser.add_argument("--p_two", type=cli.PROBABILITY, default=0.25, help="probability of a second label")
    parser.add_argument(
        "--max_snr_db",
        type=cli.number(float, -100, 100),
        default=12,
        help="loudest sound over the background, dB",
    )
    parser.add_argument("--seed", type=cli.number(int, 0), default=7, help="of every random draw")
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    output = Path(args.output_dir)
    if output.exists():
        in_the_way = "a file" if not output.is_dir() else next((path.name for path in output.iterdir()), "")
        if in_the_way:
            raise DataError(f"{output}: expected a new or empty folder, found {in_the_way}; choose another")
    rng = np.random.default_rng(args.seed)

    def subset(name: str, prefix: str, n_clips: int) -> pd.DataFrame:
        return write_subset(rng, output / name, prefix, n_clips, args.p_two, args.max_snr_db)

    try:
        curated = subset("train_curated", "curated", args.n_curated)
        noisy = subset("train_noisy", "noisy", args.n_noisy)
        test = subset("test", "test", args.n_test)
    except BaseException:  # Ctrl-C, too: a part of a data set is no data set
        for name in ("train_curated", "train_noisy", "test"):
            shutil.rmtree(output / name, ignore_errors=True)
        raise
    write_table(output / "train_curated.csv", curated)
    write_table(output / "train_noisy.csv", mislabel(rng, noisy, args.label_noise))
    write_table(output / "train_noisy_truth.csv", noisy)
    write_table(output / "test_truth.csv", test)
    write_table(output / "sample_submission.csv", test[["fname"]].assign(**dict.fromkeys(CLASSES, 0)))
    counts = f"{len(curated)} curated, {len(noisy)} noisy, {len(test)} test clips"
    console.note(f"{output}: {counts}, {len(CLASSES)} classes")


if __name__ == "__main__":
    cli.run_script(main)
