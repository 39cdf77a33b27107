"""Faster or slower at the same pitch: segments of a clip, overlapped where they fit each other best.

WSOLA (Verhelst, Roelands 1993) with SoX's segments, for a batch at once: all similarities first, by
FFT, then the choices as look-ups. Segments end at fixed places of the source, so that a choice changes
neither what later ones compare nor how well they fit, only how far they may still go.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from torch import Tensor, nn

from ops.effects.transfer import on_device
from ops.sampling import SAMPLE_RATE

SEGMENT = round(0.070 * SAMPLE_RATE)  # samples from a splice to the next
OVERLAP = round(0.012 * SAMPLE_RATE)
REACH = round(0.01468 / 2 * SAMPLE_RATE)  # samples that the source may be ahead or behind
WINDOW = OVERLAP + 4 * REACH  # of the source, searched for a splice
TRANSFORM = 2048  # more than WINDOW: then no lag of interest wraps around
FADE_END = 2 * REACH + OVERLAP  # in a frame of the result: a splice begins in its first 2 * REACH samples
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
    width = int(nominal.max()) + SEGMENT + REACH + TRANSFORM
    # Frame k of the result is from k * SEGMENT - REACH on; the signal, too, begins at -REACH from here on.
    signal = nn.functional.pad(signal, (REACH, width - REACH - signal.shape[1]))
    if not n_splices:
        return signal[:, REACH : REACH + n_samples]

    nominal += width * np.arange(len(speeds))[:, None]  # in the signals, one behind the other
    leaves, arrives = nominal[:, :-1] + SEGMENT + REACH, nominal[:, 1:] + REACH
    first, compared = on_device(signal.device, nominal - REACH, np.stack([leaves, arrives - 2 * REACH - 1]))
    signal = signal.flatten()
    ahead = _choose(_misfits(_pieces(signal, compared, TRANSFORM)))

    starts = first + ahead  # (batch, n_splices + 1)
    frames = _pieces(signal, starts, SEGMENT)
    unspliced = _pieces(signal, starts[:, :-1] + SEGMENT, FADE_END)  # how the frame before would go on
    _, _, fades = _constants(signal.device)
    frames[:, 1:, :FADE_END].lerp_(unspliced, fades[ahead[:, :-1]])
    return frames.flatten(1)[:, REACH : REACH + n_samples]


def _pieces(signal: Tensor, starts: Tensor, n_samples: int) -> Tensor:
    """(..., n_samples) of the signal (samples,) from each start on."""
    pieces = signal.unfold(0, n_samples, 1).index_select(0, starts.flatten())
    return pieces.view(*starts.shape, n_samples)


def _misfits(pieces: Tensor) -> Tensor:
    """(batch, splices, 4 * REACH + 1): squared differences of the sounds that would overlap.

    The entry 2 * REACH + d is that of arriving d samples behind the nominal place. pieces: (2, batch,
    splices, TRANSFORM), from where the source is left and from 2 * REACH + 1 before the nominal place.
    """
    heard, distance, _ = _constants(pieces.device)
    pieces = pieces * heard
    old, new = torch.fft.rfft(pieces).unbind()
    products = torch.fft.irfft(old.conj() * new, n=TRANSFORM)[..., 1 : 4 * REACH + 2]
    old, new = pieces.square().cumsum(-1).unbind()
    energy = new[..., OVERLAP : OVERLAP + 4 * REACH + 1] - new[..., : 4 * REACH + 1]
    return energy.sub_(products, alpha=2).addcmul_(old[..., -1:] + 1e-9, distance)


def _choose(misfits: Tensor) -> Tensor:
    """(batch, splices + 1): how far the source is ahead before each splice and after the last, plus REACH.

    Starting d late puts the source d ahead for good, and it may be at most REACH ahead or behind: so a
    choice, the best within reach, depends on the sum of those before it. For every such sum the best choice
    is tabulated. The entries allowed for the sum REACH - i are i to i + 2 * REACH: an end of the left half
    and a start of the right one, hence two running minima.

    So each sum before each splice points to one before the next. They are followed by pointer jumping
    (Wyllie 1979): pointers replaced by those that they point to lead twice as far. A queue before the first
    splice is as long as all pointers lead in the end: its n-th member then points to the sum before splice n.
    """
    batch, splices, _ = misfits.shape
    sums, length = 2 * REACH + 1, 2 ** splices.bit_length()
    outward = torch.stack([misfits[..., :sums].flip(-1), misfits[..., sums - 1 :]])
    (back, forth), (n_back, n_forth) = (both.unbind() for both in outward.cummin(-1))
    late = torch.where(back <= forth.flip(-1), -n_back, n_forth.flip(-1))  # (batch, splices, sums)

    n_nodes = late.numel()
    queues = n_nodes + 1 + np.arange(batch * length).reshape(batch, length)
    queues[:, -1] = np.arange(batch) * splices * sums + REACH
    beyond = np.zeros(sums, dtype=np.int64)  # what the last clip's last splice points to
    layers = np.arange(batch)[:, None] * splices + np.arange(splices + 1)
    queues, layers = on_device(misfits.device, np.append(queues, beyond), layers * sums)
    nodes = torch.arange(sums, sums + n_nodes, device=misfits.device)  # the same sum before the next splice
    pointers = torch.cat([nodes + late.flatten(), queues])
    for _ in range(splices.bit_length()):
        pointers = pointers.index_select(0, pointers)
    reached = pointers[n_nodes : n_nodes + batch * length].view(batch, length)
    return reached[:, : splices + 1] - layers


@lru_cache
def _constants(device: torch.device) -> list[Tensor]:
    """What of the pieces is compared, what a jump costs, and for each sum how a frame fades."""
    sample = np.arange(TRANSFORM)
    heard = sample < np.array([OVERLAP, WINDOW + 1])[:, None, None, None]  # (2, 1, 1, TRANSFORM)
    distance = TIE * np.abs(np.arange(-2 * REACH, 2 * REACH + 1)) / (2 * REACH)
    fade = 1 - (np.arange(-2 * REACH, FADE_END) + 0.5).clip(0, OVERLAP) / OVERLAP
    constants = (x.astype(np.float32) for x in (heard, distance, fade))
    heard, distance, fade = on_device(device, *constants)
    return [heard, distance, fade.unfold(0, FADE_END, 1)]
