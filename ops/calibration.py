"""Scores that are free up to a shift per clip -> probabilities that compare between clips.

LSEP ranks the classes of a clip and leaves all of its scores free to move together, so that a sigmoid
of 0.9 in one clip may mean less than one of 0.6 in another. Here each clip's scores are first taken
relative to its other classes, which a shift does not change, and one logistic curve (Platt 1999), fit
on out-of-fold predictions of clips whose labels are known, turns these into probabilities.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ops.errors import DataError
from ops.logits import logits_of

CHUNK_CLIPS = 65_536  # bounds the memory of whole-table passes


def relative_logits(probabilities: np.ndarray) -> np.ndarray:
    """Each logit minus the log-sum-exp of the clip's other logits: free of a shift of the clip.

    The log-odds of a softmax over the clip's classes. With one class the logit itself.

    Args:
        probabilities: (clips, classes) sigmoids.
    """
    logits = logits_of(probabilities)
    if logits.shape[1] == 1:
        return logits
    # Sums over the classes before and over those after: a difference of sums would cancel.
    before, after = np.full_like(logits, -np.inf), np.full_like(logits, -np.inf)
    before[:, 1:] = np.logaddexp.accumulate(logits, axis=1)[:, :-1]
    after[:, :-1] = np.logaddexp.accumulate(logits[:, ::-1], axis=1)[:, ::-1][:, 1:]
    return logits - np.logaddexp(before, after)


@dataclass(frozen=True)
class Calibration:
    """probability = expit(slope * relative logit + intercept); the order within a clip stays."""

    slope: float
    intercept: float

    def apply(self, probabilities: np.ndarray) -> np.ndarray:
        """(clips, classes) sigmoids -> (clips, classes) probabilities that compare between clips."""
        result = np.empty(probabilities.shape)
        from scipy.special import expit  # here: it takes as long to load as relabeling does

        for start in range(0, len(probabilities), CHUNK_CLIPS):
            rows = slice(start, start + CHUNK_CLIPS)
            result[rows] = expit(self.slope * relative_logits(probabilities[rows]) + self.intercept)
        return result


def fit_calibration(probabilities: np.ndarray, truth: np.ndarray) -> Calibration:
    """Fits the curve on all pairs of a clip and a class, lightly regularised (an L2 penalty of 1).

    Raises DataError where the scores say nothing about the labels.

    Args:
        probabilities: (clips, classes) sigmoids of clips that the networks did not train on.
        truth: (clips, classes) 0, 1 or NaN, which is left out.
    """
    from sklearn.linear_model import LogisticRegression  # here: relabeling alone needs no scikit-learn

    known = ~np.isnan(truth)
    x, y = relative_logits(probabilities)[known].reshape(-1, 1), truth[known] > 0.5
    if not 0 < y.sum() < len(y):
        raise DataError(
            "calibration expects validation clips with some of the classes and without others, found "
            f"{y.sum()} labels in {len(y)} pairs of clip and class"
        )
    fitted = LogisticRegression().fit(x, y)
    slope = float(fitted.coef_[0, 0])
    if slope <= 0:
        raise DataError(
            "calibration expects scores that are higher for the classes a validation clip has, found the "
            "opposite; the networks have learned nothing yet: train longer, or use scores as they are"
        )
    return Calibration(slope, float(fitted.intercept_[0]))
