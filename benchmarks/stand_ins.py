"""What stands in for parts of the product in a benchmark's process: other ways, measured beside ours.

`standing_in(names)` puts them in place; loader workers are forked within it and inherit them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import replace
from unittest import mock

import numpy as np
import torch
from torch.nn.modules.batchnorm import _NormBase

from networks.classifiers import Classifier
from ops import transforms
from ops.batching import TrainingBatches
from ops.transforms import MIX_WEIGHTS, Sample
from toolkit.training import fold

Partner = Callable[[np.random.Generator], Sample]


def weighted_mixup(first: Sample, second: Sample, rng: np.random.Generator, mixup: str) -> Sample:
    """MixUp with labels weighted as the audio is, Zhang et al. 2018, arXiv:1710.09412; for bce alone."""
    a = rng.uniform(*MIX_WEIGHTS)
    offset = int(rng.integers(abs(len(first.audio) - len(second.audio)) + 1))
    of_first = a if len(first.audio) >= len(second.audio) else 1 - a
    labels = (of_first * first.labels + (1 - of_first) * second.labels).astype(np.float32)
    return replace(first, audio=transforms.mix(first.audio, second.audio, a, offset, mixup), labels=labels)


def effects_before_mixup(
    self: transforms.Augmentation, sample: Sample, rng: np.random.Generator, draw_partner: Partner
) -> Sample:
    """The first clip has its effects, the second none, then they are mixed: the published order."""
    if rng.random() < self.p_aug:
        audio = transforms.EFFECTS[self.effects](sample.audio, transforms.draw_effects(rng))
        sample = replace(sample, audio=audio)
    if rng.random() < self.p_mixup:
        sample = transforms.or_mixup(sample, draw_partner(rng), rng, self.mixup)
    return sample


def _mixing_by(mix: Callable[..., Sample]) -> AbstractContextManager:
    """Samples are then mixed as they are read: the draws for the device know OR-MixUp alone."""
    stack = ExitStack()
    stack.enter_context(mock.patch.object(transforms, "or_mixup", mix))
    stack.enter_context(_augmenting_as_read())
    return stack


def _augmenting_as_read() -> AbstractContextManager:
    return mock.patch.object(transforms.Augmentation, "can_draw_ahead", False)


def _mixing_after_effects() -> AbstractContextManager:
    stack = ExitStack()
    stack.enter_context(mock.patch.object(transforms.Augmentation, "__call__", effects_before_mixup))
    stack.enter_context(_augmenting_as_read())
    return stack


def _without_masks() -> AbstractContextManager:
    """Padding is silence like any other: it goes through norms, convolutions and pooling."""
    original = Classifier.extract_features

    def extract(self: Classifier, signal: torch.Tensor, lengths: torch.Tensor | None = None):
        return original(self, signal, None)

    return mock.patch.object(Classifier, "extract_features", extract)


def _without_refreshing() -> AbstractContextManager:
    return mock.patch.object(fold, "refresh_head", lambda *_: None)


def _without_last_batch() -> AbstractContextManager:
    original = TrainingBatches.__init__

    def init(self: TrainingBatches, n_clips: int, batch_size: int, *others: int) -> None:
        original(self, n_clips, batch_size, *others)
        self.n_batches = max(1, n_clips // batch_size)

    return mock.patch.object(TrainingBatches, "__init__", init)


def _uniform_norm_weights() -> AbstractContextManager:
    """BatchNorm's weights start from U(0, 1), as in torch before 1.2, and not from 1."""
    original = _NormBase.reset_parameters

    def reset(self: _NormBase) -> None:
        original(self)
        if self.affine:
            torch.nn.init.uniform_(self.weight)

    return mock.patch.object(_NormBase, "reset_parameters", reset)


STAND_INS: dict[str, Callable[[], AbstractContextManager]] = {
    "weighted": lambda: _mixing_by(weighted_mixup),
    "effects_before_mixup": _mixing_after_effects,
    "no_masks": _without_masks,
    "no_refreshing": _without_refreshing,
    "no_last_batch": _without_last_batch,
    "uniform_norm_weights": _uniform_norm_weights,
}


@contextmanager
def standing_in(names: Iterable[str]) -> Iterator[None]:
    """Within it the named ones of STAND_INS are in place."""
    with ExitStack() as stack:
        for name in names:
            stack.enter_context(STAND_INS[name]())
        yield
