"""How good predictions are, in a few numbers, and how far these would move with other clips."""

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
    with a clip. accuracy: share of clips whose highest class is among their labels.
    """

    clips: int
    lwlrap: float
    low: float
    high: float
    mean_average_precision: float
    accuracy: float


def score(truth: np.ndarray, scores: np.ndarray, n_resamplings: int, seed: int) -> Score:
    """Scores of predictions; the interval from n_resamplings resamplings of the clips (0: none).

    Args:
        truth: (clips, classes) multi-hot.
        scores: (clips, classes). lwlrap and accuracy compare classes within a clip. Average precision
            compares clips within a class, which scores trained with a rank loss alone are not made for.
    """
    truth = np.asarray(truth) > 0.5
    labelled = truth.any(axis=1)
    truth, scores = truth[labelled], np.asarray(scores)[labelled]
    if not len(truth):
        return Score(0, *[math.nan] * 5)
    counts = truth.sum(axis=1)
    hits = lrap_per_clip(truth, scores) * counts
    low, high = bootstrap_interval(hits, counts, n_resamplings, seed) if n_resamplings else (math.nan,) * 2
    precisions = [
        average_precision_score(truth[:, k], scores[:, k]) for k in np.flatnonzero(truth.any(axis=0))
    ]
    accuracy = truth[np.arange(len(truth)), scores.argmax(axis=1)].mean()
    return Score(
        len(truth), hits.sum() / counts.sum(), low, high, float(np.mean(precisions)), float(accuracy)
    )
