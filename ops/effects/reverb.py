"""Reverb: impulse responses of SoX's rooms, each clip its own, and convolution with them by FFT.

SoX's `reverb` is Freeverb (Jezar at Dreampoint): eight parallel combs with a low-pass filter in their
feedback, then four all-passes in series. It is linear, so its transfer function has a closed form; a
mono clip opens to two channels whose delays differ by stereo_depth, and mixing these down again is
the mean of the two.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

COMB_DELAYS = (1116, 1188, 1277, 1356, 1422, 1491, 1557, 1617)  # samples, times the room's scale
ALLPASS_DELAYS = (225, 341, 441, 556)  # samples
CHANNEL_SHIFT = 12  # samples between the channels at a stereo_depth of 100; signs alternate over the delays
ALLPASS_FEEDBACK = 0.5
DAMPING = 0.35  # of the combs' low-pass filter: SoX's default high-frequency damping of 50 %
WET_GAIN = 0.015
FEEDBACK_RANGE = (0.3, 0.98)  # of the combs, at a reverberance of 0 and of 100

GRID = 2**15  # samples that a response is computed on: 0.74 s, where the longest tail is at -41 dB
ALIAS_GAIN = 1 / 30  # of what lies behind the grid and would fold back onto its start


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
    radius = ALIAS_GAIN ** (-1 / GRID)
    angle = torch.arange(GRID, device=device) * (2 * math.pi / GRID)
    circle = torch.polar(torch.ones_like(angle), angle)
    bins = torch.arange(GRID // 2 + 1, dtype=torch.int32, device=device)

    def power_of_z(samples: np.ndarray) -> Tensor:
        """z**delay: (..., bins) for delays of shape (...)."""
        steps = torch.from_numpy(samples).int().to(device, non_blocking=True)[..., None]
        scale = torch.from_numpy(radius**samples).float().to(device, non_blocking=True)[..., None]
        index = (steps * bins) & (GRID - 1)  # GRID is a power of two
        return circle.index_select(0, index.flatten()).view(index.shape) * scale

    combs, allpasses = delays(room_scale, stereo_depth)
    feedback = torch.from_numpy(comb_feedback(reverberance)).float().to(device, non_blocking=True)
    low_pass = (1 - DAMPING) / (1 - DAMPING / (radius * circle[: GRID // 2 + 1]))
    loop = (feedback[:, None] * low_pass)[:, None, None]  # (batch, 1, 1, bins)
    wet = (power_of_z(combs) - loop).reciprocal().sum(2)  # (batch, 2, bins)
    for number in range(len(ALLPASS_DELAYS)):
        wet = wet * ((power_of_z(allpasses[:, :, number]) - ALLPASS_FEEDBACK).reciprocal() - 1)
    response = torch.fft.irfft(1 + WET_GAIN * wet.mean(1), n=GRID)
    return response * radius ** torch.arange(GRID, device=device)
