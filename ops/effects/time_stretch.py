"""Faster or slower at the same pitch: segments of a clip, overlapped where they fit each other best.

WSOLA (Verhelst, Roelands 1993) with SoX's segments, for a batch at once: all similarities first, by
FFT, then the choices as look-ups. Segments end at fixed places of the source, so that a choice changes
neither what later ones compare nor how well they fit, only how far they may still go.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from ops.sampling import SAMPLE_RATE

SEGMENT = round(0.070 * SAMPLE_RATE)  # samples from a splice to the next
OVERLAP = round(0.012 * SAMPLE_RATE)
REACH = round(0.01468 / 2 * SAMPLE_RATE)  # samples that the source may be ahead or behind
WINDOW = OVERLAP + 4 * REACH  # of the source, searched for a splice
TRANSFORM = 2048  # at least WINDOW: then no lag of interest wraps around
TIE = 1e-3  # of the energy: what the farthest jump has to fit better than none


def time_stretch(signal: Tensor, speeds: np.ndarray, n_samples: int) -> Tensor:
    """Sample t of the result comes from within REACH of t * speed.

    Args:
        signal: (batch, samples), zeros behind each clip.
        speeds: (batch,) float64.
        n_samples: of the result.

    Returns:
        (batch, n_samples); at a speed of 1 the signal itself.
    """
    n_splices = (n_samples + REACH) // SEGMENT
    nominal = np.round(np.arange(n_splices + 1) * SEGMENT * speeds[:, None]).astype(np.int64)
    source_end = max(int(nominal.max()) + SEGMENT, n_samples) + WINDOW
    signal = nn.functional.pad(signal, (0, max(0, source_end - signal.shape[1])))
    nominal = torch.from_numpy(nominal).to(signal.device, non_blocking=True)
    leaves, arrives = nominal[:, :-1] + SEGMENT, nominal[:, 1:]  # (batch, splices)
    time = torch.arange(n_samples + 1, device=signal.device)  # one more: what is behind the end goes there
    if not n_splices:
        return signal[:, :n_samples]

    arrives = arrives + _choose(_misfits(signal, leaves, arrives))
    jumps = arrives - leaves
    starts = leaves - jumps.cumsum(1) + jumps  # of the splices, in the result
    ahead = torch.zeros(len(signal), n_samples + 1, dtype=torch.long, device=signal.device)
    ahead.scatter_add_(1, starts.clamp(max=n_samples), jumps)
    result = signal.gather(1, (ahead.cumsum(1) + time).clamp(0, source_end - 1))

    within = torch.arange(OVERLAP, device=signal.device)
    fade = (within + 0.5) / OVERLAP
    mixed = torch.lerp(_pieces(signal, leaves, OVERLAP), _pieces(signal, arrives, OVERLAP), fade)
    places = (starts[:, :, None] + within).clamp(max=n_samples)
    return result.scatter(1, places.flatten(1), mixed.flatten(1))[:, :n_samples]


def _pieces(signal: Tensor, starts: Tensor, n_samples: int) -> Tensor:
    """(batch, splices, n_samples) of the signal from each start on."""
    index = starts[:, :, None] + torch.arange(n_samples, device=signal.device)
    return signal.gather(1, index.flatten(1)).view(index.shape)


def _misfits(signal: Tensor, leaves: Tensor, arrives: Tensor) -> Tensor:
    """(batch, splices, 4 * REACH + 1): squared differences of the sounds that would overlap.

    The entry 2 * REACH + d is that of arriving d samples behind the nominal place.
    """
    old = _pieces(signal, leaves, OVERLAP)
    new = _pieces(signal, arrives - 2 * REACH, WINDOW)
    spectrum = torch.fft.rfft(old, n=TRANSFORM).conj() * torch.fft.rfft(new, n=TRANSFORM)
    products = torch.fft.irfft(spectrum, n=TRANSFORM)[..., : 4 * REACH + 1]
    energy = nn.functional.pad(new.square().cumsum(-1), (1, 0))
    energy = energy[..., OVERLAP:] - energy[..., : 4 * REACH + 1]
    distance = torch.arange(-2 * REACH, 2 * REACH + 1, device=signal.device).abs() / (2 * REACH)
    own = old.square().sum(-1, keepdim=True) + 1e-9
    return energy - 2 * products + TIE * own * distance


def _choose(misfits: Tensor) -> Tensor:
    """(batch, splices): how far behind its nominal place each segment starts, the best within reach.

    Starting d late puts the source d ahead for good, and it may be at most REACH ahead or behind: so a
    choice depends on the sum of those before it. For every such sum the best choice is tabulated; then
    one look-up a splice follows them. The entries allowed for the sum REACH - i are i to i + 2 * REACH:
    an end of the left half and a start of the right one, hence two running minima.
    """
    left, from_left = misfits[..., : 2 * REACH + 1].flip(-1).cummin(-1)
    right, from_right = misfits[..., 2 * REACH :].cummin(-1)
    left, from_left = left.flip(-1), 2 * REACH - from_left.flip(-1)
    best = torch.where(left <= right, from_left, from_right + 2 * REACH)  # (batch, splices, 2 * REACH + 1)
    row = torch.arange(2 * REACH + 1, device=misfits.device)
    row_after = row + 2 * REACH - best
    rows = [torch.full((len(misfits), 1), REACH, device=misfits.device)]
    for splice in range(misfits.shape[1]):
        rows.append(row_after[:, splice].gather(1, rows[-1]))
    rows = torch.cat(rows, dim=1)
    return rows[:, :-1] - rows[:, 1:]
