"""Views of a clip for contrastive learning: what may differ between two of them and leave the sound the same.

A view is a random segment with another clip mixed in faintly ("mix-back", Fonseca et al. 2021,
arXiv:2011.07616), at a random gain; in the spectrogram a random crop is stretched to full size (as in BYOL-A,
Niizumi et al. 2021, arXiv:2103.06695) and bands are hidden (SpecAugment). The waveform is changed where clips
are read, the spectrogram on the device.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from ops.samples import Sample
from ops.spec_augment import draw_bands, hide_bands

BACKGROUND_DB = (-30.0, -13.0)  # power of the clip mixed in; the paper's share of 0.05 at most is -13 dB
GAIN_DB = (-12.0, 0.0)
MIN_CROP = 0.6  # of each axis


def draw_view(
    sample: Sample, rng: np.random.Generator, draw_partner: Callable[[np.random.Generator], Sample]
) -> Sample:
    """A view of a sample: its audio changed, what is to be done to its spectrogram in `bands`.

    Args:
        draw_partner: gives another clip's sample, which is mixed in.
    """
    background = draw_partner(rng).audio
    offset = int(rng.integers(abs(len(sample.audio) - len(background)) + 1))
    level_db, gain_db = rng.uniform(*BACKGROUND_DB), rng.uniform(*GAIN_DB)
    audio = mix_back(sample.audio, background, level_db, offset) * np.float32(10 ** (gain_db / 20))
    bands = np.concatenate([draw_bands(rng), draw_crop(rng)[:, None]], axis=1)
    return replace(sample, audio=audio, bands=bands)


def mix_back(audio: np.ndarray, background: np.ndarray, level_db: float, offset: int) -> np.ndarray:
    """(samples,) the audio, and the background at a power level_db above its own; as long as the audio.

    Args:
        background: (samples,); a longer one gives its part from `offset` on, a shorter one lies there.
    """
    mixed = audio.astype(np.float32)
    if len(background) > len(audio):
        part, place = background[offset : offset + len(audio)], slice(None)
    else:
        part, place = background, slice(offset, offset + len(background))
    power = np.mean(np.square(part, dtype=np.float64)) if len(part) else 0.0
    if power > 0:
        own = np.mean(np.square(audio, dtype=np.float64))
        mixed[place] += part * np.float32(np.sqrt(own / power) * 10 ** (level_db / 20))
    return mixed


def draw_crop(rng: np.random.Generator) -> np.ndarray:
    """Start and end of the crop as shares of the axis, float32 (2, 2): in frequency, in time."""
    width = rng.uniform(MIN_CROP, 1, 2)
    start = rng.random(2) * (1 - width)
    return np.stack([start, start + width], axis=1).astype(np.float32)


def change_spectrogram(features: Tensor, n_frames: Tensor | None, bands: Tensor) -> Tensor:
    """What draw_view left to be done.

    Args:
        features: (batch, features, frames).
        n_frames: (batch,) frames of each clip; None: all.
        bands: (batch, 2, n, 2), on the features' device: those to hide, the last one what the crop keeps.
    """
    return hide_bands(resized_crop(features, n_frames, bands[:, :, -1]), n_frames, bands[:, :, :-1])


def resized_crop(features: Tensor, n_frames: Tensor | None, crop: Tensor) -> Tensor:
    """Stretches a part of each clip's spectrogram to the size of the whole, with linear interpolation.

    Args:
        features: (batch, features, frames).
        n_frames: (batch,) frames of each clip; None: all. What lies behind them stays as it is.
        crop: (batch, 2, 2) start and end, as shares, of its features and of its frames.
    """
    n_features, frames = features.shape[1:]
    if n_frames is None:
        n_frames = torch.full((len(features),), frames)
    each = n_frames.to(features.device, non_blocking=True)[:, None]
    frame = torch.arange(frames, device=features.device)
    changed = _stretched(features.transpose(1, 2), crop[:, 1], each, frame).transpose(1, 2)
    every = torch.full_like(each, n_features)
    changed = _stretched(changed, crop[:, 0], every, torch.arange(n_features, device=features.device))
    return torch.where((frame < each)[:, None], changed, features)


def _stretched(rows: Tensor, part: Tensor, sizes: Tensor, position: Tensor) -> Tensor:
    """(batch, positions, columns): rows (start, end) of each of `sizes` (batch, 1) stretched to as many."""
    start, end = part[:, :1], part[:, 1:]
    place = ((position + 0.5) * (end - start) + start * sizes - 0.5).clamp(min=0)
    place = torch.minimum(place, sizes - 1)
    below = place.floor().long()
    above = torch.minimum(below + 1, sizes - 1)
    weight = (place - below)[:, :, None].to(rows.dtype)
    first, second = (rows.take_along_dim(index[:, :, None], dim=1) for index in (below, above))
    return torch.lerp(first, second, weight)
