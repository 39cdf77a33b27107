"""All augmentations of a training sample: draw from a generator that is passed in, then apply.

The pure functions take numbers (tests call them), `Augmentation` draws those numbers. Nothing is
changed in place, and nothing here knows the data set: MixUp's second clip comes from a callable.
ops.batch_augmentation applies the same draws to whole batches.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch

from ops.effects.chain import EffectsDraw, apply_effects, changed_length
from ops.sampling import SAMPLE_RATE

CHUNK_SECONDS = 0.5
SILENCED_SHARE = 0.25
MIX_WEIGHTS = (0.4, 0.6)


@dataclass(frozen=True)
class Plan:
    """What is to become of a sample's audio: everything drawn, nothing done yet.

    Attributes:
        partner: audio of MixUp's second clip.
        weight, offset: of the longer clip and of the shorter one, see mix.
        effects: their draw.
        order: of the chunks of CHUNK_SECONDS, see shuffle_chunks.
        silenced: start and number of samples, see silence.
    """

    partner: np.ndarray | None = None
    weight: float = 1.0
    offset: int = 0
    effects: EffectsDraw | None = None
    order: np.ndarray | None = None
    silenced: tuple[int, int] = (0, 0)

    def without_audio(self) -> Plan:
        return replace(self, partner=None)


@dataclass(frozen=True)
class Sample:
    """audio (samples,) float32 in [-1, 1]; labels (classes,) multi-hot float32, or None; loss weight.

    A plan, where there is one, is still to be carried out on the audio; the labels are final.
    """

    audio: np.ndarray
    labels: np.ndarray | None
    fname: str
    is_noisy: bool = False
    weight: float = 1.0
    plan: Plan | None = None


def mix(first: np.ndarray, second: np.ndarray, a: float, offset: int) -> np.ndarray:
    """a * longer + (1 - a) * shorter, the shorter laid at `offset` samples into the longer."""
    longer, shorter = (first, second) if len(first) >= len(second) else (second, first)
    if not 0 <= offset <= len(longer) - len(shorter):
        raise ValueError(f"offset: expected 0 to {len(longer) - len(shorter)}, got {offset}")
    mixed = a * longer
    mixed[offset : offset + len(shorter)] += (1 - a) * shorter
    return mixed.astype(np.float32, copy=False)


def or_mixup(first: Sample, second: Sample, rng: np.random.Generator) -> Sample:
    """OR-MixUp: two clips mixed with a ~ U(0.4, 0.6) at a random offset; labels are the union.

    Its weight is the lower of the two: the union is as right as the worse labels in it.
    """
    a, offset = draw_mix(len(first.audio), len(second.audio), rng)
    labels = np.maximum(first.labels, second.labels)
    audio = mix(first.audio, second.audio, a, offset)
    return replace(first, audio=audio, labels=labels, weight=min(first.weight, second.weight))


def draw_mix(n_first: int, n_second: int, rng: np.random.Generator) -> tuple[float, int]:
    """Weight of the longer and offset of the shorter of two clips of so many samples."""
    return rng.uniform(*MIX_WEIGHTS), int(rng.integers(abs(n_first - n_second) + 1))


def shuffle_chunks(audio: np.ndarray, order: np.ndarray, chunk_samples: int) -> np.ndarray:
    """Chunks of chunk_samples (the last may be shorter) in the given order of chunk numbers."""
    chunks = [audio[i : i + chunk_samples] for i in range(0, len(audio), chunk_samples)]
    return np.concatenate([chunks[i] for i in order])


def draw_order(n_samples: int, rng: np.random.Generator) -> np.ndarray:
    """A permutation of a clip's chunks."""
    return rng.permutation(-(-n_samples // chunk_samples()))


def chunk_samples() -> int:
    return int(CHUNK_SECONDS * SAMPLE_RATE)


def silence(audio: np.ndarray, start: int, n_samples: int) -> np.ndarray:
    """Zeros in audio[start : start + n_samples]."""
    silenced = audio.copy()
    silenced[start : start + n_samples] = 0
    return silenced


def draw_silence(n_samples: int, rng: np.random.Generator) -> tuple[int, int]:
    """Start and number of samples of a quarter of a clip."""
    n_silent = int(n_samples * SILENCED_SHARE)
    return int(rng.integers(n_samples - n_silent + 1)), n_silent


EFFECT_RANGES = EffectsDraw((0, 50), (0, 50), (0, 50), (-300, 300), (2, 10), (0.9, 1.1))


def draw_effects(rng: np.random.Generator) -> EffectsDraw:
    """Draws every parameter of the chain uniformly from its range."""
    return EffectsDraw(**{name: rng.uniform(*r) for name, r in vars(EFFECT_RANGES).items()})


def apply_sox(audio: np.ndarray, draw: EffectsDraw) -> np.ndarray:
    """Reverb, pitch, overdrive and tempo, in this order, by the SoX binary.

    audio (samples,) float32 at 44,100 Hz; tempo makes it samples / tempo long. Reverb opens mono to
    stereo; SoX mixes it down at the end.
    """
    import sox  # here: the package complains on import where the binary is missing

    logging.getLogger("sox").setLevel(logging.ERROR)  # it advises on every chain
    chain = sox.Transformer()
    chain.set_globals(dither=False, verbosity=1)
    chain.reverb(reverberance=draw.reverberance, room_scale=draw.room_scale, stereo_depth=draw.stereo_depth)
    chain.pitch(draw.pitch_cents / 100)  # the package takes semitones
    chain.overdrive(draw.overdrive_gain_db)
    chain.tempo(draw.tempo)
    changed = chain.build_array(input_array=audio, sample_rate_in=SAMPLE_RATE)
    return changed.copy() if len(changed) else audio  # a clip of one sample can vanish


def apply_torch(audio: np.ndarray, draw: EffectsDraw) -> np.ndarray:
    """The same chain by ops.effects.chain, one clip alone."""
    changed, _ = apply_effects(torch.tensor(audio)[None], torch.tensor([len(audio)]), [draw])
    return changed[0].numpy()


EFFECTS: dict[str, Callable[[np.ndarray, EffectsDraw], np.ndarray]] = {"sox": apply_sox, "torch": apply_torch}
DEFAULT_EFFECTS = "torch"


def missing_effects_engine(name: str) -> str | None:
    """What the effects engine lacks on this machine and how to get it; None where it is ready."""
    if name == "sox" and shutil.which("sox") is None:
        return (
            "p_aug > 0 with --effects=sox needs the SoX binary, and none is on the PATH; --effects=torch "
            "needs none, or install it (Debian: apt-get install sox), or train with --p_aug=0"
        )
    return None


@dataclass(frozen=True)
class Augmentation:
    """MixUp, effects, chunk shuffling and silencing, each with its probability, in this order.

    Called, it augments a sample; `plan` draws the same numbers and leaves the audio as it is.
    """

    p_mixup: float = 0.0
    p_aug: float = 0.0
    effects: str = DEFAULT_EFFECTS
    p_shuffle: float = 0.0
    p_silence: float = 0.0

    @property
    def can_plan(self) -> bool:
        """Whether the draws need no audio: how long SoX leaves a clip is known only behind it."""
        return self.effects == "torch" or self.p_aug == 0

    def __call__(
        self,
        sample: Sample,
        rng: np.random.Generator,
        draw_partner: Callable[[np.random.Generator], Sample],
    ) -> Sample:
        """Applies what the generator draws; draw_partner(rng) gives MixUp's second sample."""
        if rng.random() < self.p_mixup:
            sample = or_mixup(sample, draw_partner(rng), rng)
        audio = sample.audio
        if rng.random() < self.p_aug:
            audio = EFFECTS[self.effects](audio, draw_effects(rng))
        if rng.random() < self.p_shuffle:
            audio = shuffle_chunks(audio, draw_order(len(audio), rng), chunk_samples())
        if rng.random() < self.p_silence:
            audio = silence(audio, *draw_silence(len(audio), rng))
        return replace(sample, audio=audio)

    def plan(
        self,
        sample: Sample,
        rng: np.random.Generator,
        draw_partner: Callable[[np.random.Generator], Sample],
    ) -> Sample:
        """The sample with its final labels and the plan of what a call would have done to its audio."""
        if not self.can_plan:
            raise ValueError(f"effects: expected 'torch' for a plan, got {self.effects!r}")
        plan, labels, n_samples = Plan(), sample.labels, len(sample.audio)
        if rng.random() < self.p_mixup:
            partner = draw_partner(rng)
            weight, offset = draw_mix(n_samples, len(partner.audio), rng)
            plan = replace(plan, partner=partner.audio, weight=weight, offset=offset)
            labels, n_samples = np.maximum(labels, partner.labels), max(n_samples, len(partner.audio))
            sample = replace(sample, weight=min(sample.weight, partner.weight))
        if rng.random() < self.p_aug:
            plan = replace(plan, effects=draw_effects(rng))
            n_samples = changed_length(n_samples, plan.effects)
        if rng.random() < self.p_shuffle:
            plan = replace(plan, order=draw_order(n_samples, rng))
        if rng.random() < self.p_silence:
            plan = replace(plan, silenced=draw_silence(n_samples, rng))
        return replace(sample, labels=labels, plan=plan)
