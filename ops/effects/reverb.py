"""Reverb: impulse responses of SoX's rooms, each clip its own, and convolution with them by FFT.

SoX's `reverb` is Freeverb (Jezar at Dreampoint): eight parallel combs with a low-pass filter in their
feedback, then four all-passes in series. It is linear, so its transfer function has a closed form; a
mono clip opens to two channels whose delays differ by stereo_depth, and mixing these down again is
the mean of the two.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from ops.effects.transfer import on_device

COMB_DELAYS = (1116, 1188, 1277, 1356, 1422, 1491, 1557, 1617)  # samples, times the room's scale
ALLPASS_DELAYS = (225, 341, 441, 556)  # samples
CHANNEL_SHIFT = 12  # samples between the channels at a stereo_depth of 100; signs alternate over the delays
ALLPASS_FEEDBACK = 0.5
DAMPING = 0.35  # of the combs' low-pass filter: SoX's default high-frequency damping of 50 %
WET_GAIN = 0.015
CHANNEL_GAIN = WET_GAIN / 2  # the two channels are mixed down to their mean
FEEDBACK_RANGE = (0.3, 0.98)  # of the combs, at a reverberance of 0 and of 100

GRID = 2**15  # samples that a response is computed on: 0.74 s, where the longest tail is at -41 dB
ALIAS_GAIN = 1 / 30  # of what lies behind the grid and would fold back onto its start
RADIUS = ALIAS_GAIN ** (-1 / GRID)  # of the circle that the transfer function is evaluated on


def comb_feedback(reverberance: np.ndarray) -> np.ndarray:
    """The combs' feedback; 1 minus it falls exponentially with the reverberance (0 to 100)."""
    low, high = (1 - feedback for feedback in FEEDBACK_RANGE)
    return 1 - low * (high / low) ** (np.asarray(reverberance) / 100)


def delays(room_scale: np.ndarray, stereo_depth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Delays in samples of both channels: combs (batch, 2, 8) and all-passes (batch, 2, 4)."""

    def shifted(lengths: tuple[int, ...]) -> np.ndarray:
        side = np.array([1, -1])[np.arange(len(lengths)) % 2]
        second = CHANNEL_SHIFT * np.asarray(stereo_depth)[:, None] / 100 * side
        return np.stack([np.zeros_like(second), second], axis=1) + np.array(lengths)

    scale = 0.1 + 0.9 * np.asarray(room_scale)[:, None, None] / 100
    combs, allpasses = scale * shifted(COMB_DELAYS), shifted(ALLPASS_DELAYS)
    return (combs + 0.5).astype(np.int64), (allpasses + 0.5).astype(np.int64)


def room_responses(
    reverberance: np.ndarray, room_scale: np.ndarray, stereo_depth: np.ndarray, device: torch.device
) -> Tensor:
    """Impulse responses (batch, GRID) float32 of the rooms, the dry sound (1 at sample 0) included.

    The arguments are (batch,), in percent. The transfer function is evaluated on a circle slightly wider
    than the unit circle: what a response has behind GRID folds back weaker by ALIAS_GAIN.
    """
    circle, low_pass, series, bins, dry, decay = _constants(device)
    combs, allpasses = delays(room_scale, stereo_depth)
    shifts = np.abs(allpasses - ALLPASS_DELAYS)[..., :2].sum(-1)  # (batch, 2), see _constants
    steps, shifts, scale, feedback = on_device(
        device,
        combs.astype(np.int32)[..., None],  # (batch, 2, 8, 1)
        shifts.astype(np.int32).flatten(),
        (RADIUS**combs / CHANNEL_GAIN).astype(np.float32)[..., None],
        comb_feedback(reverberance).astype(np.float32)[:, None, None, None],
    )
    index = (steps * bins) & (GRID - 1)  # GRID is a power of two
    powers = circle.index_select(0, index.flatten()).view(index.shape)  # z**delay, not scaled
    loops = (powers * scale).sub_(feedback * low_pass)  # (batch, 2, 8, bins)
    series = series.index_select(0, shifts).view(len(combs), 2, 1, -1)
    wet = (series / loops).sum((1, 2))  # (batch, bins)
    return torch.addcmul(dry, torch.fft.irfft(wet, n=GRID), decay)


@lru_cache
def _constants(device: torch.device) -> list[Tensor]:
    """What the rooms have in common: circle, low-pass filter, all-passes, bins, dry sound and decay.

    The four all-passes are shifted in turn by a and -b samples, and rounding leaves a = b or a = b + 1:
    (25, bins) are all that there are, at a + b.
    """
    grid = np.arange(GRID)
    circle = np.exp(2j * np.pi * grid / GRID)
    bins = grid[: GRID // 2 + 1]
    z = RADIUS * circle[bins]
    series = np.ones((2 * CHANNEL_SHIFT + 1, len(bins)), dtype=complex)
    for shifts, response in enumerate(series):
        for number, delay in enumerate(ALLPASS_DELAYS):
            shifted = delay - shifts // 2 if number % 2 else delay + (shifts + 1) // 2
            response *= 1 / (RADIUS**shifted * circle[shifted * bins % GRID] - ALLPASS_FEEDBACK) - 1
    low_pass = (1 - DAMPING) / (1 - DAMPING / z) / CHANNEL_GAIN
    spectra = (array.astype(np.complex64) for array in (circle, low_pass, series))
    responses = (array.astype(np.float32) for array in (np.eye(1, GRID), RADIUS**grid))
    return on_device(device, *spectra, bins.astype(np.int32), *responses)
