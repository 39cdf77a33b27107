"""What a Tagger is given: files, folders or arrays, as clips."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soxr
import torch

from ops.errors import DataError
from ops.sampling import SAMPLE_RATE
from toolkit.clips.checks import probe_files
from toolkit.clips.loading import Clip, ReadAudio
from toolkit.clips.recordings import find_sounds
from toolkit.clips.sound_files import MAX_OVERSHOOT, read_audio

MAX_CHANNELS = 64
Sound = str | Path | np.ndarray | torch.Tensor


@dataclass(frozen=True)
class ArrayClip(Clip):
    """A clip in memory, (samples,) float32 at 44,100 Hz."""

    audio: np.ndarray | None = None

    def read(self, read_audio: ReadAudio = read_audio) -> np.ndarray:
        start = self.start or 0
        return self.audio[start : start + self.n_samples]


def clips_of(sounds: Sound | Sequence[Sound], sample_rate: int | None) -> list[Clip]:
    """The clips of files, folders and arrays, in their order; see Tagger.predict."""
    if isinstance(sounds, str | Path | np.ndarray | torch.Tensor):
        sounds = [sounds]
    sounds = list(sounds)
    paths = [sound for sound in sounds if isinstance(sound, str | Path)]
    if not sounds or paths and len(paths) < len(sounds):
        raise DataError(
            "expected files and folders, or arrays alone, got " + ("both" if sounds else "nothing")
        )
    if not paths:
        return [_clip_of_array(number, array, sample_rate) for number, array in enumerate(sounds)]
    fnames, files = find_sounds(paths)
    lengths = probe_files(files)
    for length in lengths:
        if isinstance(length, DataError):
            raise length
    return [Clip(*of_file) for of_file in zip(fnames, files, lengths, strict=True)]


def _clip_of_array(number: int, array: Any, sample_rate: int | None) -> ArrayClip:
    where = f"array {number}"
    if sample_rate is None or sample_rate <= 0:
        raise DataError(
            f"{where}: expected the sample rate of arrays in Hz, got {sample_rate}; give sample_rate"
        )
    audio = np.asarray(array)
    if audio.ndim not in (1, 2) or audio.size == 0 or audio.dtype.kind != "f":
        raise DataError(
            f"{where}: expected floats (samples,) or (samples, channels), found {audio.dtype} of shape "
            f"{audio.shape}; integers: divide them by their largest value"
        )
    if audio.ndim == 2 and audio.shape[1] > MAX_CHANNELS:
        raise DataError(
            f"{where}: expected (samples, channels), found {audio.shape[1]} channels of {len(audio)} "
            "samples; give its transpose"
        )
    audio = audio if audio.ndim == 1 else audio.mean(axis=1)
    if not np.isfinite(audio).all() or np.abs(audio).max() > MAX_OVERSHOOT:
        raise DataError(f"{where}: expected samples from -1 to 1, found others; scale or mend them")
    if sample_rate != SAMPLE_RATE:
        audio = soxr.resample(audio, sample_rate, SAMPLE_RATE)
    audio = np.clip(audio, -1, 1).astype(np.float32)
    if not len(audio):
        raise DataError(f"{where}: too short for a sample at {SAMPLE_RATE} Hz")
    return ArrayClip(str(number), Path(where), len(audio), audio=audio)
