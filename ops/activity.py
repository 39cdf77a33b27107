"""Where a recording is silent, and the windows that its other parts are heard in."""

from __future__ import annotations

import numpy as np

from ops.sampling import SAMPLE_RATE

FRAME_SAMPLES = SAMPLE_RATE // 50  # 20 ms
MIN_LEVEL_DB = -200.0
MAX_STRETCH = 1.5  # of the window's length: what is not longer is one window

Span = tuple[int, int]  # first sample, and the one behind the last


def frame_levels(audio: np.ndarray) -> np.ndarray:
    """(frames,) RMS in dB of full scale, of frames of 20 ms; the last may be shorter. audio (samples,)."""
    starts = np.arange(0, len(audio), FRAME_SAMPLES)
    if not len(starts):
        return np.empty(0)
    energy = np.add.reduceat(np.square(audio, dtype=np.float64), starts)
    rms = np.sqrt(energy / np.diff(starts, append=len(audio)))
    return 20 * np.log10(np.maximum(rms, 10 ** (MIN_LEVEL_DB / 20)))


def sounding_spans(
    levels: np.ndarray, n_samples: int, silence_db: float, min_gap_seconds: float
) -> list[Span]:
    """What is left of a recording without its silences of min_gap_seconds or more.

    Shorter silences stay part of the sound. Levels as frame_levels gives them, of n_samples.
    """
    loud = np.flatnonzero(levels > silence_db)
    if not len(loud):
        return []
    min_gap = min_gap_seconds * SAMPLE_RATE / FRAME_SAMPLES
    breaks = np.flatnonzero(np.diff(loud) - 1 >= min_gap)
    firsts, lasts = loud[np.append(0, breaks + 1)], loud[np.append(breaks, len(loud) - 1)] + 1
    if firsts[0] < min_gap:
        firsts[0] = 0
    if len(levels) - lasts[-1] < min_gap:
        lasts[-1] = len(levels)
    ends = np.minimum(lasts * FRAME_SAMPLES, n_samples)
    return [(int(start), int(end)) for start, end in zip(firsts * FRAME_SAMPLES, ends, strict=True)]


def windows_of(span: Span, window_samples: int, hop_samples: int) -> list[Span]:
    """Windows that cover a span, at most hop_samples apart; all of it where it is hardly longer than one."""
    start, end = span
    if end - start <= MAX_STRETCH * window_samples:
        return [span]
    count = -(-(end - start - window_samples) // hop_samples) + 1
    starts = np.linspace(start, end - window_samples, count).round().astype(int)
    return [(int(first), int(first) + window_samples) for first in starts]
