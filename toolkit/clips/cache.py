"""Clips kept decoded in a folder, found there by all processes, folds, epochs, runs and rounds.

What is kept is what decoding gives: frames at the file's own rate, mixed down. Resampling and clipping follow
at each reading, so that it gives what reading the file gives, to the last bit, of segments, too. Segments of
formats that do not seek exactly (MP3, Opus) are read from the file unless they begin where it does.
"""

from __future__ import annotations

import errno
import hashlib
import mmap
import os
import struct
import time
import zlib
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from functools import partial
from io import FileIO
from pathlib import Path

import numpy as np

from ops.errors import DataError
from ops.sampling import SAMPLE_RATE
from toolkit.clips.sound_files import decode_clip, read_audio
from toolkit.clips.streams import Stream
from toolkit.system import console
from toolkit.system.files import write_atomically

MAX_SECONDS = 300  # of a longer clip decoding all for a segment costs too much
# In an entry: magic; the sound file's bytes, times of change of content and of status; frames, rate, bytes of
# a frame, whether it seeks exactly; CRC-32 of all that and the frames.
HEADER = struct.Struct("<8s4qiB?")
CHECKSUM = struct.Struct("<I")
MAGIC = b"frames 1"
DTYPES = {2: np.dtype("<i2"), 4: np.dtype("<f4")}
SCALE = np.float32(2.0**-15)  # of 16-bit frames
# A file changed twice within a tick of the kernel's clock bears the same time: it is kept a while later.
SETTLED_NS = 10**8
# Of a disk so much stays free for all else: a tenth, at most 4 GB.
FREE_SHARE, FREE_BYTES = 0.1, 4e9


@dataclass(frozen=True)
class _SoundFile:
    """A file as it is now: its path, the absolute one, and bytes, times of change of content and of status.

    The latter (ns) nobody can set back: a file that was changed never looks as before.
    """

    path: str | Path
    name: str
    state: tuple[int, int, int]


class ClipCache:
    """The decoded clips in a folder, which is made where it is missing; several processes may share it.

    A clip is decoded and kept when it is first read. Where it cannot be kept, clips are read from their
    files, after one warning: nothing depends on the cache but time and room.
    """

    def __init__(self, folder: str | Path):
        self.folder = Path(folder)
        self._keeps = True
        self._told = mmap.mmap(-1, 1)  # whether it was warned, in this process or one forked from it
        self._uncached: set[str] = set()  # files read as if there were no cache
        self._verified: dict[str, bytes] = {}  # heads of entries whose frames agree with their sum

    def read(self, path: str | Path, start: int = 0, n_samples: int | None = None) -> np.ndarray:
        """As toolkit.clips.sound_files.read_audio, and the same samples."""
        sound = _sound_file(path)
        if sound is not None and sound.name not in self._uncached:
            with ExitStack() as stack, suppress(OSError):  # of the cache's disk
                stream = self._find(sound, stack) or self._decode(sound)
                if stream is not None and (stream.seeks_exactly or not stream.first_frame(start)):
                    return stream.read(start, n_samples)
        return read_audio(path, start, n_samples)

    def announce(self, lengths: Mapping[Path, int]) -> None:
        """Says how many of the clips to read are kept, what the others need and what is free.

        Args:
            lengths: samples at 44,100 Hz of each file.
        """
        short = {path: n for path, n in lengths.items() if n <= MAX_SECONDS * SAMPLE_RATE}
        n_missing = [n for path, n in short.items() if not self._place(os.path.abspath(path)).exists()]
        text = f"{self.folder}: {len(short) - len(n_missing)} of {len(lengths)} clips are kept decoded there"
        if len(short) < len(lengths):
            text += f", {len(lengths) - len(short)} are longer than {MAX_SECONDS} s and will not be"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            room = self._room()
        except OSError as error:
            self._stop(error)
            return
        if n_missing:
            low, high = (n_bytes * sum(n_missing) for n_bytes in DTYPES)
            text += f"; {len(n_missing)} need {_size(low)} (16 bits) to {_size(high)}, {_size(room)} are free"
        console.note(text)
        if n_missing and low > room:
            self._warn(_full())

    def _place(self, path: str) -> Path:
        name = hashlib.blake2b(os.fsencode(path), digest_size=16).hexdigest()
        return self.folder / name[:2] / name[2:]

    def _find(self, sound: _SoundFile, stack: ExitStack) -> Stream | None:
        """The kept frames of the file as it is; None where there are none, or damaged ones."""
        try:
            entry = stack.enter_context(open(self._place(sound.name), "rb", buffering=0))
            head = entry.read(HEADER.size + CHECKSUM.size)
            magic, *state, n_frames, rate, n_bytes, is_exact = HEADER.unpack(head[: HEADER.size])
            n_held = os.fstat(entry.fileno()).st_size - len(head)
            if (magic, tuple(state), n_held) != (MAGIC, sound.state, n_frames * n_bytes):
                return None
            if self._verified.get(sound.name) != head:
                content = _bytes_of(entry, len(head), n_held)
                if CHECKSUM.pack(_checksum(head[: HEADER.size], content)) != head[HEADER.size :]:
                    return None
                self._verified[sound.name] = head
        except (OSError, struct.error):
            return None
        return Stream(rate, SAMPLE_RATE, n_frames, partial(_frames_of, entry, DTYPES[n_bytes]), is_exact)

    def _decode(self, sound: _SoundFile) -> Stream | None:
        """The file's frames, kept from now on; None where it is to be read without the cache."""
        if not self._keeps:
            return None
        try:
            stream = decode_clip(sound.path, MAX_SECONDS)
        except DataError:  # the segment to read may be sound; if not, reading it says why
            stream = None
        if stream is None:
            self._uncached.add(sound.name)
        elif time.time_ns() - sound.state[-1] > SETTLED_NS:
            self._keep(sound, stream)
        return stream

    def _keep(self, sound: _SoundFile, stream: Stream) -> None:
        frames = _packed(stream.decode(0, stream.n_frames))
        shape = (stream.n_frames, stream.rate, frames.itemsize, stream.seeks_exactly)
        head = HEADER.pack(MAGIC, *sound.state, *shape)
        head += CHECKSUM.pack(_checksum(head, frames.data))
        place = self._place(sound.name)
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            if self._room() < len(head) + frames.nbytes:
                raise _full()
            # Unflushed: what a power cut leaves is known by its sum.
            write_atomically(place, lambda file: file.writelines((head, frames.data)), flush=False)
        except (OSError, DataError) as error:
            self._stop(error)

    def _room(self) -> float:
        """Bytes that may still be taken."""
        disk = os.statvfs(self.folder)
        return disk.f_frsize * (disk.f_bavail - min(FREE_SHARE * disk.f_blocks, FREE_BYTES / disk.f_frsize))

    def _stop(self, error: Exception) -> None:
        self._keeps = False
        self._warn(error)

    def _warn(self, error: Exception) -> None:
        if self._told[0]:
            return
        self._told[0] = 1
        reason = getattr(error.__cause__ or error, "strerror", None) or str(error)
        console.warn(
            f"{self.folder}: not all clips can be kept decoded there ({reason}); the others are decoded at "
            "each reading, which is slower and gives the same results"
        )


def _sound_file(path: str | Path) -> _SoundFile | None:
    """None where there is no file: reading it says so."""
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        return None
    return _SoundFile(path, os.path.abspath(path), (status.st_size, status.st_mtime_ns, status.st_ctime_ns))


def _full() -> OSError:
    return OSError(errno.ENOSPC, "its disk is nearly full")


def _packed(frames: np.ndarray) -> np.ndarray:
    """Frames as 16-bit whole numbers if these are the same to the last bit, else as they are."""
    whole = np.clip(frames / SCALE, -(2**15), 2**15 - 1).astype(DTYPES[2])
    same = np.array_equal((whole * SCALE).view(np.int32), np.ascontiguousarray(frames).view(np.int32))
    return whole if same else np.ascontiguousarray(frames, dtype=DTYPES[4])


def _checksum(head: bytes, content: bytes | memoryview) -> int:
    return zlib.crc32(content, zlib.crc32(head))


def _frames_of(entry: FileIO, dtype: np.dtype, first: int, count: int) -> np.ndarray:
    """(count,) float32 of an open entry."""
    at = HEADER.size + CHECKSUM.size + first * dtype.itemsize
    frames = np.frombuffer(_bytes_of(entry, at, count * dtype.itemsize), dtype=dtype)
    return frames * SCALE if dtype.itemsize == 2 else frames


def _bytes_of(entry: FileIO, at: int, n_bytes: int) -> bytearray:
    content = bytearray(n_bytes)
    entry.seek(at)
    if entry.readinto(content) != n_bytes:
        raise OSError(errno.EIO, "cut short")
    return content


def _size(n_bytes: float) -> str:
    return f"{n_bytes / 1e9:.1f} GB" if n_bytes >= 1e9 else f"{max(n_bytes, 0) / 1e6:.1f} MB"
