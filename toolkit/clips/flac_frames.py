"""Native FLAC: where its last frame ends, which is its length whatever its header says."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from toolkit.clips.layouts import Layout, Source


TAIL = 2**16  # bytes in which the last frames are looked for, where the size of the largest is not told
TAGS = 2**12  # bytes that may stand behind the last frame


def survey_flac(source: Source, layout: Layout) -> None:
    begin = source.end_of_id3(0)
    info = source.at(begin + 8, 18)
    if len(info) < 18:
        return
    block_size, largest = int.from_bytes(info[0:2], "big"), int.from_bytes(info[7:10], "big")
    packed = int.from_bytes(info[10:18], "big")
    rate, total = max(1, packed >> 44), packed & (2**36 - 1)
    first = _first_frame(source, begin)
    start = max(first, source.size - (2 * largest + TAGS if largest else TAIL))
    frames = list(_frames(source, start, block_size))
    if total:
        ends = [end for _, end in frames if end <= total]
        if ends and max(ends) < total:
            layout.lose(max(ends) / rate, total / rate, "the file is cut off")
        return
    # Of a streamed file: the last frame that goes on where another ends.
    sure = {end for _, end in frames} | {0}
    total = next((end for begins, end in reversed(frames) if begins in sure), 0)
    if total:
        head = source.at(begin, 18) + (packed | total).to_bytes(8, "big")
        layout.streams = [(head, (begin + 26, source.size))]


def _first_frame(source: Source, begin: int) -> int:
    at, is_last = begin + 4, False
    while not is_last and at + 4 <= source.size:
        is_last = source.at(at, 1)[0] >= 128
        at += 4 + source.number(at + 1, 3, "big")
    return min(at, source.size)


def _frames(source: Source, start: int, block_size: int) -> Iterator[tuple[int, int]]:
    """(first sample, end) of each frame whose header stands behind start."""
    content = source.at(start, source.size - start)
    at = content.find(b"\xff")
    while at >= 0:
        if content[at + 1 : at + 2] in (b"\xf8", b"\xf9"):
            frame = _frame(content[at : at + 16], block_size)
            if frame is not None:
                yield frame
        at = content.find(b"\xff", at + 1)


def _frame(head: bytes, block_size: int) -> tuple[int, int] | None:
    """(first sample, end) by a frame's header; None: it is none."""
    if len(head) < 16 or head[3] & 1 or head[2] >> 4 == 0 or head[2] & 15 == 15 or head[3] >> 4 > 10:
        return None
    n_more = {0: 0, 6: 1, 14: 2, 30: 3, 62: 4, 126: 5, 127: 6}
    width = next((n for bits, n in n_more.items() if _starts_with(head[4], bits, n)), None)
    if width is None:
        return None
    number = head[4] & (0x7F if width == 0 else (1 << max(0, 6 - width)) - 1)
    for byte in head[5 : 5 + width]:
        if byte >> 6 != 2:
            return None
        number = number << 6 | byte & 63
    at, code = 5 + width, head[2] >> 4
    if code == 1:
        size = 192
    elif code < 6:
        size = 576 << (code - 2)
    elif code < 8:
        size = int.from_bytes(head[at : at + code - 5], "big") + 1
        at += code - 5
    else:
        size = 256 << (code - 8)
    at += {12: 1, 13: 2, 14: 2}.get(head[2] & 15, 0)
    if at >= len(head) or _crc8(head[:at]) != head[at]:
        return None
    begins = number if head[1] & 1 else number * block_size
    return begins, begins + size


def _starts_with(byte: int, bits: int, n_more: int) -> bool:
    """Whether a byte begins a number of n_more further bytes, as UTF-8 writes them."""
    if n_more == 0:
        return byte < 128
    return byte >> max(0, 6 - n_more) == bits if n_more < 6 else byte == 0xFE


def _crc8(content: bytes) -> int:
    crc = 0
    for byte in content:
        crc ^= byte
        for _ in range(8):
            crc = (crc << 1 ^ 0x107) if crc & 128 else crc << 1
    return crc
