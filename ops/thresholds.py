"""Which classes of a clip apply: thresholds fitted on known clips, and how right they are."""

from __future__ import annotations

import numpy as np

PRIOR_CLIPS = 20  # that a class needs for its own threshold to weigh as much as the one of all classes
BINS = 10  # of the calibration error


def f1_thresholds(probabilities: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """(classes,) thresholds of highest F1: of n clips' class n / (n + 20) its own, else the common one.

    With few clips the best threshold of a class is mostly chance: on out-of-fold scores of ten clips a class
    it costs up to 0.1 of F1 against the common threshold, which is the best one over all pairs.

    Args:
        probabilities: (clips, classes) that compare between clips.
        truth: (clips, classes) 0, 1 or NaN, which is left out.
    """
    known, positive = ~np.isnan(truth), truth > 0.5
    common = _best_threshold(probabilities[known], positive[known])
    thresholds = np.full(truth.shape[1], common)
    for index, count in enumerate(positive.sum(axis=0)):
        if count:
            own = known[:, index]
            best = _best_threshold(probabilities[own, index], positive[own, index])
            weight = count / (count + PRIOR_CLIPS)
            thresholds[index] = weight * best + (1 - weight) * common
    return thresholds


def _best_threshold(scores: np.ndarray, positive: np.ndarray) -> float:
    """The score from which on "yes" gives the highest F1, the highest such one; 0.5 without positives."""
    if not positive.any():
        return 0.5
    order = np.argsort(-scores, kind="stable")
    scores, hits = scores[order], np.cumsum(positive[order])
    f1 = 2 * hits / (np.arange(1, len(hits) + 1) + positive.sum())
    ends = np.append(scores[:-1] > scores[1:], True)  # equal scores are all above a threshold or none
    return float(scores[np.argmax(np.where(ends, f1, -1))])


def f1_scores(tagged: np.ndarray, truth: np.ndarray) -> tuple[float, float]:
    """F1 of all pairs together (micro), and the mean over the classes that occur (macro).

    F1 = 2 tp / (2 tp + fp + fn). tagged (clips, classes) bool; truth 0, 1 or NaN, which is left out.
    """
    known, positive = ~np.isnan(truth), truth > 0.5
    hits = (tagged & positive & known).sum(axis=0)
    total = (tagged & known).sum(axis=0) + (positive & known).sum(axis=0)
    occurs = positive.any(axis=0)
    macro = (2 * hits[occurs] / total[occurs]).mean() if occurs.any() else np.nan
    return float(2 * hits.sum() / max(total.sum(), 1)), float(macro)


def calibration_error(probabilities: np.ndarray, truth: np.ndarray) -> float:
    """Expected calibration error: |mean probability - share of positives|, mean over ten bins by their pairs.

    Naeini et al. 2015. Args as in f1_thresholds.
    """
    known = ~np.isnan(truth)
    p, y = probabilities[known], truth[known]
    bins = np.minimum((p * BINS).astype(int), BINS - 1)
    counts, sums = np.bincount(bins, minlength=BINS), np.bincount(bins, p - y, minlength=BINS)
    return float(np.abs(sums).sum() / max(counts.sum(), 1))
