"""A training sample and what is drawn for its augmentation: plain data, numbers and arrays alone."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

EFFECTS_ENGINES = {
    "torch": "whole batches on the device",
    "sox": "the SoX binary, clip by clip, in the loader's processes",
}
DEFAULT_EFFECTS = "torch"
MIXUPS = {
    "paste": "the shorter one takes the place of a stretch of the longer one (equal lengths: half the sum)",
    "add": "it is added to that stretch",
    "concat": "one clip after the other, as long as both",
}


def mix_factors(weight: float, mixup: str, is_equal: bool) -> tuple[float, float, float]:
    """What MixUp multiplies the longer clip by, that again where the shorter one lies, and the shorter one.

    Concatenated, "the longer clip" is the first one, and the second is no part of it.

    Args:
        weight: drawn, of the longer clip.
        mixup: one of MIXUPS.
        is_equal: whether the two clips are of equal length.
    """
    if mixup == "concat":
        return 1.0, 1.0, 1.0
    if mixup == "paste":
        return (0.5, 1.0, 0.5) if is_equal else (weight, 0.0, 1 - weight)
    return weight, 1.0, 1 - weight


def mixed_length(n_first: int, n_second: int, mixup: str) -> int:
    """Samples of the mixture of two clips of so many, see MIXUPS."""
    return n_first + n_second if mixup == "concat" else max(n_first, n_second)


@dataclass(frozen=True)
class EffectsDraw:
    """One draw of the effects chain; reverb in percent, pitch in cents, gain in dB, tempo a factor."""

    reverberance: float
    room_scale: float
    stereo_depth: float
    pitch_cents: float
    overdrive_gain_db: float
    tempo: float


@dataclass(frozen=True)
class AugmentationDraw:
    """All numbers drawn for one sample's audio, none of them applied yet.

    Attributes:
        partner: (samples,) audio of MixUp's second clip; None: no MixUp.
        weight: of the longer of the two clips in the mixture.
        offset: in samples, of the shorter clip within the longer one; concatenated, of the second clip.
        mixup: one of MIXUPS.
        effects: their parameters; None: no effects.
        order: (chunks,) permutation of the chunks of chunk_samples; None: no shuffling.
        chunk_samples: samples of a chunk (the last may be shorter).
        silenced: start and number of samples.
    """

    partner: np.ndarray | None = None
    weight: float = 1.0
    offset: int = 0
    mixup: str = "add"
    effects: EffectsDraw | None = None
    order: np.ndarray | None = None
    chunk_samples: int = 0
    silenced: tuple[int, int] = (0, 0)

    def without_audio(self) -> AugmentationDraw:
        return replace(self, partner=None)


@dataclass(frozen=True)
class Sample:
    """audio (samples,) float32 in [-1, 1]; labels (classes,) multi-hot float32, or None; loss weight.

    A draw, where there is one, is still to be applied to the audio; the labels are final. bands, those of
    ops.spec_augment, are hidden in the spectrogram; None: none.
    """

    audio: np.ndarray
    labels: np.ndarray | None
    fname: str
    is_noisy: bool = False
    weight: float = 1.0
    draw: AugmentationDraw | None = None
    bands: np.ndarray | None = None
