"""Clips as if recorded elsewhere: played through another band, room and codec than those of the test."""

from __future__ import annotations

import io
import os
import shutil
import zlib
from pathlib import Path

import numpy as np
import soundfile
from scipy.signal import butter, fftconvolve, sosfilt

BAND_HZ = (200.0, 3400.0)
BAND_ORDER = 2  # of each slope: 12 dB an octave
DECAY_SECONDS = (0.2, 0.6)  # until a room's sound has fallen by 60 dB
DIRECT_SHARE = 0.5  # of a clip's energy that does not come from the walls
CODEC_COMPRESSION = 0.9  # of Vorbis, 0 to 1: towards the lowest rate


def band(audio: np.ndarray, rate: int) -> np.ndarray:
    """(samples,) through a Butterworth band-pass, as of a small microphone."""
    return sosfilt(butter(BAND_ORDER, BAND_HZ, "bandpass", fs=rate, output="sos"), audio)


def room_response(decay_seconds: float, rate: int, rng: np.random.Generator) -> np.ndarray:
    """(samples,) impulse response of energy 1: the direct sound, then noise that decays exponentially.

    Polack's model of a room, as in Jot 1992; -60 dB after decay_seconds.
    """
    times = np.arange(1, round(decay_seconds * rate)) / rate
    walls = rng.standard_normal(len(times)) * 10.0 ** (-3 * times / decay_seconds)
    walls *= np.sqrt((1 - DIRECT_SHARE) / (walls**2).sum())
    return np.concatenate([[np.sqrt(DIRECT_SHARE)], walls])


def codec(audio: np.ndarray, rate: int) -> np.ndarray:
    """(samples,) as Vorbis of a low rate leaves them, as many as before."""
    file = io.BytesIO()
    soundfile.write(file, audio, rate, format="OGG", subtype="VORBIS", compression_level=CODEC_COMPRESSION)
    file.seek(0)
    return soundfile.read(file, frames=len(audio), fill_value=0.0, dtype="float64")[0]


def play_elsewhere(audio: np.ndarray, rate: int, rng: np.random.Generator) -> np.ndarray:
    """(samples,) mono in [-1, 1] -> the same length, with the same peak."""
    room = room_response(rng.uniform(*DECAY_SECONDS), rate, rng)
    heard = fftconvolve(band(audio, rate), room)[: len(audio)]
    peak = np.abs(audio).max(initial=0.0)
    return codec(_scaled(heard, peak), rate).clip(-1, 1)


def _scaled(audio: np.ndarray, peak: float) -> np.ndarray:
    loudest = np.abs(audio).max(initial=0.0)
    return audio * (peak / loudest) if loudest > 0 else audio


def copy_elsewhere(source: Path, target: Path, seed: int) -> None:
    """Writes every WAV file of a folder to another, which appears whole, as if recorded elsewhere.

    Each clip has its own room, a function of seed and name.
    """
    temporary = target.with_name(f"{target.name}.{os.getpid()}.tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    for path in sorted(source.glob("*.wav")):
        audio, rate = soundfile.read(path, dtype="float64")
        rng = np.random.default_rng([seed, zlib.crc32(path.name.encode())])
        soundfile.write(temporary / path.name, play_elsewhere(audio, rate, rng), rate, subtype="PCM_16")
    if target.exists():  # another process was faster
        shutil.rmtree(temporary)
    else:
        os.replace(temporary, target)
