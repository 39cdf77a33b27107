"""Which clips are the same sound, whatever they are called, and which belong together."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Hashable, Iterable, Sequence

import numpy as np

from ops.errors import DataError, raise_lack

SILENCE = 2.0**-15  # one step of 16 bits; sound that varies less is silent, whatever its offset
PIECES, PIECE_SAMPLES = 3, 2048


def sound_digest(read: Callable[[int, int], np.ndarray], n_samples: int) -> str:
    """16 hex digits that clips of the same sound share; empty for silence and for what cannot be read.

    Of the clip's length and of three pieces of 2,048 samples, at a quarter, the middle and three quarters of
    it (of a shorter clip of all), at 44,100 Hz and rounded to 16 bits: the same in any lossless format.
    Silent clips of one length all sound alike: they are not the same recording.

    Args:
        read: gives the clip's samples from a start on, so many, or raises DataError.
        n_samples: the clip's length.
    """
    starts = [n_samples * (piece + 1) // (PIECES + 1) for piece in range(PIECES)]
    if n_samples <= PIECES * PIECE_SAMPLES:
        starts = [0]
    try:
        pieces = [read(start, PIECE_SAMPLES if len(starts) > 1 else n_samples) for start in starts]
    except DataError as error:
        raise_lack(error)
        return ""
    audio = np.concatenate(pieces)
    if np.ptp(audio) < SILENCE:
        return ""
    digest = hashlib.blake2b(str(n_samples).encode(), digest_size=8)
    digest.update(np.round(audio * 2**15).astype(np.int32).tobytes())
    return digest.hexdigest()


def joined_groups(marks: Sequence[Iterable[Hashable]]) -> list[str]:
    """A name for each clip, the same where they share a mark, directly or through others; "" for the rest.

    Args:
        marks: of each clip, as its group and the digest of its sound.
    """
    first: dict[Hashable, int] = {}  # a mark -> the first clip that bears it
    parent = list(range(len(marks)))

    def root(clip: int) -> int:
        while parent[clip] != clip:
            parent[clip] = parent[parent[clip]]
            clip = parent[clip]
        return clip

    for clip, own in enumerate(marks):
        for mark in own:
            other = root(first.setdefault(mark, clip))
            parent[max(root(clip), other)] = min(root(clip), other)
    roots = [root(clip) for clip in range(len(marks))]
    sizes = np.bincount(roots, minlength=len(marks))
    return [f"group {number}" if sizes[number] > 1 else "" for number in roots]
