"""What frozen features are worth: a linear classifier on them, scored on clips that it was not fitted on."""

from __future__ import annotations

import numpy as np

MAX_STEPS = 1000  # of the solver


def linear_probe(features: np.ndarray, truth: np.ndarray, folds: np.ndarray) -> np.ndarray:
    """Out-of-fold scores by logistic regression, class by class, on standardised features.

    A class that the other folds' clips all carry, or none does, scores alike for all clips of a fold.

    Args:
        features: (clips, size).
        truth: (clips, classes) of 0, 1 and NaN; a class is fitted on the clips of which it is known.
        folds: (clips,) the fold of each clip, which is scored by the other folds' fit.

    Returns:
        (clips, classes) logits.
    """
    from sklearn.linear_model import LogisticRegression  # here: only the probe needs scikit-learn

    scores = np.zeros(truth.shape)
    for fold in np.unique(folds):
        own = folds == fold
        mean, spread = features[~own].mean(axis=0), features[~own].std(axis=0)
        standardised = (features - mean) / np.maximum(spread, 1e-8)
        for number, carried in enumerate(truth.T):
            fitted = ~own & ~np.isnan(carried)
            n_carrying = carried[fitted].sum()
            if not 0 < n_carrying < fitted.sum():
                scores[own, number] = np.inf if n_carrying else -np.inf
                continue
            model = LogisticRegression(max_iter=MAX_STEPS).fit(standardised[fitted], carried[fitted])
            scores[own, number] = model.decision_function(standardised[own])
    return np.clip(scores, -1e6, 1e6)
