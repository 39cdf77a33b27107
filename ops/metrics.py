"""lwlrap, label-weighted label-ranking average precision, overall, a clip and a class.

Conventions: truth (clips, classes) counts as positive where it is above 0.5, and as unknown where it is NaN:
an unknown class is neither a label nor a wrong class above one, the remaining ones are ranked. Tied scores
share the worst rank among them, as in scikit-learn's label_ranking_average_precision_score. Clips without
labels are skipped; where nothing is left the result is NaN.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:  # relabeling alone needs no torch
    from torch import Tensor


def lwlrap(truth: np.ndarray, scores: np.ndarray) -> float:
    """Label-ranking average precision, each clip weighted by its number of labels.

    The same as the mean, over all (clip, label) pairs, of the precision at that label's rank.

    Args:
        truth: (clips, classes) 0, 1 or NaN.
        scores: (clips, classes); only their order within a clip matters.
    """
    precision_sum, n_labels = lwlrap_parts(truth, scores)
    return precision_sum / n_labels if n_labels else float("nan")


def lwlrap_parts(truth: np.ndarray, scores: np.ndarray) -> tuple[float, int]:
    """Sum of precisions and number of labels: of their sums over parts of a data set lwlrap is the ratio."""
    precision, positive = _precision_at_labels(truth, scores)
    return float(precision.sum()), int(positive.sum())


def lwlrap_per_class(truth: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """(classes,) mean precision at the label's rank over each class's clips; NaN without clips.

    Weighted by the classes' numbers of labels, these average to lwlrap.
    """
    sums, counts = lwlrap_class_parts(truth, scores)
    return np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)


def lwlrap_class_parts(truth: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(classes,) sums of precisions and numbers of labels, which add up over parts of a data set."""
    precision, positive = _precision_at_labels(truth, scores)
    return precision.sum(axis=0), positive.sum(axis=0)


def lrap_per_clip(truth: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """(clips,) label-ranking average precision of each clip; NaN without labels."""
    precision, positive = _precision_at_labels(truth, scores)
    counts = positive.sum(axis=1)
    return np.where(counts > 0, precision.sum(axis=1) / np.maximum(counts, 1), np.nan)


def _precision_at_labels(truth: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(clips, classes) precision at each positive label's rank (0 elsewhere), and the positives."""
    # float64: negating unsigned integers would wrap around.
    truth, scores = np.asarray(truth), np.asarray(scores, dtype=np.float64)
    if truth.ndim != 2 or truth.shape != scores.shape:
        raise ValueError(
            f"expected truth and scores of one shape (clips, classes), got {truth.shape} and {scores.shape}"
        )
    if np.isnan(scores).any():
        raise ValueError("expected scores without NaN")
    positive, known = truth > 0.5, ~np.isnan(truth)
    n_classes = truth.shape[1]
    if not truth.size:
        return np.zeros(truth.shape), positive
    order = np.argsort(-scores, axis=1, kind="stable")
    ranked = np.take_along_axis(scores, order, axis=1)
    hits, ranks = (
        np.cumsum(np.take_along_axis(counted, order, axis=1), axis=1) for counted in (positive, known)
    )
    # Each position takes rank and hits of the last position of its group of ties.
    ends = np.ones(ranked.shape, dtype=bool)
    ends[:, :-1] = ranked[:, :-1] != ranked[:, 1:]
    last = np.where(ends, np.arange(n_classes), n_classes)
    last = np.minimum.accumulate(last[:, ::-1], axis=1)[:, ::-1]
    precision = np.empty(scores.shape)
    hits, ranks = (np.take_along_axis(counts, last, axis=1) for counts in (hits, ranks))
    np.put_along_axis(precision, order, hits / np.maximum(ranks, 1), axis=1)
    return precision * positive, positive


def confusion_costs(truth: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What each wrong class costs by standing above, or level with, a true one.

    A label of rank r with w wrong classes above it has the precision (r - w) / r, so each of them costs
    1 / r. All costs, divided by the number of labels, are 1 - lwlrap.

    Returns:
        (classes, classes) costs and (classes, classes) numbers of clips; rows: the true class, columns:
        the wrong one.
    """
    truth, scores = np.asarray(truth), np.asarray(scores, dtype=np.float64)
    positive, known = truth > 0.5, ~np.isnan(truth)
    n_classes = truth.shape[1]
    costs, clips = np.zeros((n_classes, n_classes)), np.zeros((n_classes, n_classes), dtype=np.int64)
    for name in range(n_classes):
        rows = positive[:, name]
        above = (scores[rows] >= scores[rows, name, None]) & known[rows]
        wrong = above & ~positive[rows]
        costs[name] = (wrong / above.sum(axis=1, keepdims=True)).sum(axis=0)
        clips[name] = wrong.sum(axis=0)
    return costs, clips


def confusion_matrix(truth: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """(classes, classes) numbers of clips; rows: a label, columns: the class that the clip scores highest.

    A clip whose highest class is one of its labels counts as right for each of them, on the diagonal; any
    other counts for each of its labels in the column of the highest class (the first of several). A row's
    sum is the number of clips with the label.
    """
    truth, scores = np.asarray(truth), np.asarray(scores, dtype=np.float64)
    positive = truth > 0.5
    matrix = np.zeros((truth.shape[1],) * 2, dtype=np.int64)
    highest = np.where(np.isnan(truth), -np.inf, scores).argmax(axis=1)
    is_right = positive[np.arange(len(truth)), highest]
    clips, labels = np.nonzero(positive)
    np.add.at(matrix, (labels, np.where(is_right[clips], labels, highest[clips])), 1)
    return matrix


def bootstrap_interval(
    sums: np.ndarray, counts: np.ndarray, n_resamplings: int, seed: int
) -> tuple[float, float]:
    """95 % interval of sum(sums) / sum(counts) over resampled clips: percentiles 2.5 and 97.5.

    lwlrap is such a ratio, of the clips' precision sums and numbers of labels, and so is the difference of
    two lwlraps of the same clips.

    Args:
        sums, counts: (clips,), counts above 0.
    """
    rng = np.random.default_rng(seed)
    ratios = np.empty(n_resamplings)
    for n in range(n_resamplings):
        drawn = rng.integers(0, len(sums), len(sums))
        ratios[n] = sums[drawn].sum() / counts[drawn].sum()
    low, high = np.percentile(ratios, [2.5, 97.5])
    return float(low), float(high)


def lwlrap_parts_of_tensors(labels: Tensor, logits: Tensor) -> tuple[float, int]:
    """lwlrap_parts of (batch, classes) tensors on any device; NaN where a logit is not a number."""
    scores = logits.cpu().numpy()
    return (float("nan"), 0) if np.isnan(scores).any() else lwlrap_parts(labels.cpu().numpy(), scores)
