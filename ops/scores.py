"""How good scores are, in a few figures: lwlrap with its interval, mean average precision, accuracy."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from sklearn.metrics import average_precision_score

from ops.metrics import bootstrap_interval, lrap_per_clip


@dataclass(frozen=True)
class Score:
    """Of the labelled ones among some clips. NaN where nothing is left to score.

    clips: how many. lwlrap with low and high, its 95 % interval. mean_average_precision: over classes
    with a clip. accuracy: share of clips whose highest class is among their labels; where several tie for
    the highest, a clip counts by the share of these that are.
    """

    clips: int
    lwlrap: float
    low: float
    high: float
    mean_average_precision: float
    accuracy: float


def score(
    truth: np.ndarray, scores: np.ndarray, n_resamplings: int, seed: int, unlabelled: bool = False
) -> Score:
    """Scores of predictions; the interval from n_resamplings resamplings of the clips (0: none).

    Args:
        truth: (clips, classes) 0, 1 or NaN, which is left out wherever it stands.
        unlabelled: clips without labels count in average precision, as negatives of every class.
        scores: (clips, classes). lwlrap and accuracy compare classes within a clip. Average precision
            compares clips within a class, which scores trained with a rank loss alone are not made for.
    """
    truth, scores = np.asarray(truth, dtype=np.float64), np.asarray(scores)
    labelled = (truth > 0.5).any(axis=1)
    if not labelled.any():
        return Score(0, *[math.nan] * 5)
    mean_precision = _mean_average_precision(
        *((truth, scores) if unlabelled else (truth[labelled], scores[labelled]))
    )
    truth, scores = truth[labelled], scores[labelled]
    counts = (truth > 0.5).sum(axis=1)
    hits = lrap_per_clip(truth, scores) * counts
    low, high = bootstrap_interval(hits, counts, n_resamplings, seed) if n_resamplings else (math.nan,) * 2
    known_scores = np.where(np.isnan(truth), -np.inf, scores)
    highest = (known_scores == known_scores.max(axis=1, keepdims=True)) & ~np.isnan(truth)
    accuracy = ((highest & (truth > 0.5)).sum(axis=1) / highest.sum(axis=1)).mean()
    return Score(len(truth), hits.sum() / counts.sum(), low, high, mean_precision, float(accuracy))


def _mean_average_precision(truth: np.ndarray, scores: np.ndarray) -> float:
    """Over the classes with a clip; of each the clips of which it is known whether they carry it."""
    precisions = []
    for name in np.flatnonzero((truth > 0.5).any(axis=0)):
        known = ~np.isnan(truth[:, name])
        precisions.append(average_precision_score(truth[known, name] > 0.5, scores[known, name]))
    return float(np.mean(precisions))
