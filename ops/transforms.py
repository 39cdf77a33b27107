"""All augmentations of a training sample: draw from a generator that is passed in, then apply.

The pure functions take numbers (tests call them), `Augmentation` draws those numbers. Nothing is
changed in place, and nothing here knows the data set: MixUp's second clip comes from a callable.
ops.batch_augmentation applies the same draws to whole batches.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch

from ops.effects.chain import apply_effects, changed_length
from ops.effects.sox import apply_sox
from ops.effects.sox import missing_effects_engine as missing_effects_engine  # for those who ask here
from ops.samples import DEFAULT_EFFECTS, AugmentationDraw, EffectsDraw, Sample, mix_factors, mixed_length
from ops.sampling import SAMPLE_RATE
from ops.spec_augment import draw_bands

CHUNK_SECONDS = 0.5
SILENCED_FRACTION = 0.25
MIX_WEIGHTS = (0.4, 0.6)


def mix(first: np.ndarray, second: np.ndarray, a: float, offset: int, mixup: str = "add") -> np.ndarray:
    """a * longer + (1 - a) * shorter, the shorter laid at `offset` samples into the longer.

    mixup: with "paste" that stretch is (1 - a) * shorter alone, and of clips of equal length the result is
    half their sum: as in the published code. With "concat" second follows first; offset is first's length.
    """
    if mixup == "concat":
        if offset != len(first):
            raise ValueError(f"offset: expected {len(first)}, the first clip's end, got {offset}")
        return np.concatenate([first, second]).astype(np.float32, copy=False)
    longer, shorter = (first, second) if len(first) >= len(second) else (second, first)
    if not 0 <= offset <= len(longer) - len(shorter):
        raise ValueError(f"offset: expected 0 to {len(longer) - len(shorter)}, got {offset}")
    of_longer, of_region, of_shorter = mix_factors(a, mixup, len(longer) == len(shorter))
    mixed = of_longer * longer
    region = mixed[offset : offset + len(shorter)]
    region *= of_region
    region += of_shorter * shorter
    return mixed.astype(np.float32, copy=False)


def or_mixup(first: Sample, second: Sample, rng: np.random.Generator, mixup: str = "add") -> Sample:
    """OR-MixUp: two clips mixed with a ~ U(0.4, 0.6) at a random offset, see mix; labels are the union.

    Its weight is the lower of the two: the union is as right as the worse labels in it.
    """
    a, offset = draw_mix(len(first.audio), len(second.audio), rng, mixup)
    audio = mix(first.audio, second.audio, a, offset, mixup)
    return replace(_with_labels_of_both(first, second), audio=audio)


def _with_labels_of_both(first: Sample, second: Sample) -> Sample:
    # Not known in one clip, carried by the other: the mix carries it; else nobody knows.
    carried = np.fmax(first.labels, second.labels) == 1
    labels = np.where(carried, first.labels.dtype.type(1), np.maximum(first.labels, second.labels))
    return replace(first, labels=labels, weight=min(first.weight, second.weight))


def draw_mix(n_first: int, n_second: int, rng: np.random.Generator, mixup: str = "add") -> tuple[float, int]:
    """Weight of the longer and offset of the shorter of two clips of so many samples; see mix."""
    weight, offset = rng.uniform(*MIX_WEIGHTS), int(rng.integers(abs(n_first - n_second) + 1))
    return weight, n_first if mixup == "concat" else offset


def shuffle_chunks(audio: np.ndarray, order: np.ndarray, chunk_samples: int) -> np.ndarray:
    """Chunks of chunk_samples (the last may be shorter) in the given order of chunk numbers."""
    chunks = [audio[i : i + chunk_samples] for i in range(0, len(audio), chunk_samples)]
    return np.concatenate([chunks[i] for i in order])


def draw_order(n_samples: int, rng: np.random.Generator) -> np.ndarray:
    """A permutation of a clip's chunks."""
    return rng.permutation(-(-n_samples // chunk_samples()))


def chunk_samples() -> int:
    """Samples of a chunk of CHUNK_SECONDS."""
    return int(CHUNK_SECONDS * SAMPLE_RATE)


def silence(audio: np.ndarray, start: int, n_samples: int) -> np.ndarray:
    """Zeros in audio[start : start + n_samples]."""
    silenced = audio.copy()
    silenced[start : start + n_samples] = 0
    return silenced


def draw_silence(n_samples: int, rng: np.random.Generator) -> tuple[int, int]:
    """Start and number of samples of a quarter of a clip."""
    n_silent = int(n_samples * SILENCED_FRACTION)
    return int(rng.integers(n_samples - n_silent + 1)), n_silent


EFFECT_RANGES = EffectsDraw((0, 50), (0, 50), (0, 50), (-300, 300), (2, 10), (0.9, 1.1))


def draw_effects(rng: np.random.Generator) -> EffectsDraw:
    """Draws every parameter of the chain uniformly from its range."""
    return EffectsDraw(**{name: rng.uniform(*r) for name, r in vars(EFFECT_RANGES).items()})


def apply_torch(audio: np.ndarray, draw: EffectsDraw) -> np.ndarray:
    """The same chain by ops.effects.chain, one clip alone."""
    changed, _ = apply_effects(torch.tensor(audio)[None], torch.tensor([len(audio)]), [draw])
    return changed[0].numpy()


EFFECTS: dict[str, Callable[[np.ndarray, EffectsDraw], np.ndarray]] = {"sox": apply_sox, "torch": apply_torch}


@dataclass(frozen=True)
class Augmentation:
    """MixUp, effects, chunk shuffling, silencing and SpecAugment, each with its probability, in this order.

    Called, it augments a sample; `draw` draws the same numbers and leaves the audio as it is.
    """

    p_mixup: float = 0.0
    p_aug: float = 0.0
    effects: str = DEFAULT_EFFECTS
    p_shuffle: float = 0.0
    p_silence: float = 0.0
    mixup: str = "add"
    spec_augment: float = 0.0

    @property
    def can_draw_ahead(self) -> bool:
        """Whether the draws need no audio: the length that SoX leaves a clip is known only afterwards."""
        return self.effects == "torch" or self.p_aug == 0

    def __call__(
        self,
        sample: Sample,
        rng: np.random.Generator,
        draw_partner: Callable[[np.random.Generator], Sample],
    ) -> Sample:
        """Applies what the generator draws; draw_partner(rng) gives MixUp's second sample."""
        if rng.random() < self.p_mixup:
            sample = or_mixup(sample, draw_partner(rng), rng, self.mixup)
        audio = sample.audio
        if rng.random() < self.p_aug:
            audio = EFFECTS[self.effects](audio, draw_effects(rng))
        if rng.random() < self.p_shuffle:
            audio = shuffle_chunks(audio, draw_order(len(audio), rng), chunk_samples())
        if rng.random() < self.p_silence:
            audio = silence(audio, *draw_silence(len(audio), rng))
        return replace(sample, audio=audio, bands=self._draw_bands(rng))

    def draw(
        self,
        sample: Sample,
        rng: np.random.Generator,
        draw_partner: Callable[[np.random.Generator], Sample],
    ) -> Sample:
        """The sample with its final labels and weight, and the draw that a call would have applied."""
        if not self.can_draw_ahead:
            raise ValueError(f"effects: expected 'torch' to draw ahead, got {self.effects!r}")
        drawn, n_samples = {}, len(sample.audio)
        if rng.random() < self.p_mixup:
            partner = draw_partner(rng)
            weight, offset = draw_mix(n_samples, len(partner.audio), rng, self.mixup)
            drawn |= {"partner": partner.audio, "weight": weight, "offset": offset, "mixup": self.mixup}
            n_samples = mixed_length(n_samples, len(partner.audio), self.mixup)
            sample = _with_labels_of_both(sample, partner)
        if rng.random() < self.p_aug:
            drawn["effects"] = draw_effects(rng)
            n_samples = changed_length(n_samples, drawn["effects"])
        if rng.random() < self.p_shuffle:
            drawn |= {"order": draw_order(n_samples, rng), "chunk_samples": chunk_samples()}
        if rng.random() < self.p_silence:
            drawn["silenced"] = draw_silence(n_samples, rng)
        return replace(sample, draw=AugmentationDraw(**drawn), bands=self._draw_bands(rng))

    def _draw_bands(self, rng: np.random.Generator) -> np.ndarray | None:
        return draw_bands(rng) if rng.random() < self.spec_augment else None
