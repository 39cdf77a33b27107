"""Sound files: any format that soundfile reads -> mono float32 at 44,100 Hz."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import soxr

from ops.errors import DataError

SAMPLE_RATE = 44100  # Hz; everything behind this module is at this rate


@dataclass(frozen=True)
class AudioHeader:
    """What a sound file's header says."""

    n_frames: int
    sample_rate: int
    channels: int

    @property
    def n_samples(self) -> int:
        """Samples after resampling to SAMPLE_RATE."""
        return round(self.n_frames * SAMPLE_RATE / self.sample_rate)


def read_header(path: str | Path) -> AudioHeader:
    """Reads a clip's header. Raises DataError where it is missing, unreadable or empty."""
    path = Path(path)
    if not path.is_file():
        found = "found a folder" if path.is_dir() else "it does not exist"
        raise DataError(f"{path}: expected an audio file, {found}")
    try:
        info = soundfile.info(str(path))
    except (soundfile.SoundFileError, OSError, RuntimeError, ValueError) as error:
        raise DataError(f"{path}: cannot be read as audio ({_reason(error)})") from error
    if info.frames < 1 or info.channels < 1 or info.samplerate < 1:
        raise DataError(f"{path}: expected at least one sample, found none")
    return AudioHeader(info.frames, info.samplerate, info.channels)


def read_audio(path: str | Path, start: int = 0, n_samples: int | None = None) -> np.ndarray:
    """Reads a clip, or a segment of it, mixed down to mono and resampled to 44,100 Hz.

    Only the segment is read from disk (and decoded, where the format can seek).

    Args:
        path: a file that soundfile reads.
        start: first sample, counted at 44,100 Hz.
        n_samples: at most so many samples at 44,100 Hz; None: to the end.

    Returns:
        (samples,) float32; the channels' mean.

    Raises:
        DataError: missing, unreadable, empty, or with samples that are not finite.
    """
    header = read_header(path)
    ratio = header.sample_rate / SAMPLE_RATE
    first = min(int(start * ratio), header.n_frames - 1)
    count = -1 if n_samples is None else max(1, int(np.ceil(n_samples * ratio)))
    try:
        with soundfile.SoundFile(str(path)) as file:
            if first:
                file.seek(first)
            audio = file.read(count, dtype="float32", always_2d=True)  # (samples, channels)
    except (soundfile.SoundFileError, OSError, RuntimeError, ValueError) as error:
        raise DataError(f"{path}: cannot be decoded ({_reason(error)})") from error
    if not len(audio):
        raise DataError(f"{path}: its header promises {header.n_frames} samples, found none")
    if not np.isfinite(audio).all():
        raise DataError(f"{path}: expected finite samples, found NaN or infinity")
    audio = audio[:, 0] if audio.shape[1] == 1 else audio.mean(axis=1)
    if header.sample_rate != SAMPLE_RATE:
        audio = soxr.resample(audio, header.sample_rate, SAMPLE_RATE)
        if not len(audio):  # shorter than one sample at 44,100 Hz
            audio = np.zeros(1)
    if n_samples is not None:
        audio = audio[:n_samples]
    # Float files and resampling can overshoot; the contract is [-1, 1], as a sound card would clip.
    return np.clip(audio, -1.0, 1.0).astype(np.float32, copy=False)


def _reason(error: Exception) -> str:
    return str(error).splitlines()[-1] if str(error) else type(error).__name__
