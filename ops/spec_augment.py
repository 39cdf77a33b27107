"""SpecAugment: bands of a training spectrogram hidden, in frequency and in time.

Park et al. 2019, arXiv:1904.08779, without its time warping.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

N_BANDS = 2  # each, in frequency and in time
MAX_WIDTH = 1 / 6  # of the features, and of the clip's frames


def draw_bands(rng: np.random.Generator) -> np.ndarray:
    """Start and end of each band as shares of the axis, float32 (2, N_BANDS, 2): of frequency, of time.

    Widths are uniform from 0 to MAX_WIDTH, and so are the starts where the band fits.
    """
    width = rng.uniform(0, MAX_WIDTH, (2, N_BANDS))
    start = rng.random((2, N_BANDS)) * (1 - width)
    return np.stack([start, start + width], axis=-1).astype(np.float32)


def hide_bands(features: Tensor, n_frames: Tensor | None, bands: Tensor) -> Tensor:
    """Puts the clip's own mean into its bands.

    Args:
        features: (batch, features, frames).
        n_frames: (batch,) frames of each clip; None: all. What lies behind them has no part in the mean.
        bands: (batch, 2, n, 2) as draw_bands gives them, on the features' device; width 0 hides nothing.
    """
    n_features, frames = features.shape[1:]
    if n_frames is None:
        n_frames = torch.full((len(features),), frames)
    each = n_frames.to(features.device, non_blocking=True)[:, None, None]
    feature = torch.arange(n_features, device=features.device)
    frame = torch.arange(frames, device=features.device)
    in_frequency = _within(feature, bands[:, 0] * n_features)
    in_time = _within(frame, bands[:, 1] * each)
    own = frame < each  # (batch, 1, frames)
    total = features.masked_fill(~own, 0).sum((1, 2), keepdim=True)
    mean = total / (each * n_features)
    return torch.where(in_frequency[:, :, None] | in_time[:, None, :], mean.to(features.dtype), features)


def _within(position: Tensor, bands: Tensor) -> Tensor:
    """(batch, positions) whether any of the bands (batch, n, 2) covers a position."""
    start, end = bands[..., :1], bands[..., 1:]
    return ((position >= start) & (position < end)).any(1)
