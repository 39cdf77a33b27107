"""Each clip of a batch through its own filter and read at its own rate, in one pass over blocks.

Reading between samples is B-spline interpolation of degree 7: eight gathers a sample, whatever the
ratio is (a polyphase filter of a ratio like 1.0594 would have thousands of phases). What a B-spline
needs before it, and the low-pass filter against aliasing, are factors in the filter's spectrum and
so cost nothing. Unser, Aldroubi, Eden 1993, B-spline signal processing.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from scipy.interpolate import BSpline
from torch import Tensor, nn

HOP = 2**15  # output samples of a block
BLOCK = 2 * HOP  # samples of its Fourier transform
GUARD = 256  # samples on either side that the two factors spread a response by
DEGREE = 7
PHASES = 2**13  # between two samples; rounding to one of them leaves an error below -80 dB at 10 kHz
PASS_BAND = 0.95  # of the band up to the lower of the two Nyquist frequencies
POINT = 32  # binary places of a position


def filter_and_resample(signal: Tensor, responses: Tensor, speeds: np.ndarray, n_samples: int) -> Tensor:
    """Sample n of the result: (signal convolved with its clip's response) at n * speed.

    Args:
        signal: (batch, samples), zeros behind each clip.
        responses: (batch, at most HOP) impulse responses; what is behind HOP - 2 * GUARD is left out.
        speeds: (batch,) float64; a speed above 1 shortens a clip and raises its pitch.
        n_samples: of the result.

    Returns:
        (batch, n_samples).
    """
    last = int((n_samples - 1) * speeds.max()) + DEGREE + 1
    n_blocks = last // HOP + 1
    lead = DEGREE // 2  # the spline at x takes samples from floor(x) - lead on
    responses = responses[:, : HOP - 2 * GUARD]
    spectra = torch.fft.rfft(responses, n=BLOCK) * _band_and_prefilter(speeds, signal.device)
    before = HOP - GUARD  # of a block's first sample, so that no valid one is reached from its far end
    behind = n_blocks * HOP + BLOCK - before - signal.shape[1]
    blocks = nn.functional.pad(signal, (before, behind)).unfold(1, BLOCK, HOP)[:, :n_blocks]
    filtered = torch.fft.irfft(torch.fft.rfft(blocks).mul_(spectra[:, None]), n=BLOCK)
    filtered = filtered[:, :, before - lead : before - lead + HOP].flatten(1)  # (batch, n_blocks * HOP)

    steps = np.round(speeds * 2**POINT).astype(np.int64)  # integers: exact, and the same on any device
    steps = torch.from_numpy(steps)[:, None].to(signal.device, non_blocking=True)
    position = torch.arange(n_samples, device=signal.device) * steps  # (batch, n_samples)
    index = position >> POINT
    phase = (position >> (POINT - PHASES.bit_length() + 1)).int().bitwise_and_(PHASES - 1).flatten()
    weights = _spline_weights(signal.device)
    result = torch.zeros_like(position, dtype=signal.dtype)
    for tap in range(DEGREE + 1):
        taken = filtered[:, tap:].gather(1, index)
        result.addcmul_(taken, weights[tap].index_select(0, phase).view_as(taken))
    return result


def _band_and_prefilter(speeds: np.ndarray, device: torch.device) -> Tensor:
    """(batch, BLOCK // 2 + 1): low-pass below both Nyquist frequencies, over the spline's own response."""
    frequency = torch.linspace(0, 1, BLOCK // 2 + 1, device=device)  # 1 is the signal's Nyquist frequency
    edges = torch.from_numpy(np.minimum(1 / speeds, 1)).float().to(device, non_blocking=True)[:, None]
    fall = ((frequency / edges - PASS_BAND) / (1 - PASS_BAND)).clamp(0, 1)
    band = 0.5 + 0.5 * torch.cos(torch.pi * fall)
    basis = _basis()
    spline = float(basis(0)) + sum(
        2 * float(basis(k)) * torch.cos(torch.pi * k * frequency) for k in range(1, DEGREE // 2 + 1)
    )
    return band / spline


def _basis() -> BSpline:
    """The B-spline centred on 0."""
    return BSpline.basis_element(np.arange(DEGREE + 2) - (DEGREE + 1) / 2, extrapolate=False)


@lru_cache
def _spline_weights(device: torch.device) -> Tensor:
    """(DEGREE + 1, PHASES): of the samples from floor(x) - DEGREE // 2 on, for each fraction of x."""
    fraction = (np.arange(PHASES) + 0.5) / PHASES
    taps = np.arange(DEGREE + 1)[:, None] - DEGREE // 2
    return torch.from_numpy(_basis()(fraction - taps)).float().to(device, non_blocking=True)
