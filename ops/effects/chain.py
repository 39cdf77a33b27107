"""Reverb, pitch, overdrive and tempo of a whole batch at once, each clip with its own draw.

It measures like SoX's chain (tests/ops/effects/test_chain.py). SoX raises the pitch by stretching time and
playing faster, then stretches again for the tempo; both stretches are one here, and the faster reading
is one with the reverb. Overdrive is all but instantaneous, so that it may stand between them: its
overtones reach up to Nyquist even where the pitch falls, while SoX's, made before its faster reading,
end where the pitch puts it. The two channels of the reverb are mixed before the overdrive, not after.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ops.effects.resampling import filter_and_resample
from ops.effects.reverb import room_responses
from ops.effects.time_stretch import time_stretch

OVERDRIVE_COLOUR = 0.1  # added before the distortion, so that even harmonics come about: SoX's 20 %
OVERDRIVE_MIX = (0.5, 0.75)  # of the sound as it was and of the distorted one
BLOCKER_POLE = 0.995  # of the filter that takes the constant part out of the distorted sound
BLOCKER_DOUBLINGS = 12  # 0.995**4096 is 1e-9
MOST_SAMPLES = {"cpu": 2**19, "cuda": 2**24}  # worked on at once: what fits a cache, what fills a GPU


@dataclass(frozen=True)
class EffectsDraw:
    """One draw of the effects chain; reverb in percent, pitch in cents, gain in dB, tempo a factor."""

    reverberance: float
    room_scale: float
    stereo_depth: float
    pitch_cents: float
    overdrive_gain_db: float
    tempo: float


def changed_length(n_samples: int, draw: EffectsDraw) -> int:
    """Samples of a clip of n_samples after the chain: n_samples / tempo, at least 1."""
    return max(1, round(n_samples / draw.tempo))


@torch.no_grad()
def apply_effects(signal: Tensor, lengths: Tensor, draws: Sequence[EffectsDraw]) -> tuple[Tensor, Tensor]:
    """Reverb, pitch, overdrive and tempo; a clip's result does not depend on the others.

    Args:
        signal: (batch, samples) float32 in [-1, 1] at 44,100 Hz.
        lengths: (batch,) samples of each clip, at least 1, on the CPU; what is behind is not heard.
        draws: one for each clip.

    Returns:
        (batch, longest) float32 in [-1, 1] (louder is clipped, as SoX does), zeros behind each clip, and
        the new lengths, see changed_length, on the CPU.
    """
    new = [changed_length(int(n), draw) for n, draw in zip(lengths.tolist(), draws, strict=True)]
    result = signal.new_zeros(len(draws), max(new, default=0))
    rows = max(1, MOST_SAMPLES.get(signal.device.type, 2**24) // max(signal.shape[1], 1))
    for first in range(0, len(draws), rows):
        part = slice(first, first + rows)
        changed = _apply(signal[part], lengths[part], draws[part], new[part])
        result[part, : changed.shape[1]] = changed
    return result, torch.tensor(new, dtype=torch.long)


def _apply(signal: Tensor, lengths: Tensor, draws: Sequence[EffectsDraw], new: list[int]) -> Tensor:
    device = signal.device
    draw = {name: np.array([getattr(d, name) for d in draws]) for name in vars(draws[0])}
    pitch = 2 ** (draw["pitch_cents"] / 1200)
    n_read = np.ceil(lengths.numpy() / pitch).astype(np.int64)
    signal = _cut(signal, lengths.numpy())
    rooms = room_responses(draw["reverberance"], draw["room_scale"], draw["stereo_depth"], device)
    signal = filter_and_resample(signal, rooms, pitch, int(n_read.max())).clamp(-1, 1)
    gains = torch.from_numpy(10 ** (draw["overdrive_gain_db"] / 20)).float().to(device, non_blocking=True)
    signal = _cut(overdrive(signal, gains).clamp(-1, 1), n_read)
    return _cut(time_stretch(signal, draw["tempo"] / pitch, max(new)), np.array(new))


def _cut(signal: Tensor, lengths: np.ndarray) -> Tensor:
    """Zeros behind each clip."""
    if lengths.min() >= signal.shape[1]:
        return signal
    lengths = torch.from_numpy(lengths).to(signal.device, non_blocking=True)
    return signal * (torch.arange(signal.shape[1], device=signal.device) < lengths[:, None])


def overdrive(signal: Tensor, gains: Tensor) -> Tensor:
    """SoX's overdrive: signal (batch, samples), gains (batch,) factors.

    u = gain * x + colour, limited to [-1, 1]; v = u - u**3 / 3; w = v without its constant part, by
    w[n] = v[n] - v[n - 1] + 0.995 w[n - 1]; the result is x / 2 + 3 w / 4. Before the clip there is
    silence, as far as v is concerned, too; SoX takes v to be 0 there, and starts with a click.
    """
    driven = (signal * gains[:, None] + OVERDRIVE_COLOUR).clamp(-1, 1)
    driven = driven - driven**3 / 3 - (OVERDRIVE_COLOUR - OVERDRIVE_COLOUR**3 / 3)
    # The recursion is a sum over the past with weights 0.995**k: doubled as often as any is left.
    blocked = torch.cat([driven[:, :1], driven[:, 1:] - driven[:, :-1]], dim=1)
    for doubling in range(BLOCKER_DOUBLINGS):
        shift = 2**doubling
        if shift >= blocked.shape[1]:
            break
        later = torch.add(blocked[:, shift:], blocked[:, :-shift], alpha=BLOCKER_POLE**shift)
        blocked = torch.cat([blocked[:, :shift], later], dim=1)
    as_it_was, distorted = OVERDRIVE_MIX
    return as_it_was * signal + distorted * blocked
