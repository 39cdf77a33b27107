"""Sizes in the headers of uncompressed files: WAV, RF64, Wave64, AIFF, AU, CAF, NIST.

A program that writes to a pipe cannot go back and fill in the size: it leaves 0, all ones, or nearly the
largest number. Such files go on to their end.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from toolkit.clips.layouts import Layout, Piece, Source


CUT_OFF = "the file is cut off"


def is_open(declared: int, available: int) -> bool:
    """Whether a size of 32 bits is no size but means "to the end"."""
    # sox writes 0x7ffff000 and, in AIFF, 0x7f000008; others 2^31 or 2^32, less the header.
    spelled = 0x7F000000 <= declared <= 0x80000000 or 0xFFFF0000 <= declared < 2**32 or declared >= 2**62
    return declared > available and spelled


def survey_wav(source: Source, layout: Layout) -> None:
    """RIFF WAVE in both byte orders, and RF64."""
    order = "big" if source.at(0, 4) == b"RIFX" else "little"
    if source.at(8, 4) != b"WAVE":
        return
    chunks, is_even = {}, True
    for name, start, size in _chunks(source, 12, order):
        chunks.setdefault(name, (start, size))
        if name == b"data":
            break
        is_even &= size % 2 == 0
    if b"data" not in chunks or b"fmt " not in chunks or chunks[b"fmt "][1] < 16:
        return
    start, declared = chunks[b"data"]
    if b"ds64" in chunks and declared >= 0xFFFFFFFF:
        declared = source.number(chunks[b"ds64"][0] + 8, 8, order)
    available = source.size - start
    fmt = chunks[b"fmt "][0]
    rate, per_second = source.number(fmt + 4, 4, order), source.number(fmt + 8, 4, order)
    align = max(1, source.number(fmt + 12, 2, order))
    ends_here = declared == 0 and (available == 0 or _is_chain(source, start, order))
    if is_open(declared, available) or (declared == 0 and not ends_here):
        layout.streams = [_mended_wav(source, chunks, available, order)]
        return
    if declared // align > available // align:
        # The field is wrong in some files; of uncompressed ones it follows from the others.
        per_second = align * rate if source.number(fmt, 2, order) in (1, 3, 6, 7, 0xFFFE) else per_second
        layout.lose(available / max(1, per_second), declared / max(1, per_second), CUT_OFF)
        return
    end = start + declared
    behind = source.size - end
    if behind > 1 and not any(_is_chain(source, at, order) for at in (end + declared % 2, end)):
        layout.surplus = _bytes_behind(source, end)
    if not is_even or layout.surplus:  # libsndfile stumbles over odd sizes, padded or not, and over junk
        layout.streams = [_mended_wav(source, chunks, min(declared, available), order)]


def _chunks(source: Source, start: int, order: str) -> Iterator[tuple[bytes, int, int]]:
    """(name, start, size) of each chunk from there on; some writers leave out the padding of odd sizes."""
    while start + 8 <= source.size:
        name, size = source.at(start, 4), source.number(start + 4, 4, order)
        yield name, start + 8, size
        start += 8 + size + size % 2
        if size % 2 and not _is_name(source.at(start, 4)) and _is_name(source.at(start - 1, 4)):
            start -= 1


def _is_name(name: bytes) -> bool:
    return len(name) == 4 and all(32 <= letter < 127 for letter in name)


def _is_chain(source: Source, start: int, order: str) -> bool:
    """Whether from here on chunks follow each other, or only zeros, to the file's end."""
    if not source.at(start, 2**16).strip(b"\0"):
        return True
    names = [name for name, _, _ in _chunks(source, start, order)]
    return bool(names) and names[0] not in (b"RIFF", b"RIFX", b"RF64", b"FORM") and all(map(_is_name, names))


def _bytes_behind(source: Source, end: int) -> str:
    return f"{source.size - end} bytes behind its samples are not read"


def _mended_wav(
    source: Source, chunks: dict[bytes, tuple[int, int]], length: int, order: str
) -> tuple[Piece, ...]:
    """The same sound under a header of its own."""
    kept = b""
    for name in (b"fmt ", b"fact"):
        if name in chunks:
            start, size = chunks[name]
            kept += name + size.to_bytes(4, order) + source.at(start, size) + bytes(size % 2)
    start = chunks[b"data"][0]
    # libsndfile takes the largest size as open and reads to the end.
    riff, data = (min(size, 2**32 - 1).to_bytes(4, order) for size in (len(kept) + 12 + length, length))
    magic = b"RIFX" if order == "big" else b"RIFF"
    return magic + riff + b"WAVE" + kept + b"data" + data, (start, start + length)


def survey_w64(source: Source, layout: Layout) -> None:
    """Sony Wave64: names of 16 bytes, sizes of 8 that count name and size, chunks at multiples of 8."""
    at, per_second = 40, 0
    while at + 24 <= source.size:
        name, size = source.at(at, 4), source.number(at + 16, 8, "little")
        if name == b"fmt ":
            per_second = source.number(at + 32, 4, "little")
        if name == b"data":
            start, available = at + 24, source.size - at - 24
            if size - 24 <= available and size > 24:
                return
            if size <= 24 or size >= 2**62:
                head = source.at(0, at + 16) + (available + 24).to_bytes(8, "little")
                head = head[:16] + source.size.to_bytes(8, "little") + head[24:]
                layout.streams = [(head, (start, source.size))] if available else []
                return
            rate = max(1, per_second)
            layout.lose(available / rate, (size - 24) / rate, CUT_OFF)
            return
        at += max(24, size + -size % 8)


def survey_aiff(source: Source, layout: Layout) -> None:
    """AIFF and AIFF-C."""
    if source.at(8, 4) not in (b"AIFF", b"AIFC"):
        return
    chunks = {name: (start, size) for name, start, size in _chunks(source, 12, "big")}
    if b"COMM" not in chunks or b"SSND" not in chunks:
        return
    common, (start, declared) = chunks[b"COMM"][0], chunks[b"SSND"]
    channels, n_frames, bits = struct.unpack(">HIH", source.at(common, 8))
    exponent, mantissa = struct.unpack(">HQ", source.at(common + 8, 10))
    rate = max(1.0, mantissa * 2.0 ** min(64, exponent - 16383 - 63))
    is_plain = source.at(8, 4) == b"AIFF" or source.at(common + 18, 4) in (
        *(b"NONE", b"twos", b"sowt", b"raw ", b"fl32", b"FL32", b"fl64", b"FL64", b"in24", b"in32", b"23ni"),
        *(b"ulaw", b"ULAW", b"alaw", b"ALAW"),
    )
    first = start + 8  # behind offset and block size
    available = source.size - first
    if is_open(declared - 8, available) or (declared <= 8 and available > 0):
        head = bytearray(source.at(0, first))
        head[start - 4 : start] = (available + 8).to_bytes(4, "big")
        if is_plain:
            width = max(1, channels * -(-bits // 8))
            head[common + 2 : common + 6] = (available // width).to_bytes(4, "big")
        head[4:8] = (source.size - 8).to_bytes(4, "big")
        layout.streams = [(bytes(head), (first, source.size))]
        return
    promised = n_frames / rate
    if declared - 8 > available:
        layout.lose(promised * available / (declared - 8), promised, CUT_OFF)
        return
    width = max(1, channels * -(-bits // 8))
    if is_plain and source.at(common + 18, 4) not in (b"ulaw", b"ULAW", b"alaw", b"ALAW"):
        found = (declared - 8) // width
        if found < n_frames and not is_open(n_frames * width, available):
            layout.lose(found / rate, promised, "its chunk of samples is shorter")
            return
    end = start + declared + declared % 2
    if source.size - end > 1 and not _is_chain(source, end, "big"):
        layout.surplus = _bytes_behind(source, end)


def survey_au(source: Source, layout: Layout) -> None:
    """AU, also called SND."""
    order = "big" if source.at(0, 1) == b"." else "little"
    start, declared, code, rate, channels = (source.number(at, 4, order) for at in range(4, 24, 4))
    available = source.size - start
    if available <= 0 or declared == 0xFFFFFFFF:
        return
    if declared == 0 or is_open(declared, available):
        head = source.at(0, 8) + b"\xff" * 4 + source.at(12, start - 12)
        layout.streams = [(head, (start, source.size))]
        return
    # Bits of a sample by the encoding's number; others are rare.
    bits = {1: 8, 2: 8, 3: 16, 4: 24, 5: 32, 6: 32, 7: 64, 23: 4, 25: 3, 26: 5, 27: 8}.get(code, 16)
    per_second = max(1, rate * channels * bits / 8)
    if declared > available:
        layout.lose(available / per_second, declared / per_second, CUT_OFF)
    elif source.size > start + declared and source.at(start + declared, 2**16).strip(b"\0"):
        layout.surplus = _bytes_behind(source, start + declared)


def survey_caf(source: Source, layout: Layout) -> None:
    """Apple's Core Audio Format."""
    at, per_second = 8, 0.0
    while at + 12 <= source.size:
        name, (size,) = source.at(at, 4), struct.unpack(">q", source.at(at + 4, 8))
        start = at + 12
        if name == b"desc":
            rate, _, _, n_bytes, n_frames = struct.unpack(">d4sIII", source.at(start, 24))
            per_second = rate * n_bytes / max(1, n_frames)  # 0 for packets of varying sizes
        if name == b"data":
            available = source.size - start
            if size <= 4 < available:  # with a number of edits before the samples
                head = source.at(0, at + 4) + available.to_bytes(8, "big")
                layout.streams = [(head, (start, source.size))]
            elif size > available:
                rate = per_second or math.inf
                layout.lose((available - 4) / rate, (size - 4) / rate, CUT_OFF)
            return
        at = start + max(0, size)


def survey_nist(source: Source, layout: Layout) -> None:
    """NIST SPHERE: lines "name -type number" in a header of text."""
    lines = source.at(0, 1024).split(b"\n")
    numbers = {
        line.split()[0]: int(line.split()[2])
        for line in lines
        if len(line.split()) == 3 and line.split()[2].isdigit()
    }
    names = (b"sample_count", b"sample_n_bytes", b"channel_count", b"sample_rate")
    if not lines[1:] or not lines[1].strip().isdigit() or not all(numbers.get(name) for name in names):
        return
    n_frames, n_bytes, channels, rate = (numbers[name] for name in names)
    found = (source.size - int(lines[1])) // (n_bytes * channels)
    if found < n_frames:
        layout.lose(found / rate, n_frames / rate, CUT_OFF)
