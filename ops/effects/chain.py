"""Reverb, pitch, overdrive and tempo of a whole batch at once, each clip with its own draw.

It measures like SoX's chain (tests/ops/effects/test_chain.py). SoX raises the pitch by stretching time and
playing faster, then stretches again for the tempo; both stretches are one here, and the faster reading
is one with the reverb. Overdrive is all but instantaneous, so that it may stand between them: its
overtones reach up to Nyquist even where the pitch falls, while SoX's, made before its faster reading,
end where the pitch puts it. The two channels of the reverb are mixed before the overdrive, not after.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor, nn

from ops.effects.resampling import filter_and_resample
from ops.effects.reverb import room_responses
from ops.effects.time_stretch import time_stretch
from ops.effects.transfer import on_device
from ops.samples import EffectsDraw

OVERDRIVE_COLOUR = 0.1  # added before the distortion, so that even harmonics come about: SoX's 20 %
OVERDRIVE_MIX = (0.5, 0.75)  # of the sound as it was and of the distorted one
BLOCKER_POLE = 0.995  # of the filter that takes the constant part out of the distorted sound
BLOCKER_CHUNK = 4096  # samples after which the filter has forgotten: 0.995**4096 is 1e-9
MAX_SAMPLES = {"cpu": 2**20, "cuda": 2**24}  # worked on at once, 120 bytes each; fewer serve a CPU's caches


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
    lengths = lengths.numpy()
    new = np.array([changed_length(n, draw) for n, draw in zip(lengths, draws, strict=True)], dtype=np.int64)
    result = signal.new_zeros(len(draws), new.max(initial=0))
    rows = max(1, MAX_SAMPLES.get(signal.device.type, 2**24) // max(signal.shape[1], 1))
    for first in range(0, len(draws), rows):
        part = slice(first, first + rows)
        changed, ends = _apply(signal[part], lengths[part], draws[part], new[part])
        torch.mul(changed, _heard(changed, ends), out=result[part, : changed.shape[1]])
    return result, torch.from_numpy(new)


def _apply(
    signal: Tensor, lengths: np.ndarray, draws: Sequence[EffectsDraw], new: np.ndarray
) -> tuple[Tensor, Tensor]:
    """(batch, longest) with sound behind the shorter clips, and (batch, 1) where they end."""
    draw = {name: np.array([getattr(d, name) for d in draws]) for name in vars(draws[0])}
    pitch = 2 ** (draw["pitch_cents"] / 1200)
    n_read = np.ceil(lengths / pitch).astype(np.int64)
    gains = 10 ** (draw["overdrive_gain_db"] / 20)
    ends = np.stack([lengths, n_read, new])[..., None]
    ends, gains = on_device(signal.device, ends.astype(np.int32), gains.astype(np.float32))
    given, read, changed = ends.unbind()
    if lengths.min() < signal.shape[1]:
        signal = signal * _heard(signal, given)
    rooms = room_responses(draw["reverberance"], draw["room_scale"], draw["stereo_depth"], signal.device)
    signal = filter_and_resample(signal, rooms, pitch, int(n_read.max())).clamp_(-1, 1)
    signal = overdrive(signal, gains).clamp_(-1, 1)
    signal.mul_(_heard(signal, read))
    return time_stretch(signal, draw["tempo"] / pitch, int(new.max())), changed


def _heard(signal: Tensor, ends: Tensor) -> Tensor:
    """(batch, samples): whether a sample is before the end of its clip; ends (batch, 1)."""
    return torch.arange(signal.shape[1], dtype=torch.int32, device=signal.device) < ends


def overdrive(signal: Tensor, gains: Tensor) -> Tensor:
    """SoX's overdrive: signal (batch, samples), gains (batch,) factors.

    u = gain * x + colour, limited to [-1, 1]; v = u - u**3 / 3; w = v without its constant part, by
    w[n] = v[n] - v[n - 1] + 0.995 w[n - 1]; the result is x / 2 + 3 w / 4. Before the clip there is
    silence, as far as v is concerned, too; SoX takes v to be 0 there, and starts with a click.

    Let c be the colour, p = 0.995, y = gain * x limited so that u is. Then v less its value in silence is
    y * (1 - c**2 - y * (c + y / 3)), and w = (v - (1 - p) s) / p with s[n] = v[n] + p s[n - 1]: p**-n s[n] is
    the cumulative sum of p**-n v[n]. Its addends grow as it does, so that no digits are lost; chunks keep
    it within float32, and of what is before a chunk only the chunk before it is still heard.
    """
    cubic, square, linear, growth, decay = _overdrive_constants(signal.device)
    y = (signal * gains[:, None]).clamp_(-1 - OVERDRIVE_COLOUR, 1 - OVERDRIVE_COLOUR)
    v = torch.addcmul(linear, y, torch.addcmul(square, y, cubic)).mul_(y)
    v = nn.functional.pad(v, (0, -v.shape[1] % BLOCKER_CHUNK)).view(len(v), -1, BLOCKER_CHUNK)
    past = (v * growth).cumsum(-1)
    past[:, 1:].add_(past[:, :-1, -1:] * BLOCKER_POLE**BLOCKER_CHUNK)
    w = torch.addcmul(v, past, decay).flatten(1)[:, : signal.shape[1]]
    return w.add_(signal, alpha=OVERDRIVE_MIX[0])


@lru_cache
def _overdrive_constants(device: torch.device) -> list[Tensor]:
    """Coefficients of y**3, y**2 and y, times the mix over p, (1,); p**-n and (p - 1) p**n of a chunk."""
    scale = OVERDRIVE_MIX[1] / BLOCKER_POLE
    powers = BLOCKER_POLE ** np.arange(BLOCKER_CHUNK)
    constants = (
        [-scale / 3],
        [-scale * OVERDRIVE_COLOUR],
        [scale * (1 - OVERDRIVE_COLOUR**2)],
        1 / powers,
        (BLOCKER_POLE - 1) * powers,
    )
    return on_device(device, *(np.array(values, dtype=np.float32) for values in constants))
