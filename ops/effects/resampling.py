"""Each clip of a batch through its own filter and read at its own rate, in one pass over blocks.

Reading between samples is B-spline interpolation of degree 7: eight neighbours a sample, whatever the
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

from ops.effects.transfer import on_device

HOP = 2**15  # output samples of a block
BLOCK = 2 * HOP  # samples of its Fourier transform
GUARD = 256  # samples on either side that the two factors spread a response by
DEGREE = 7
PHASES = 2**13  # between two samples; rounding to one of them leaves an error below -80 dB at 10 kHz
TRANSITION = 0.05  # of the signal's Nyquist frequency: what the low-pass filter falls over, below its edge
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
    rows, steps, edges = on_device(
        signal.device,
        np.arange(len(speeds))[:, None] * n_blocks * HOP << POINT,
        np.round(speeds * 2**POINT).astype(np.int64)[:, None],  # integers: exact, the same on any device
        np.round(BLOCK // 2 * (1 - np.minimum(1 / speeds, 1))).astype(np.int64),
    )
    bands, prefilter, weights = _constants(signal.device)
    spectra = torch.fft.rfft(responses[:, : HOP - 2 * GUARD], n=BLOCK)
    spectra = (spectra * prefilter).mul_(bands.index_select(0, edges))
    before = HOP - GUARD  # of a block's first sample, so that no valid one is reached from its far end
    behind = (n_blocks + 1) * HOP - before - signal.shape[1]
    blocks = nn.functional.pad(signal, (before, behind)).unfold(1, BLOCK, HOP)  # (batch, n_blocks, BLOCK)
    filtered = torch.fft.irfft(torch.fft.rfft(blocks).mul_(spectra[:, None]), n=BLOCK)
    filtered = filtered[:, :, before - lead : before - lead + HOP].flatten()

    position = torch.addcmul(rows, torch.arange(n_samples, device=signal.device), steps).flatten()
    neighbours = filtered.unfold(0, DEGREE + 1, 1).index_select(0, position >> POINT)
    phase = (position >> (POINT - PHASES.bit_length() + 1)) & (PHASES - 1)
    return neighbours.mul_(weights.index_select(0, phase)).sum(1).view(len(speeds), n_samples)


@lru_cache
def _constants(device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """Low-pass filters, what undoes the spline's own response, and the spline between samples.

    Shapes (filters, bins), (bins,) and (PHASES, DEGREE + 1). The n-th filter ends n bins below the signal's
    Nyquist frequency; all are views of one.
    """
    n_bins = BLOCK // 2 + 1
    frequency = np.arange(2 * n_bins) / (n_bins - 1)  # 1 is the signal's Nyquist frequency, for band the edge
    band = 0.5 + 0.5 * np.cos(np.pi * ((frequency - 1) / TRANSITION + 1).clip(0, 1))
    basis = _basis()
    around = np.arange(-(DEGREE // 2), DEGREE // 2 + 1)
    spline = basis(around) @ np.cos(np.pi * around[:, None] * frequency[:n_bins])
    fraction = (np.arange(PHASES)[:, None] + 0.5) / PHASES
    weights = basis(fraction - np.arange(DEGREE + 1) + DEGREE // 2)
    band, inverse, weights = on_device(device, *(x.astype(np.float32) for x in (band, 1 / spline, weights)))
    return band.unfold(0, n_bins, 1), inverse, weights


def _basis() -> BSpline:
    """The B-spline centred on 0."""
    return BSpline.basis_element(np.arange(DEGREE + 2) - (DEGREE + 1) / 2, extrapolate=False)
