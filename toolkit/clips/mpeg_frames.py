"""MP3 by its frames' headers: how many there are, what an index promises, where another file begins.

An MP3 has no header of its own. Its length is the number of its frames; an index in the first frame
(Xing, Info or VBRI) may tell it. libsndfile takes the index's number, and without one an estimate from the
first frames' sizes: files that are not sure get an index here.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from toolkit.clips.layouts import Layout, Piece, Source


BIT_RATES = {  # kbit/s by (is MPEG-1, layer)
    (True, 1): (32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (True, 2): (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (True, 3): (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (False, 1): (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (False, 2): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (False, 3): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
RATES = {3: (44100, 48000, 32000), 2: (22050, 24000, 16000), 0: (11025, 12000, 8000)}  # by version's bits
SAME = 0xFFFE0C00  # the bits of a header that stay the same within a stream: sync, version, layer, rate
CRC16 = []  # of each byte, for _crc16
for _crc in range(256):
    for _ in range(8):
        _crc = _crc >> 1 ^ 0xA001 if _crc & 1 else _crc >> 1
    CRC16.append(_crc)
MAX_FREE = 2**13  # bytes of a frame of free format
MAX_SEARCH = 2**20  # bytes before the first frame


@dataclass(frozen=True)
class Header:
    size: int  # bytes; 0: free format
    n_samples: int
    rate: int
    side_end: int  # where the samples of layer 3, or an index, begin
    padding: int


@dataclass
class Index:
    """What a Xing, Info or VBRI frame says; None: it does not."""

    n_frames: int | None
    n_bytes: int | None  # with the frame of the index
    is_xing: bool
    is_checked: bool  # a checksum holds


@dataclass
class Part:
    """A file of its own among several that were joined."""

    start: int
    header: Header
    index: Index | None
    index_end: int  # where its own frames begin
    n_frames: int = 0
    ranges: list[tuple[int, int]] = field(default_factory=list)
    hole: int = 0  # bytes between frames that are no frames
    is_cut: bool = False  # it ends within a frame

    @property
    def n_bytes(self) -> int:
        return self.index_end - self.start + sum(end - start for start, end in self.ranges)


def survey_mpeg(source: Source, layout: Layout) -> None:
    start = _first_frame(source)
    if start is None:
        return
    end = _before_tags(source)
    head = source.number(start, 4, "big")
    header = _parse(head)
    index = _index(source, start, header)
    if index and index.is_xing and index.n_frames and index.n_bytes == end - start:
        is_constant = abs(header.size * (index.n_frames + 1) - index.n_bytes) < header.size
        if index.is_checked or (is_constant and source.at(start + header.side_end, 4) == b"Info"):
            return
    parts = [part for part in _parts(source, start, end) if part.n_frames]
    layout.streams = [_pieces(source, part) for part in parts]
    _tell_loss(parts, layout)


def _parts(source: Source, start: int, end: int) -> list[Part]:
    """One pass over the frames' headers."""
    parts: list[Part] = []
    at, sizes, free, part = start, {}, 0, None
    last_head = 0
    while at + 4 <= end:
        head = source.number(at, 4, "big")
        if head not in sizes:
            sizes[head] = _parse(head)
        header = sizes[head]
        is_next = header is not None and part is not None and _is_like(head, last_head)
        if header is None or (not is_next and not _is_confirmed(source, at, head, end)):
            skipped = source.end_of_tag(at) or _resync(source, at, end)
            if skipped is None:
                break
            if part is not None and not source.end_of_tag(at):
                part.hole += skipped - at
            at = skipped
            continue
        size = header.size
        if not size:
            if not free or not is_next:
                free = _free_size(source, at, head, end) - header.padding
            size = free + header.padding
        index = _index(source, at, header)
        if part is None or not is_next or index is not None:
            part = Part(at, header, index, at + size if index else at)
            parts.append(part)
            last_head = head
            if index is not None:
                at += size
                continue
        if at + size > end:
            part.is_cut = True
            break
        part.n_frames += 1
        if part.ranges and part.ranges[-1][1] == at:
            part.ranges[-1] = part.ranges[-1][0], at + size
        else:
            part.ranges.append((at, at + size))
        at += size
    return parts


def _tell_loss(parts: list[Part], layout: Layout) -> None:
    found = promised = 0.0
    why = ""
    for part in parts:
        seconds = part.header.n_samples / part.header.rate
        told = part.index.n_frames if part.index and part.index.n_frames else None
        found += part.n_frames * seconds
        promised += max(part.n_frames, told or 0) * seconds
        if told is not None and part.n_frames >= told - 1:  # some encoders count the index, too
            continue
        is_whole = part.index is not None and part.index.n_bytes == part.n_bytes
        if part.is_cut:
            why = why or "the file is cut off"
        elif part.hole:
            why = why or f"{part.hole} bytes in its midst are no MP3 frames"
        elif told is not None and not is_whole:
            why = why or f"its index promises {told} frames, found {part.n_frames}"
    if why:
        layout.lose(found, promised if promised > found else None, why)


def _pieces(source: Source, part: Part) -> tuple[Piece, ...]:
    """The part with an index that tells its number of frames."""
    head = source.number(part.start, 4, "big")
    if part.index is not None and part.index.is_xing:
        frame = bytearray(source.at(part.start, part.index_end - part.start))
        at = part.header.side_end
        flags = int.from_bytes(frame[at + 4 : at + 8], "big")
        if flags & 3 == 3:  # with what the encoder says of its delay and padding
            frame[at + 8 : at + 16] = part.n_frames.to_bytes(4, "big") + part.n_bytes.to_bytes(4, "big")
            return bytes(frame), *part.ranges
    return _new_index(head, part), *part.ranges


def _new_index(head: int, part: Part) -> bytes:
    """A frame of the part's kind, without samples, that holds a Xing index."""
    for bits in range(1, 15):
        new = (head | 0x10000) & ~0xF200 | bits << 12  # without checksum and padding
        header = _parse(new)
        if header is not None and header.size >= header.side_end + 16:
            total = sum(end - start for start, end in part.ranges) + header.size
            content = b"Xing" + (3).to_bytes(4, "big") + part.n_frames.to_bytes(4, "big")
            content += total.to_bytes(4, "big")
            frame = new.to_bytes(4, "big") + bytes(header.side_end - 4) + content
            return frame + bytes(header.size - len(frame))
    raise AssertionError(f"no frame of {head:08x} holds an index")


def _parse(head: int) -> Header | None:
    """A frame's header of 32 bits; None: it is none."""
    version, layer = head >> 19 & 3, 4 - (head >> 17 & 3)
    rate_bits, size_bits = head >> 12 & 15, head >> 10 & 3
    if head >> 21 != 0x7FF or version == 1 or layer == 4 or rate_bits == 15 or size_bits == 3:
        return None
    rate, padding = RATES[version][size_bits], head >> 9 & 1
    is_first = version == 3
    n_samples = 384 if layer == 1 else 1152 if layer == 2 or is_first else 576
    is_mono = head >> 6 & 3 == 3
    side = (17 if is_mono else 32) if is_first else (9 if is_mono else 17)
    side_end = 4 + side  # where decoders look for an index, a checksum or none
    slot = 4 if layer == 1 else 1
    if not rate_bits:
        return Header(0, n_samples, rate, side_end, padding * slot)
    bits = BIT_RATES[is_first, layer][rate_bits - 1] * 1000
    size = (n_samples // 8 // slot * bits // rate + padding) * slot
    return Header(size, n_samples, rate, side_end, padding * slot)


def _is_like(head: int, other: int) -> bool:
    """Whether frames of these headers are of one stream: alike in version, layer, rate, mono or stereo."""
    return head & SAME == other & SAME and (head >> 6 & 3 == 3) == (other >> 6 & 3 == 3)


def _is_confirmed(source: Source, at: int, head: int, end: int) -> bool:
    """Whether a like frame, or the end, follows: a header's bits stand anywhere by chance."""
    size = _size_of_like(source, at, head, end)
    return size > 0 and (at + size == end or _size_of_like(source, at + size, head, end) > 0)


def _free_size(source: Source, at: int, head: int, end: int) -> int:
    """Bytes to the next frame of free format; 0: there is none."""
    content = source.at(at, min(MAX_FREE, end - at))
    for offset in range(24, len(content) - 4):
        if content[offset] == 0xFF:
            following = int.from_bytes(content[offset : offset + 4], "big")
            if following & (SAME | 0xF000) == head & (SAME | 0xF000) and _parse(following):
                return offset
    return 0


def _index(source: Source, start: int, header: Header) -> Index | None:
    at = start + header.side_end
    if source.at(at, 4) in (b"Xing", b"Info"):
        flags = source.number(at + 4, 4, "big")
        n_frames = source.number(at + 8, 4, "big") if flags & 1 else None
        n_bytes = source.number(at + 8 + 4 * (flags & 1), 4, "big") if flags & 2 else None
        # Behind a full index of 120 bytes and LAME's 34 stands the checksum of all from the frame's start.
        count = header.side_end + 154
        is_checked = flags & 15 == 15 and _crc16(source.at(start, count)) == source.number(
            start + count, 2, "big"
        )
        return Index(n_frames, n_bytes, True, is_checked)
    if source.at(start + 36, 4) == b"VBRI":
        return Index(source.number(start + 50, 4, "big"), source.number(start + 46, 4, "big"), False, False)
    return None


def _crc16(content: bytes) -> int:
    """CRC-16 of polynomial 0x8005, bits reversed."""
    crc = 0
    for byte in content:
        crc = crc >> 8 ^ CRC16[(crc ^ byte) & 255]
    return crc


def _before_tags(source: Source) -> int:
    """Where the sound ends: before tags at the file's end, and zeros that fill it up."""
    end = source.size
    while True:
        if source.at(end - 128, 3) == b"TAG":
            end -= 128
        elif source.at(end - 32, 8) == b"APETAGEX":
            size, flags = source.number(end - 20, 4, "little"), source.number(end - 12, 4, "little")
            end -= size + (32 if flags >> 31 else 0)
        elif source.at(end - 9, 9) == b"LYRICS200" and source.at(end - 15, 6).isdigit():
            end -= 15 + int(source.at(end - 15, 6))
        else:
            return end


def begins_as_mpeg(source: Source) -> bool:
    """Whether the first bytes are a tag or an MP3 frame that others follow."""
    return source.at(0, 3) == b"ID3" or (source.at(0, 1) == b"\xff" and _first_frame(source) == 0)


def _first_frame(source: Source) -> int | None:
    return _resync(source, source.end_of_id3(0), _before_tags(source))


def _resync(source: Source, start: int, end: int) -> int | None:
    """Where the next frame begins that two like ones follow, or that ends the sound; None: there is none."""
    for at in _syncs(source, start, min(end, start + MAX_SEARCH)):
        head = source.number(at, 4, "big")
        following, n_like = at, 0
        while n_like < 3 and following < end:
            size = _size_of_like(source, following, head, end)
            if not size:
                break
            following += size
            n_like += 1
        if n_like == 3 or (following == end and (n_like == 2 or at == start)):
            return at
    return None


def _size_of_like(source: Source, at: int, head: int, end: int) -> int:
    """The size of the frame that begins here, if it is of the same stream as one with this header; or 0."""
    own = source.number(at, 4, "big")
    header = _parse(own)
    if header is None or not _is_like(own, head):
        return 0
    return header.size or _free_size(source, at, own, end)


def _syncs(source: Source, start: int, end: int) -> Iterator[int]:
    at = source.find(b"\xff", start)
    while 0 <= at < end - 3:
        yield at
        at = source.find(b"\xff", at + 1)
