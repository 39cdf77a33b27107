"""A stream of sound at its own rate -> segments of it at another one."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import soxr

FILTER_SAMPLES = 1024  # of the lower rate, at each side of a segment that is resampled


@dataclass(frozen=True)
class Stream:
    """n_frames mono samples at `rate`, read at new_rate; where they come from is the business of `decode`.

    Attributes:
        decode: (first, count) -> (count,) float32, so many frames from the first on.
        seeks_exactly: whether frames are the same wherever decoding begins, to the last bit.
    """

    rate: int
    new_rate: int
    n_frames: int
    decode: Callable[[int, int], np.ndarray]
    seeks_exactly: bool

    @property
    def n_samples(self) -> int:
        """Its length at new_rate."""
        return max(1, round(self.n_frames * self.new_rate / self.rate))

    def first_frame(self, start: int) -> int:
        """The frame from which on a segment that begins at sample `start` is computed."""
        return min(self._begin(start) * self.rate // self.new_rate, self.n_frames - 1)

    def read(self, start: int, n_samples: int | None) -> np.ndarray:
        """(samples,) float32 in [-1, 1] at new_rate, at most n_samples from `start` on; None: to the end.

        Samples beyond [-1, 1], as resampling and lossy decoders make them, too, are clipped.
        """
        start = min(start, self.n_samples - 1)
        first, last = self.first_frame(start), self.n_frames
        if n_samples is not None:
            n_samples = min(n_samples, self.n_samples - start)
            last = min(last, math.ceil((start + n_samples + self._margin) * self.rate / self.new_rate))
        audio = self.decode(first, last - first)
        if self.rate != self.new_rate:
            audio = soxr.resample(audio, self.rate, self.new_rate)[start - self._begin(start) :]
            if not len(audio):  # shorter than one sample at new_rate
                audio = np.zeros(1, dtype=np.float32)
        audio = audio[:n_samples]
        if audio.min() < -1 or audio.max() > 1:
            audio = np.clip(audio, -1.0, 1.0)
        return audio

    def decoded(self) -> Stream:
        """The same stream, all of it in memory."""
        frames = self.decode(0, self.n_frames)
        return replace(self, decode=lambda first, count: frames[first : first + count])

    @property
    def _margin(self) -> int:
        """Samples at each side of a segment that the filter needs."""
        if self.rate == self.new_rate:
            return 0
        return math.ceil(FILTER_SAMPLES * max(1.0, self.new_rate / self.rate))

    def _begin(self, start: int) -> int:
        """Where resampling begins: at a sample that both rates have, the filter's length before `start`."""
        step = self.new_rate // math.gcd(self.new_rate, self.rate)
        return max(0, start - self._margin) // step * step
