"""Zip archives, split ones included, unpacked as a whole or not at all."""

from __future__ import annotations

import contextlib
import io
import shutil
import stat
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path, PurePosixPath

from ops.errors import DataError
from toolkit.system.console import Bar, progress
from toolkit.system.files import disk_errors

# Records of a zip archive, PKWARE's APPNOTE.TXT 6.3.10, sections 4.3.12 to 4.3.16.
ENTRY = struct.Struct("<4s6H3L5H2L")  # signature b"PK\1\2"
END = struct.Struct("<4s4H2LH")  # b"PK\5\6"
END64_LOCATOR = struct.Struct("<4sLQL")  # b"PK\6\7"
END64 = struct.Struct("<4sQ2H2L4Q")  # b"PK\6\6"
FULL16, FULL32 = 0xFFFF, 0xFFFFFFFF  # "see the zip64 field"
ZIP64_FIELD = 1


class DamagedArchive(DataError):
    """An archive that cannot be read, or whose content does not have the checksum that it names."""


class RefusedArchive(DataError):
    """An archive that is whole, but holds what is not to be unpacked."""


class JoinedFiles(io.RawIOBase):
    """Several files, or bytes, one behind the other, as one file to read."""

    def __init__(self, pieces: Sequence[tuple[io.BufferedIOBase, int]]):
        """pieces: seekable binary files and how many bytes of each count."""
        super().__init__()
        self._files = [file for file, _ in pieces]
        self._ends = [sum(size for _, size in pieces[: n + 1]) for n in range(len(pieces))]
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: (self._ends or [0])[-1]}[whence]
        if start + offset < 0:
            raise OSError("seek before the beginning")
        self._position = start + offset
        return self._position

    def tell(self) -> int:
        return self._position

    def readinto(self, buffer) -> int:
        start = 0
        for file, end in zip(self._files, self._ends, strict=True):
            if self._position < end:
                file.seek(self._position - start)
                data = file.read(min(len(buffer), end - self._position))
                buffer[: len(data)] = data
                self._position += len(data)
                return len(data)
            start = end
        return 0


@contextlib.contextmanager
def open_archive(parts: Sequence[Path]) -> Iterator[zipfile.ZipFile]:
    """A zip archive of one file, or split: its .z01, .z02, ... and .zip in this order.

    The parts of a split archive are not a zip file when joined, for its directory counts each
    entry's position from the beginning of its part. What is opened is the joined parts with a directory
    that counts from the beginning of all. Raises DataError where this is no archive, or parts are missing.
    """
    name = parts[-1]
    with contextlib.ExitStack() as stack:
        try:
            if len(parts) == 1:
                archive = stack.enter_context(zipfile.ZipFile(name))
            else:
                files = [(stack.enter_context(open(part, "rb")), part.stat().st_size) for part in parts]
                joined = stack.enter_context(io.BufferedReader(_with_one_directory(files, name)))
                archive = stack.enter_context(zipfile.ZipFile(joined))
                archive.filename = str(name)  # for messages
        except OSError as error:
            raise DataError(f"{name}: cannot be read ({error.strerror or error})") from error
        except (zipfile.BadZipFile, NotImplementedError, struct.error, EOFError, ValueError) as error:
            if isinstance(error, DataError):
                raise
            raise DamagedArchive(f"{name}: expected a zip archive, found no valid one ({error})") from error
        yield archive


def _with_one_directory(files: list[tuple[io.BufferedIOBase, int]], name: Path) -> JoinedFiles:
    starts = [0]
    for _, size in files:
        starts.append(starts[-1] + size)
    joined = JoinedFiles(files)

    def read(position: int, size: int) -> bytes:
        joined.seek(position)
        data = b""
        while len(data) < size and (piece := joined.read(size - len(data))):
            data += piece
        return data

    tail_start = max(0, starts[-1] - END.size - FULL16)
    tail = read(tail_start, starts[-1] - tail_start)
    at = tail.rfind(b"PK\5\6")
    if at < 0:
        raise zipfile.BadZipFile("it has no end record")
    _, last, disk, _, count, size, offset, _ = END.unpack_from(tail, at)
    locator = tail[max(0, at - END64_LOCATOR.size) : at]
    if locator.startswith(b"PK\6\7"):
        _, end_disk, end_offset, n_disks = END64_LOCATOR.unpack(locator)
        last = n_disks - 1
        _check_parts(files, last, name)
        record = read(starts[end_disk] + end_offset, END64.size)
        _, _, _, _, _, disk, _, count, size, offset = END64.unpack(record)
    _check_parts(files, last, name)
    if disk > last:
        raise zipfile.BadZipFile("its directory is in no part")
    directory_start = starts[disk] + offset
    old = read(directory_start, size)
    new, position = bytearray(), 0
    for _ in range(count):
        entry, position = _moved(old, position, starts)
        new += entry
    new += END64.pack(
        b"PK\6\6", END64.size - 12, 45, 45, 0, 0, count, count, len(new), directory_start
    ) + END64_LOCATOR.pack(b"PK\6\7", 0, directory_start + len(new), 1)
    new += END.pack(b"PK\5\6", 0, 0, FULL16, FULL16, FULL32, FULL32, 0)
    pieces = [
        (file, min(length, max(0, directory_start - start)))
        for (file, length), start in zip(files, starts[:-1], strict=True)
    ]
    return JoinedFiles([*pieces, (io.BytesIO(bytes(new)), len(new))])


def _check_parts(files: list, last: int, name: Path) -> None:
    if last + 1 != len(files):
        raise DataError(
            f"{name}: expected the last of {last + 1} parts of a split archive, found {len(files)} parts; "
            "download the missing ones"
        )


def _moved(directory: bytes, position: int, starts: list[int]) -> tuple[bytes, int]:
    """A directory entry with its position counted from the beginning of all parts, and where the next is."""
    head = list(ENTRY.unpack_from(directory, position))
    if head[0] != b"PK\1\2":
        raise zipfile.BadZipFile("its directory is damaged")
    position += ENTRY.size
    texts = []
    for length in head[10:13]:  # name, extra fields, comment
        texts.append(directory[position : position + length])
        position += length
    packed, unpacked, disk, offset = head[8], head[9], head[13], head[16]
    others, fields = b"", texts[1]
    while len(fields) >= 4:
        kind, length = struct.unpack_from("<2H", fields)
        if kind == ZIP64_FIELD:
            values = io.BytesIO(fields[4 : 4 + length])
            unpacked, packed, offset = (
                struct.unpack("<Q", values.read(8))[0] if value == FULL32 else value
                for value in (unpacked, packed, offset)
            )
            disk = struct.unpack("<L", values.read(4))[0] if disk == FULL16 else disk
        else:
            others += fields[: 4 + length]
        fields = fields[4 + length :]
    if disk >= len(starts) - 1:
        raise zipfile.BadZipFile(f"an entry begins in part {disk + 1} of {len(starts) - 1}")
    zip64 = struct.pack("<2H3Q", ZIP64_FIELD, 24, unpacked, packed, starts[disk] + offset)
    texts[1] = zip64 + others
    head[8:10] = FULL32, FULL32
    head[11], head[13], head[16] = len(texts[1]), 0, FULL32
    return ENTRY.pack(*head) + b"".join(texts), position


def unpack(archive: zipfile.ZipFile, folder: Path, place: Callable[[str], str | None]) -> list[str]:
    """Writes the files of an archive into an existing folder; gives their names in the folder.

    Args:
        archive: an open archive; nothing of it is written where any of its names leads out of a folder.
        folder: where to, on a disk with room for all of it.
        place: a file's path in the archive -> its path in `folder`, or None to leave it out.

    Raises DataError where a name is unsafe or comes twice, an entry is encrypted, a link or damaged, or
    the disk is full. What was written until then is the caller's to remove.
    """
    source = archive.filename
    chosen: dict[str, zipfile.ZipInfo] = {}
    for entry in archive.infolist():
        _refuse_unsafe(entry, source)
        name = None if entry.is_dir() else place(entry.filename)
        if name is not None and chosen.setdefault(name, entry) is not entry:
            raise RefusedArchive(
                f"{source}: expected each file once, found {name!r} twice; nothing was unpacked"
            )
    total = sum(entry.file_size for entry in chosen.values())
    require_room(folder, total, f"unpack {source}")
    bar = progress(
        total=total,
        desc=f"unpacking {Path(source).name}",
        unit="B",
        unit_scale=True,
    )
    with bar:
        for name, entry in chosen.items():
            _write(archive, entry, folder / name, source, bar)
    return list(chosen)


def require_room(folder: Path, n_bytes: int, purpose: str) -> None:
    """Raises DataError where the folder's disk has less room."""
    free = shutil.disk_usage(folder).free
    if n_bytes > free:
        raise DataError(
            f"{folder}: expected {n_bytes / 1e9:.3g} GB free to {purpose}, found {free / 1e9:.3g} GB; make "
            "room or choose another --output_dir, then run again"
        )


def _refuse_unsafe(entry: zipfile.ZipInfo, source: str) -> None:
    # What was in the archive, not what zipfile made of it.
    name, path = entry.orig_filename, PurePosixPath(entry.orig_filename)
    if path.is_absolute() or ".." in path.parts or any(mark in name for mark in "\\:\0"):
        raise RefusedArchive(
            f"{source}: {name!r} leads out of its folder; nothing was unpacked: do not trust it"
        )
    mode = entry.external_attr >> 16
    if mode and stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise RefusedArchive(
            f"{source}: {name!r} is a link or a device; nothing was unpacked: do not trust it"
        )
    if entry.flag_bits & 1:
        raise RefusedArchive(f"{source}: {name!r} is encrypted; nothing was unpacked")


def _write(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, path: Path, source: str, bar: Bar) -> None:
    def read(content) -> bytes:
        try:
            return content.read(1 << 20)  # compares the checksum at the end
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, ValueError) as error:
            raise DamagedArchive(f"{source}: {entry.filename!r} is damaged ({error})") from error

    try:
        content = archive.open(entry)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, ValueError, OSError) as error:
        raise DamagedArchive(f"{source}: {entry.filename!r} is damaged ({error})") from error
    with content, disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(path, "xb") as output:
            while data := read(content):
                output.write(data)
                bar.update(len(data))
