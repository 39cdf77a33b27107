"""Ogg by its pages: streams one behind the other, pages that are damaged, missing or cut off.

A decoder leaves out what it cannot read without a word, and libsndfile reads the first stream alone.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from toolkit.clips.layouts import Layout, Source


MIRRORED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))
NO_POSITION = 2**64 - 1  # of a page on which no packet ends


@dataclass(frozen=True)
class Page:
    start: int
    end: int
    begins: bool  # first page of a stream
    ends: bool
    position: int  # samples up to its end
    serial: int
    number: int
    content: int  # where its packets begin


@dataclass
class Stream:
    rate: int  # of positions; 0: no sound that is known
    is_vorbis: bool
    pages: list[Page] = field(default_factory=list)
    n_lost: int = 0  # samples on pages that are damaged or missing
    is_broken: bool = False

    @property
    def has_ended(self) -> bool:
        return self.pages[-1].ends

    @property
    def last_seek(self) -> int | None:
        """libsndfile jumps to a wrong place on the last page of Vorbis, which may end within a block."""
        positions = [page.position for page in self.pages if page.position != NO_POSITION]
        return max(0, positions[-2] - 1) if self.is_vorbis and len(positions) > 1 else None

    @property
    def position(self) -> int:
        return next((page.position for page in reversed(self.pages) if page.position != NO_POSITION), 0)


def survey_ogg(source: Source, layout: Layout) -> None:
    streams, is_alone = _streams(source)
    sounds = [stream for stream in streams if stream.rate]
    if not sounds:
        return
    chain = sounds[:1]
    for stream in sounds[1:]:
        if stream.pages[0].start > chain[-1].pages[-1].start:
            chain.append(stream)
    if len(sounds) > len(chain):
        layout.surplus = f"{len(sounds) - len(chain)} further sound streams beside the first are not read"
    found = sum((stream.position - stream.n_lost) / stream.rate for stream in chain)
    lost = sum(stream.n_lost / stream.rate for stream in chain)
    if not all(stream.has_ended for stream in chain):
        layout.lose(found, None, "the file is cut off: no last page")
    elif any(stream.is_broken for stream in chain):
        layout.lose(found, found + lost, "pages are damaged or missing")
    elif not is_alone:
        layout.streams = [tuple((page.start, page.end) for page in stream.pages) for stream in chain]
    layout.last_seeks = [stream.last_seek for stream in chain]


def _streams(source: Source) -> tuple[list[Stream], bool]:
    """All streams in the order of their first pages, and whether the file is one stream and nothing else."""
    streams: list[Stream] = []
    current: dict[int, Stream] = {}
    at, is_alone = 0, True
    for page in _pages(source):
        is_gap, at = page.start != at, page.end
        is_alone &= not is_gap
        if page.begins:
            current[page.serial] = Stream(*_sound(source.at(page.content, 48)))
            streams.append(current[page.serial])
        stream = current.get(page.serial)
        if stream is None:
            is_alone = False
            continue
        if stream.pages and page.number != stream.pages[-1].number + 1:
            stream.is_broken = True
            if page.position != NO_POSITION:
                # The page behind a gap is whole: it holds about as much as the one before.
                stream.n_lost += max(0, page.position - stream.position)
        stream.pages.append(page)
    return streams, is_alone and len(streams) == 1 and at == source.size


def _pages(source: Source) -> Iterator[Page]:
    """Pages whose checksums are right."""
    at = 0
    while 0 <= at < source.size:
        head = source.at(at, 27)
        if head[:4] == b"OggS" and len(head) == 27:
            n_segments = head[26]
            content = at + 27 + n_segments
            end = content + sum(source.at(at + 27, n_segments))
            page = source.at(at, end - at)
            if len(page) == end - at and _checksum(page) == int.from_bytes(head[22:26], "little"):
                position = int.from_bytes(head[6:14], "little")
                serial, number = (int.from_bytes(head[i : i + 4], "little") for i in (14, 18))
                yield Page(at, end, bool(head[5] & 2), bool(head[5] & 4), position, serial, number, content)
                at = end
                continue
        at = source.find(b"OggS", at + 1)


def _checksum(page: bytes) -> int:
    """CRC-32 of polynomial 0x04c11db7 with its own field as zeros, highest bit first.

    zlib's is the same with all bits in reverse, and starts and ends with ones.
    """
    cleared = page[:22] + bytes(4) + page[26:]
    crc = zlib.crc32(cleared.translate(MIRRORED), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return int.from_bytes(crc.to_bytes(4, "little").translate(MIRRORED), "big")


def _sound(packet: bytes) -> tuple[int, bool]:
    """(rate of positions, whether it is Vorbis) by a stream's first packet; (0, False): no sound."""
    if packet[:7] == b"\x01vorbis":
        return int.from_bytes(packet[12:16], "little"), True
    if packet[:8] == b"OpusHead":
        return 48000, False
    if packet[:5] == b"\x7fFLAC":
        return int.from_bytes(packet[27:30], "big") >> 4, False
    if packet[:8] == b"Speex   ":
        return int.from_bytes(packet[36:40], "little"), False
    return 0, False
