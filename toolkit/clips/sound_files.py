"""Sound files: any format that soundfile reads, or ffmpeg -> mono float32 at 44,100 Hz."""

from __future__ import annotations

import math
import os
import re
import stat
import struct
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import BinaryIO

import numpy as np
import soundfile

from ops.errors import DataError, raise_lack
from ops.sampling import SAMPLE_RATE
from toolkit.clips.chunked_files import (
    survey_aiff,
    survey_au,
    survey_caf,
    survey_nist,
    survey_w64,
    survey_wav,
)
from toolkit.clips.flac_frames import survey_flac
from toolkit.clips.foreign_files import (
    FOREIGN_SUFFIXES,
    INSTALL,
    decode,
    find_ffmpeg,
    survey_foreign,
)
from toolkit.clips.layouts import Layout, Loss, Source, Spliced
from toolkit.clips.mpeg_frames import begins_as_mpeg, survey_mpeg
from toolkit.clips.ogg_pages import survey_ogg
from toolkit.clips.streams import Stream

# A longer clip has a damaged header.
MAX_SAMPLES = 24 * 3600 * SAMPLE_RATE
# Float samples may overshoot by effects and mixing, and are clipped. Beyond four times full scale (12 dB)
# the file is scaled otherwise, most often to integers.
MAX_OVERSHOOT = 4.0
FLOAT_SUBTYPES = ("FLOAT", "DOUBLE")
LONG_FILE = 2**20  # bytes from which on a file's layout is kept: each segment is read on its own
COUNTED_BLOCK = 2**10  # frames
# Formats whose frames are the same to the last bit wherever decoding begins, unless these codecs made them.
EXACT_FORMATS = ("WAV", "WAVEX", "RF64", "W64", "AIFF", "AU", "FLAC", "OGG")
INEXACT_SUBTYPES = ("MPEG_LAYER_I", "MPEG_LAYER_II", "MPEG_LAYER_III", "OPUS")
# By a file's first bytes what tells its true length and what is missing. libsndfile reads the samples of a
# WAV as far as they go, estimates the length of an MP3 without an index, stops at the end of the first of
# several streams, and says nothing of what is missing.
SURVEYS: dict[bytes, Callable[[Source, Layout], None]] = {
    b"RIFF": survey_wav,
    b"RIFX": survey_wav,
    b"RF64": survey_wav,
    b"riff": survey_w64,
    b"FORM": survey_aiff,
    b".snd": survey_au,
    b"dns.": survey_au,
    b"caff": survey_caf,
    b"NIST": survey_nist,
    b"fLaC": survey_flac,
    b"OggS": survey_ogg,
}
_LAST = threading.local()  # what ffmpeg decoded last: clips are read several times in a row
# soundfile and soxr raise TypeError for .raw names, MemoryError where a header promises too much.
_READ_ERRORS = (
    *(soundfile.SoundFileError, OSError, RuntimeError, ValueError, TypeError, MemoryError),
    struct.error,  # of a header that ends early
)


class MissingAudioError(DataError):
    """There is no such file; `path` names it."""

    def __init__(self, message: str, path: str | Path):
        super().__init__(message, path)
        self.path = path

    def __str__(self) -> str:
        return self.args[0]


class EmptyAudioError(DataError):
    """A sound file without a sample."""


class ForeignAudioError(DataError):
    """The file may be sound, in a format that needs ffmpeg, which is missing; `found` says which format."""

    def __init__(self, message: str, found: str):
        super().__init__(message, found)
        self.found = found

    def __str__(self) -> str:
        return self.args[0]


class PartialAudioError(DataError):
    """A sound file that holds less than it promises, or of which only a part can be decoded."""


class OverscaleAudioError(DataError):
    """A file of float samples far beyond [-1, 1], as where integers were written as they are."""


@dataclass(frozen=True)
class AudioHeader:
    """What a sound file holds: by its header or, where that is not sure, by its structure.

    n_samples: of all its streams, after resampling to SAMPLE_RATE. sample_rate, channels: of the first.
    surplus: what lies behind the sound and is not read, in words.
    """

    n_samples: int
    sample_rate: int
    channels: int
    surplus: str = ""


def read_header(path: str | Path) -> AudioHeader:
    """The true length, and what else the header says, without decoding.

    Raises DataError where the clip is missing, unreadable, empty or holds less than it promises.
    """
    with _opened(path) as clip:
        return clip.header()


def read_audio(path: str | Path, start: int = 0, n_samples: int | None = None) -> np.ndarray:
    """Reads a clip, or a segment of it, mixed down to mono and resampled to 44,100 Hz.

    Only the segment is read from disk (and decoded, where the format can seek). Streams one behind the
    other, as in joined MP3 or Ogg files, are one clip. Float samples beyond [-1, 1] are clipped, as a
    sound card would, up to MAX_OVERSHOOT.

    Args:
        path: a file that soundfile reads; where ffmpeg is installed, any that it decodes, all of it at once.
        start: first sample, counted at 44,100 Hz.
        n_samples: at most so many samples at 44,100 Hz; None: to the end.

    Returns:
        (samples,) float32; the channels' mean.

    Raises:
        DataError: missing, unreadable, empty, only partly decodable, or with samples that are not finite or
            beyond MAX_OVERSHOOT.
    """
    with _opened(path) as clip:
        return clip.read(start, n_samples)


def read_clip(path: str | Path) -> tuple[AudioHeader, np.ndarray]:
    """read_header and read_audio in one."""
    with _opened(path) as clip:
        return clip.header(), clip.read(0, None)


def decode_clip(path: str | Path, max_seconds: float) -> Stream | None:
    """All of a clip decoded, as a stream in memory; None where it is longer, or made of several streams.

    Raises what read_audio does.
    """
    with _opened(path) as clip:
        stream = clip.stream(clip.readers[0])
        if len(clip.readers) > 1 or stream.n_frames > max_seconds * stream.rate:
            return None
        return stream.decoded()


def check_header(path: str | Path) -> int:
    """The clip's length in samples at 44,100 Hz, after all that can be checked without decoding.

    Raises what read_header does, and of a float file, which is read to its end, OverscaleAudioError.
    """
    with _opened(path) as clip:
        if any(reader.subtype in FLOAT_SUBTYPES for reader in clip.readers):
            try:
                clip.read(0, None)
            except OverscaleAudioError:
                raise
            except DataError as error:  # as of samples that are not finite: told where the clip is read
                raise_lack(error)
        return clip.header().n_samples


@dataclass(frozen=True)
class _Clip:
    """An open sound file: of each of its streams what soundfile opens, a reader, where it may be sought."""

    name: str
    sounds: list[str | bytes | Spliced]
    readers: list[soundfile.SoundFile]
    last_seeks: list[int | None]
    surplus: str

    def header(self) -> AudioHeader:
        first, n_samples = self.readers[0], sum(self.stream(reader).n_samples for reader in self.readers)
        return AudioHeader(n_samples, first.samplerate, first.channels, self.surplus)

    def read(self, start: int, n_samples: int | None) -> np.ndarray:
        """read_audio's samples."""
        streams = [self.stream(reader) for reader in self.readers]
        lengths = [stream.n_samples for stream in streams]
        first = min(start, sum(lengths) - 1)
        last = sum(lengths) if n_samples is None else first + n_samples
        parts, begin = [], 0
        try:
            for stream, length in zip(streams, lengths, strict=True):
                low, high = max(first - begin, 0), min(last - begin, length)
                if low < high:
                    count = high - low if n_samples is not None or len(lengths) > 1 else None
                    parts.append(stream.read(low, count))
                begin += length
        except DataError:
            raise
        except _READ_ERRORS as error:
            raise DataError(f"{self.name}: cannot be decoded ({_reason(error)})") from error
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def stream(self, reader: soundfile.SoundFile) -> Stream:
        """One of its streams."""
        is_exact = reader.format in EXACT_FORMATS and reader.subtype not in INEXACT_SUBTYPES
        decode = partial(self._mixed_down, reader)
        return Stream(reader.samplerate, SAMPLE_RATE, reader.frames, decode, is_exact)

    def _mixed_down(self, reader: soundfile.SoundFile, first: int, count: int) -> np.ndarray:
        """(count,) float32 from a stream's frame `first` on: the channels' mean, checked."""
        audio = self._decode(reader, first, count)  # (frames, channels)
        if not reader.subtype.startswith("PCM_"):  # whole numbers are finite, and within full scale
            self._check_values(audio, reader.subtype in FLOAT_SUBTYPES)
        if audio.shape[1] == 2:
            return (audio[:, 0] + audio[:, 1]) / 2  # in a thirtieth of numpy's time for a mean of two
        return audio.mean(axis=1) if audio.shape[1] > 1 else audio.reshape(-1)

    def _check_values(self, audio: np.ndarray, is_float: bool) -> None:
        lowest, highest = float(audio.min()), float(audio.max())
        if not (math.isfinite(lowest) and math.isfinite(highest)):
            raise DataError(f"{self.name}: expected finite samples, found NaN or infinity")
        if is_float and max(highest, -lowest) > MAX_OVERSHOOT:
            raise OverscaleAudioError(
                f"{self.name}: expected float samples in [-1, 1], found {max(highest, -lowest):.6g}, as "
                f"where integers are written as float; {_scaling(max(highest, -lowest))}"
            )

    def _decode(self, reader: soundfile.SoundFile, first: int, count: int) -> np.ndarray:
        """(count, channels) float32 from a stream's frame `first` on."""
        at = 0
        if first and reader.seekable():
            at = first - _preroll(reader)
            limit = self.last_seeks[self.readers.index(reader)]
            at = reader.seek(max(0, at if limit is None else min(at, limit)))
        try:
            audio = reader.read(first - at + count, dtype="float32", always_2d=True)
            if at and len(audio) < first - at + count:  # some formats cannot seek into their last block
                at = reader.seek(0)
                audio = reader.read(first + count, dtype="float32", always_2d=True)
        except soundfile.SoundFileError as error:
            self._raise_partial(reader, _reason(error))
            raise
        if len(audio) < first - at + count:
            self._raise_partial(reader, "it is damaged")
            raise EmptyAudioError(f"{self.name}: its header promises {reader.frames} samples, found none")
        return audio[first - at :]

    def _raise_partial(self, reader: soundfile.SoundFile, why: str) -> None:
        """Raises PartialAudioError with the length that can be decoded, if there is any."""
        n_found, sound = 0, self.sounds[self.readers.index(reader)]
        if isinstance(sound, Spliced):
            sound.seek(0)
        try:
            with soundfile.SoundFile(sound) as anew:  # after an error a reader may not go on
                while n_read := len(anew.read(COUNTED_BLOCK, dtype="float32", always_2d=True)):
                    n_found += n_read
        except soundfile.SoundFileError:
            pass
        if n_found:
            raise _partial(
                self.name, Loss(n_found / reader.samplerate, reader.frames / reader.samplerate, why)
            )


@contextmanager
def _opened(path: str | Path) -> Iterator[_Clip]:
    name = _one_line(path)
    status = _status(path, name)
    try:
        with ExitStack() as stack:
            file = stack.enter_context(open(_openable(path), "rb"))
            if status.st_size < LONG_FILE:
                layout = _survey(file)
            else:
                layout = _survey_long(_openable(path), status.st_size, status.st_mtime_ns)
            if layout.loss is not None and layout.loss.found:
                raise _partial(name, layout.loss)
            sounds = [Spliced(file, pieces) for pieces in layout.streams] or [_openable(path)]
            if layout.foreign:
                sounds = [_decoded_by_ffmpeg(path, name, layout, status)]
            readers = [stack.enter_context(soundfile.SoundFile(sound)) for sound in sounds]
            loss = _logged_loss(readers[0])
            if loss is not None:
                raise _partial(name, loss)
            clip = _Clip(name, sounds, readers, layout.last_seeks or [None] * len(readers), layout.surplus)
            for reader in clip.readers:
                if reader.frames < 1 or reader.channels < 1 or reader.samplerate < 1:
                    raise EmptyAudioError(f"{name}: expected at least one sample, found none")
            if clip.header().n_samples > MAX_SAMPLES:
                raise DataError(
                    f"{name}: expected at most 24 hours, its header says {clip.readers[0].frames} samples at "
                    f"{clip.readers[0].samplerate} Hz, a wrong length; encode it anew"
                )
            yield clip
    except DataError:
        raise
    except _READ_ERRORS as error:
        raise DataError(f"{name}: cannot be read as audio ({_reason(error)})") from error


def _decoded_by_ffmpeg(path: str | Path, name: str, layout: Layout, status: os.stat_result) -> Spliced:
    """A foreign file's sound as an AU file without a name, kept until this thread decodes another one."""
    program, what = find_ffmpeg(), layout.foreign
    if program is None:
        raise ForeignAudioError(f"{name}: cannot be read as audio, it is {what}; {INSTALL}", f"it is {what}")
    # Forked processes would share the place that is read at.
    key = (os.getpid(), os.path.abspath(path), status.st_size, status.st_mtime_ns, status.st_ctime_ns)
    if getattr(_LAST, "key", None) != key:
        _LAST.key, _LAST.file = None, tempfile.TemporaryFile()  # noqa: SIM115
        _LAST.complaints = decode(program, _openable(path), _LAST.file)
        _LAST.key = key
    sound = Spliced(_LAST.file, [(0, os.fstat(_LAST.file.fileno()).st_size)])
    if _LAST.complaints or layout.loss is not None:
        why = layout.loss.why if layout.loss is not None else f"ffmpeg: {_LAST.complaints[0].rstrip('.')}"
        with suppress(soundfile.SoundFileError), soundfile.SoundFile(sound) as reader:
            if reader.frames:
                raise _partial(name, Loss(reader.frames / reader.samplerate, None, why))
        raise DataError(f"{name}: cannot be read as audio, it is {what} ({why})")
    return sound


def _status(path: str | Path, name: str) -> os.stat_result:
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
    return status


def _survey(file: BinaryIO) -> Layout:
    """What the file holds by its structure; of a kind that has no scanner, an empty layout."""
    source, layout = Source(file), Layout()
    survey_foreign(source, layout)
    magic = source.at(0, 4)
    if magic[:3] == b"ID3":
        magic = source.at(source.end_of_id3(0), 4)
    scan = SURVEYS.get(magic)
    if not layout.foreign and scan in (None, survey_ogg):  # Ogg holds other codecs, too
        suffix, is_mpeg = Path(os.fsdecode(file.name)).suffix.lower(), begins_as_mpeg(source)
        if not is_mpeg and suffix in FOREIGN_SUFFIXES and not _is_known(file.name):
            layout.foreign = f"perhaps a {suffix} file"
        elif scan is None and (is_mpeg or not _is_known(file.name)):
            scan = survey_mpeg
    if scan is not None:
        scan(source, layout)
    return layout


def _is_known(path: str | bytes) -> bool:
    """Whether soundfile knows the file as anything but MP3, of which any bytes may seem to be frames."""
    try:
        return soundfile.info(path).format not in ("MP3", "MPEG")
    except soundfile.SoundFileError:
        return False


@lru_cache(maxsize=1024)
def _survey_long(path: str | bytes, size: int, mtime_ns: int) -> Layout:
    """_survey of a long file, done once as long as the file stays the same."""
    with open(path, "rb") as file:
        return _survey(file)


def _preroll(reader: soundfile.SoundFile) -> int:
    """Samples that must be decoded before the first that is wanted.

    An MP3 frame's bits may begin in those before it, 511 bytes back, or 255 at rates below 32,000 Hz: up to
    9 frames of silence at the lowest bit rate, or 85 of 3 bytes each.
    """
    if not reader.subtype.startswith("MPEG_LAYER"):
        return 0
    return 2**14 if reader.samplerate >= 32000 else 2**16


def _logged_loss(reader: soundfile.SoundFile) -> Loss | None:
    """What libsndfile's log tells to be missing of rare formats, which have no scanner here."""
    if reader.format not in ("AVR", "MAT4", "MPC2K", "SVX", "VOC", "WVE"):
        return None
    found, log = reader.frames / reader.samplerate, reader.extra_info
    promised = re.search(r"Frames +: (\d+)", log)
    if promised is not None and int(promised[1]) > reader.frames:
        return Loss(found, int(promised[1]) / reader.samplerate, "the file is cut off")
    return Loss(found, None, "the file is cut off") if re.search("truncated|should be", log) else None


def _partial(name: str, loss: Loss) -> PartialAudioError:
    found = f"{loss.found:.2f} of {loss.promised:.2f}" if loss.promised else f"{loss.found:.2f}"
    return PartialAudioError(f"{name}: only {found} seconds can be decoded ({loss.why})")


def _scaling(peak: float) -> str:
    bits = next((bits for bits in (8, 16, 24, 32) if peak <= 2 ** (bits - 1)), None)
    return f"divide them by {2 ** (bits - 1)} ({bits} bits)" if bits else "scale them to [-1, 1]"


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
