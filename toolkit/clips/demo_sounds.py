"""Synthetic clips of eight kinds of sound over background noise, in sets with right or wrong labels."""

from __future__ import annotations

import io
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import soundfile
from scipy.signal import butter, sosfilt

from ops.errors import DataError
from ops.sampling import SAMPLE_RATE
from toolkit.system.files import disk_errors

MEDIAN_SECONDS = 1.5


@dataclass(frozen=True)
class Recipe:
    """What clips are like.

    seconds: shortest and longest. p_two: probability of a second label. max_snr_db: loudest over the noise.
    """

    seconds: tuple[float, float]
    p_two: float
    max_snr_db: float


def _time(n: int) -> np.ndarray:
    return np.arange(n) / SAMPLE_RATE  # s


def _noise(rng: np.random.Generator, n: int, low_hz: float, high_hz: float) -> np.ndarray:
    band = butter(2, [low_hz, high_hz], btype="bandpass", fs=SAMPLE_RATE, output="sos")
    return sosfilt(band, rng.standard_normal(n))


def _sweep(hz: np.ndarray) -> np.ndarray:
    """A sine of the given frequency at each sample."""
    return np.sin(2 * np.pi * np.cumsum(hz) / SAMPLE_RATE)


def _repeat(rng: np.random.Generator, n: int, per_second: float, make_event: Callable) -> np.ndarray:
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


def make_clip(rng: np.random.Generator, labels: list[str], recipe: Recipe) -> np.ndarray:
    """(samples,) float64 in [-1, 1]: the labels' sounds at random levels over background noise."""
    seconds = np.clip(MEDIAN_SECONDS * np.exp(rng.normal(0, 0.8)), *recipe.seconds)
    n = int(seconds * SAMPLE_RATE)
    clip = np.zeros(n)
    for name in labels:
        sound = SOUNDS[name](rng, n)
        clip += sound / max(np.sqrt(np.mean(sound**2)), 1e-9) * 10 ** (rng.uniform(-6, 0) / 20)
    noise = _noise(rng, n, 50, rng.uniform(500, 6000))
    clip += noise / np.sqrt(np.mean(noise**2)) * 10 ** (-rng.uniform(-6, recipe.max_snr_db) / 20)
    return clip / np.abs(clip).max() * rng.uniform(0.2, 0.95)


def write_clips(
    rng: np.random.Generator, folder: Path, prefix: str, n_clips: int, recipe: Recipe
) -> pd.DataFrame:
    """Writes n_clips WAV files, the classes in turn; returns their fname,labels."""
    with disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for i in range(n_clips):
        labels = [CLASSES[i % len(CLASSES)]]
        if rng.random() < recipe.p_two:
            labels.append(str(rng.choice([name for name in CLASSES if name != labels[0]])))
        fname = f"{prefix}_{i:04d}.wav"
        audio = make_clip(rng, labels, recipe)
        content = io.BytesIO()
        soundfile.write(content, audio, SAMPLE_RATE, format="WAV", subtype="PCM_16")
        with disk_errors(folder / fname):
            (folder / fname).write_bytes(content.getvalue())
        rows.append((fname, ",".join(sorted(labels))))
    return pd.DataFrame(rows, columns=["fname", "labels"])


def write_clips_of_sets(
    rng: np.random.Generator, output: Path, sizes: dict[str, int], recipe: Recipe
) -> list[pd.DataFrame]:
    """Folders of so many clips each; returns their fname,labels. Stopped on the way, nothing is left."""
    check_is_empty(output)
    try:
        return [
            write_clips(rng, output / name, name.removeprefix("train_"), n_clips, recipe)
            for name, n_clips in sizes.items()
        ]
    except BaseException:  # Ctrl-C, too: a part of a data set is no data set
        for name in sizes:
            shutil.rmtree(output / name, ignore_errors=True)
        raise


def check_is_empty(path: Path) -> None:
    """Raises DataError unless the folder is empty or still to be made."""
    if path.exists():
        found = "a file" if not path.is_dir() else next((entry.name for entry in path.iterdir()), "")
        if found:
            raise DataError(f"{path}: expected a new or empty folder, found {found}; choose another")


def mislabel(rng: np.random.Generator, truth: pd.DataFrame, share: float) -> pd.DataFrame:
    """With probability `share` a clip's labels become one other class."""
    cells = [
        str(rng.choice([name for name in CLASSES if name not in cell.split(",")]))
        if rng.random() < share
        else cell
        for cell in truth["labels"]
    ]
    return truth.assign(labels=cells)
