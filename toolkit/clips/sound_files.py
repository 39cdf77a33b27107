"""Sound files: any format that soundfile reads -> mono float32 at 44,100 Hz."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import soxr

from ops.errors import DataError
from ops.sampling import SAMPLE_RATE

# A longer clip has a damaged header, or one that leaves the length open, as streamed FLAC does.
MAX_SAMPLES = 24 * 3600 * SAMPLE_RATE
MP3_BLOCK = 2**20  # samples
# soundfile and soxr raise TypeError for .raw names, MemoryError where a header promises too much.
_READ_ERRORS = (soundfile.SoundFileError, OSError, RuntimeError, ValueError, TypeError, MemoryError)


class MissingAudioError(DataError):
    """There is no such file; `path` names it."""

    def __init__(self, message: str, path: str | Path):
        super().__init__(message, path)
        self.path = path

    def __str__(self) -> str:
        return self.args[0]


class EmptyAudioError(DataError):
    """A sound file without a sample."""


@dataclass(frozen=True)
class AudioHeader:
    """What a sound file's header says."""

    n_frames: int
    sample_rate: int
    channels: int

    @property
    def n_samples(self) -> int:
        """Samples after resampling to SAMPLE_RATE."""
        return max(1, round(self.n_frames * SAMPLE_RATE / self.sample_rate))


def read_header(path: str | Path) -> AudioHeader:
    """Reads a clip's header. Raises DataError where it is missing, unreadable or empty."""
    name = _one_line(path)
    try:
        status = os.stat(path)
    except PermissionError as error:
        raise DataError(f"{name}: cannot be read as audio ({error.strerror})") from error
    except (OSError, ValueError) as error:  # ValueError: no file can have this name
        found = "" if isinstance(error, FileNotFoundError) else f" ({_reason(error)})"
        raise MissingAudioError(f"{name}: expected an audio file, it does not exist{found}", path) from error
    if not stat.S_ISREG(status.st_mode):
        found = "a folder" if stat.S_ISDIR(status.st_mode) else "no regular file"
        raise DataError(f"{name}: expected an audio file, found {found}")
    if not status.st_size:
        raise EmptyAudioError(f"{name}: expected an audio file, found an empty one")
    try:
        info = soundfile.info(_openable(path))
    except _READ_ERRORS as error:
        raise DataError(f"{name}: cannot be read as audio ({_reason(error)})") from error
    if info.frames < 1 or info.channels < 1 or info.samplerate < 1:
        raise EmptyAudioError(f"{name}: expected at least one sample, found none")
    header = AudioHeader(info.frames, info.samplerate, info.channels)
    if header.n_samples > MAX_SAMPLES:
        raise DataError(
            f"{name}: expected at most 24 hours, its header says {info.frames} samples at "
            f"{info.samplerate} Hz, a wrong or an open length; encode it anew"
        )
    return header


def missing_bytes(path: str | Path) -> int:
    """How many more a RIFF WAV file should have by its size field, as where a copy was cut off.

    0 of other files, and where the field is left open (0 or all ones).
    """
    with open(path, "rb") as file:
        head = file.read(8)
        size = os.stat(file.fileno()).st_size
    declared = int.from_bytes(head[4:8], "little")
    if head[:4] != b"RIFF" or declared in (0, 2**32 - 1):
        return 0
    return max(0, declared + 8 - size)


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
    name = _one_line(path)
    header = read_header(path)
    ratio = header.sample_rate / SAMPLE_RATE
    first = min(int(start * ratio), header.n_frames - 1)
    count = -1 if n_samples is None else max(1, int(np.ceil(n_samples * ratio)))
    try:
        with soundfile.SoundFile(_openable(path)) as file:
            if first:
                file.seek(first)
            audio = _decode(file, count)  # (samples, channels)
            if first and not len(audio):
                file.seek(0)  # the estimate of an MP3's length was too long: take the end that there is
                audio = _decode(file, -1)[-max(count, 1) :]
        if not len(audio):
            raise EmptyAudioError(f"{name}: its header promises {header.n_frames} samples, found none")
        _require_finite(audio, name)
        with np.errstate(over="ignore"):
            audio = audio[:, 0] if audio.shape[1] == 1 else audio.mean(axis=1)
        if header.sample_rate != SAMPLE_RATE:
            audio = soxr.resample(audio, header.sample_rate, SAMPLE_RATE)
            if not len(audio):  # shorter than one sample at 44,100 Hz
                audio = np.zeros(1)
        _require_finite(audio, name)  # sums of huge samples
    except DataError:
        raise
    except _READ_ERRORS as error:
        raise DataError(f"{name}: cannot be decoded ({_reason(error)})") from error
    if n_samples is not None:
        audio = audio[:n_samples]
    # Float files and resampling can overshoot; the contract is [-1, 1], as a sound card would clip.
    return np.clip(audio, -1.0, 1.0).astype(np.float32, copy=False)


def _decode(file: soundfile.SoundFile, count: int) -> np.ndarray:
    """(samples, channels) float32 from where the file stands: at most count, or with -1 all there are.

    The length of an MP3 without an index is an estimate, and soundfile reads no further than that: so
    MP3 is read in blocks until one comes back short, its missing end marked by NaN.
    """
    if file.format not in ("MP3", "MPEG"):
        return file.read(count, dtype="float32", always_2d=True)
    blocks, left = [], MAX_SAMPLES if count < 0 else count
    while left > 0:
        block = file.read(min(left, MP3_BLOCK), dtype="float32", always_2d=True, fill_value=np.nan)
        n_read = len(block) - int(np.isnan(block[::-1, 0]).cumprod().sum())
        blocks.append(block[:n_read])
        left -= n_read
        if n_read < len(block):
            break
    return np.concatenate(blocks)


def _require_finite(audio: np.ndarray, name: str) -> None:
    if not np.isfinite(audio).all():
        raise DataError(f"{name}: expected finite samples, found NaN or infinity")


def _one_line(path: str | Path) -> str:
    return " ".join(str(path).splitlines())


def _openable(path: str | Path) -> str | bytes:
    """soundfile takes text that is UTF-8, or a name's very bytes."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        return os.fsencode(path)
    return str(path)


def _reason(error: Exception) -> str:
    text = getattr(error, "strerror", None) or str(error)
    return text.splitlines()[-1] if text else type(error).__name__
