"""Scores of several experiments' folds as one, where not every fold may score every clip."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def seen_by_every_fold(usable: Sequence[np.ndarray]) -> np.ndarray:
    """(clips,) bool: no fold of any experiment may score it; usable as in mean_of_experiments."""
    return ~np.any([mask.any(axis=0) for mask in usable], axis=0)


def mean_of_experiments(scores: Sequence[np.ndarray], usable: Sequence[np.ndarray]) -> np.ndarray:
    """(clips, classes): the experiments' mean of the mean over usable folds.

    An experiment without a usable fold for a clip is left out of that clip's mean; a clip that none
    can score is scored by all folds.

    Args:
        scores: of each experiment (folds, clips, classes).
        usable: of each experiment (folds, clips) bool: whether a fold may score a clip.
    """
    nobody = seen_by_every_fold(usable)
    total, count = np.zeros(scores[0].shape[1:]), np.zeros(scores[0].shape[1])
    for folds, mask in zip(scores, usable, strict=True):
        mask = mask | nobody
        n_usable = mask.sum(axis=0)
        total += (folds * mask[:, :, None]).sum(axis=0) / np.maximum(n_usable, 1)[:, None]
        count += n_usable > 0
    return total / count[:, None]
