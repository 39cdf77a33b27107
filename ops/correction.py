"""Given labels weighed against predictions: kept, replaced or dropped, with the chance of being right.

The model of the noise: a label is right with probability 1 - e, else one of the other classes at random
(Mnih and Hinton 2012; bootstrapping as in Reed et al. 2014, arXiv:1412.6596, with the posterior of
Arazo et al. 2019, arXiv:1904.11238, in place of a fixed weight). A label that the prediction finds at
least possible is then far more likely right than its probability alone says: with ten classes and
e = 0.4 the odds grow by 13.5. e is estimated from the predictions and labels themselves, by
expectation and maximisation (Dempster, Laird, Rubin 1977).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

EM_STEPS = 500
LEAST = 1e-12


@dataclass(frozen=True)
class Correction:
    """labels (clips, classes) bool after correction, confidence (clips,) that they are right, and e."""

    labels: np.ndarray
    confidence: np.ndarray
    wrong: float


def share_of_wrong_labels(support: np.ndarray, n_classes: int) -> float:
    """The e of highest likelihood, given the predicted probability of each given label.

    Args:
        support: (labels,) calibrated probabilities.
    """
    if not len(support) or n_classes < 2:
        return 0.0
    by_chance = np.maximum((1 - support) / (n_classes - 1), LEAST)
    support = np.maximum(support, LEAST)
    wrong = 0.5
    for _ in range(EM_STEPS):  # the likelihood is concave in e: it climbs to the one maximum
        posterior = wrong * by_chance / (wrong * by_chance + (1 - wrong) * support)
        before, wrong = wrong, float(posterior.mean())
        if abs(wrong - before) < 1e-9:
            break
    return wrong


def correct_labels(labels: np.ndarray, probabilities: np.ndarray) -> Correction:
    """Labels that are likelier right than not stay as they are; of others the predicted set remains.

    The predicted set: own labels that are likelier right, and other classes whose probability, once
    the labels found wrong are ruled out, is one half or more; it may be empty, with confidence 0.

    Args:
        labels: (clips, classes) bool.
        probabilities: (clips, classes), calibrated: 0.9 means right nine times of ten.
    """
    n_classes = labels.shape[1]
    has_labels = labels.any(axis=1)
    wrong = share_of_wrong_labels(probabilities[labels], n_classes)
    right = (1 - wrong) * probabilities
    odd = wrong * (1 - probabilities) / max(n_classes - 1, 1)
    of_label = right / np.maximum(right + odd, LEAST)  # posterior of each class if it is a given label
    stays = np.where(has_labels, np.where(labels, of_label, 1.0).min(axis=1), 0.0)

    ruled_out = np.where(labels & (of_label < 0.5), probabilities, 0.0).max(axis=1)
    others = np.minimum(probabilities / np.maximum(1 - ruled_out, LEAST)[:, None], 1.0)
    belief = np.where(labels, of_label, others)
    predicted = belief >= 0.5
    of_predicted = np.where(predicted, belief, 1.0).min(axis=1) * predicted.any(axis=1) * (1 - stays)

    keeps = stays >= 0.5
    return Correction(
        np.where(keeps[:, None], labels, predicted), np.where(keeps, stays, of_predicted), wrong
    )
