"""The sigmoid and its inverse, in float64."""

from __future__ import annotations

import numpy as np

MAX_LOGIT = 36.0  # up to which a float64 sigmoid still tells scores apart


def sigmoid(logits: np.ndarray) -> np.ndarray:
    """Probabilities of logits, float64: float32 would round confident classes to a tie at 1."""
    return 1.0 / (1.0 + np.exp(-logits.astype(np.float64)))


def logits_of(probabilities: np.ndarray) -> np.ndarray:
    """The inverse of the sigmoid, limited to MAX_LOGIT: finite for probabilities of 0 and 1, too."""
    with np.errstate(divide="ignore"):
        return np.clip(np.log(probabilities) - np.log1p(-probabilities), -MAX_LOGIT, MAX_LOGIT)
