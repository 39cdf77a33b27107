"""Where the sound lies in a file, by its own structure: what the scanners of containers say."""

from __future__ import annotations

import io
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import BinaryIO

Piece = bytes | tuple[int, int]  # bytes of their own, or the file's from start to end
WINDOW = 2**14  # bytes read at a time


@dataclass(frozen=True)
class Loss:
    """The file holds less than it promises: seconds that it holds, that it promises (None: unknown), why."""

    found: float
    promised: float | None
    why: str


@dataclass
class Layout:
    """What a file holds, filled in by the scanner of its kind.

    streams: one behind the other, each a sound file of its own, given as pieces; none: the file as it is.
    loss: what is missing. surplus: what lies beside the sound and is not read, in words.
    foreign: what kind of file it is, if one that soundfile cannot read, see foreign_files.
    last_seeks: of each stream the frame behind which its decoder jumps to a wrong place; None: no such.
    """

    streams: list[tuple[Piece, ...]] = field(default_factory=list)
    loss: Loss | None = None
    surplus: str = ""
    foreign: str = ""
    last_seeks: list[int | None] = field(default_factory=list)

    def lose(self, found: float, promised: float | None, why: str) -> None:
        self.loss = Loss(found, promised, why)


class Source:
    """Bytes of an open file, read in windows."""

    def __init__(self, file: BinaryIO):
        self._file, self._start, self._window = file, 0, b""
        self.size = os.fstat(file.fileno()).st_size

    def at(self, offset: int, count: int) -> bytes:
        """The count bytes at offset, or those that there are."""
        start = offset - self._start
        if start < 0 or start + count > len(self._window):
            self._file.seek(offset)
            self._window = self._file.read(max(count, WINDOW))
            self._start, start = offset, 0
        return self._window[start : start + count]

    def number(self, offset: int, count: int, order: str) -> int:
        return int.from_bytes(self.at(offset, count), order)

    def find(self, needle: bytes, offset: int) -> int:
        """Where the needle next stands from offset on; -1: nowhere."""
        while offset < self.size:
            found = self.at(offset, WINDOW).find(needle)
            if found >= 0:
                return offset + found
            offset += WINDOW - len(needle) + 1
        return -1

    def end_of_id3(self, at: int) -> int:
        """Where the ID3v2 tags that begin here end."""
        while self.at(at, 3) == b"ID3" and self.end_of_tag(at):
            at = self.end_of_tag(at)
        return at

    def end_of_tag(self, at: int) -> int:
        """Where the tag that begins here ends; 0: there is none."""
        head = self.at(at, 32)
        if head[:3] == b"ID3" and len(head) > 10:
            size = head[6] << 21 | head[7] << 14 | head[8] << 7 | head[9]
            return at + 10 + size + (10 if head[5] & 16 else 0)
        if head[:8] == b"APETAGEX":
            size, flags = int.from_bytes(head[12:16], "little"), int.from_bytes(head[20:24], "little")
            return at + size + (32 if flags >> 31 and flags >> 29 & 1 else 0) if size else at + 32
        return at + 128 if head[:3] == b"TAG" else 0


class Spliced(io.RawIOBase):
    """Pieces of a file as if they were a file of their own."""

    def __init__(self, file: BinaryIO, pieces: Sequence[Piece]):
        self._file, self._position, self._size = file, 0, 0
        self._parts: list[tuple[int, int, Piece]] = []  # start and end here
        for piece in pieces:
            length = len(piece) if isinstance(piece, bytes) else piece[1] - piece[0]
            self._parts.append((self._size, self._size + length, piece))
            self._size += length

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._size}[whence]
        self._position = max(0, base + offset)
        return self._position

    def readinto(self, buffer) -> int:
        view, n_read = memoryview(buffer).cast("B"), 0
        for start, end, piece in self._parts:
            if n_read == len(view):
                break
            if not start <= self._position < end:
                continue
            offset, count = self._position - start, min(end - self._position, len(view) - n_read)
            if isinstance(piece, bytes):
                content = piece[offset : offset + count]
            else:
                self._file.seek(piece[0] + offset)
                content = self._file.read(count)
            view[n_read : n_read + len(content)] = content
            n_read += len(content)
            self._position += len(content)
        return n_read
