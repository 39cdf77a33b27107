"""Scores that are free up to a shift per clip -> probabilities that compare between clips.

LSEP ranks the classes of a clip and leaves all of its scores free to move together, so that a sigmoid
of 0.9 in one clip may mean less than one of 0.6 in another. Here each clip's scores are first taken
relative to its other classes, which a shift does not change, and one logistic curve (Platt 1999), fit
on out-of-fold predictions of clips whose labels are known, turns these into probabilities.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ops.errors import DataError
from ops.experiment import Experiment
from ops.out_of_fold import read_out_of_fold
from ops.predictions import logits_of

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
        truth: (clips, classes) bool.
    """
    from sklearn.linear_model import LogisticRegression  # here: relabeling alone needs no scikit-learn

    x, y = relative_logits(probabilities).reshape(-1, 1), truth.reshape(-1)
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
            "opposite; the networks have learned nothing yet: train longer, or leave out --calibrate"
        )
    return Calibration(slope, float(fitted.intercept_[0]))


def calibration_of(experiment: Experiment) -> Calibration:
    """Fits on the experiment's out-of-fold predictions of its curated clips."""
    clips = read_out_of_fold(experiment, experiment.finished_folds(), experiment.config["data"]["train_df"])
    try:
        return fit_calibration(clips.scores, clips.truth)
    except DataError as error:
        raise DataError(f"{experiment.directory}: {error}") from error


def calibrations_of(directories: Sequence[str], n_tables: int) -> list[Calibration]:
    """One calibration a prediction table, of as many experiments, or of one that made all tables."""
    if len(directories) not in (1, n_tables):
        raise DataError(
            f"--calibrate expects one --experiment, or one for each of the {n_tables} prediction tables; "
            f"got {len(directories)}"
        )
    found = [calibration_of(Experiment.load(path)) for path in directories]
    return found if len(found) == n_tables else found * n_tables
