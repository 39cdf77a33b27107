"""Whether a network has met the like of a sound: by the vector that its head reads.

A network of these losses gives every sound a ranking of its classes, silence and hum, too, and often a
decided one. Two tests on the vector that the head reads (the pooled maps of deep supervision) tell what is no
sound of training: a linear one, fitted between clips that the network did not train on (as they are, and laid
over noise) and synthetic backgrounds; and the distance from the training clips, each dimension in units of
its standard deviation there (a Mahalanobis distance with a diagonal covariance, after Lee et al. 2018,
arXiv:1807.03888), which must not be much larger than that of clips which the network did not train on.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

MAX_DEVIATIONS = 10.0  # beyond it the linear test sees no difference
PENALTY = 100.0  # of the linear test's weights: few clips for many dimensions
MAX_LOST = 0.02  # of clips like those of training, by each of the tests
DISTANCE_MARGIN = 1.5  # other recordings of the same classes lie a little farther out


@dataclass(frozen=True)
class Familiarity:
    """Both tests of one network. mean, scale, weights: (dimensions,)."""

    mean: np.ndarray
    scale: np.ndarray
    weights: np.ndarray
    bias: float
    max_distance: float

    def accepts(self, vectors: np.ndarray) -> np.ndarray:
        """(clips,) bool of (clips, dimensions): neither a background nor far from all that was trained on."""
        deviations = (vectors.astype(np.float64) - self.mean) / self.scale
        margins = np.clip(deviations, -MAX_DEVIATIONS, MAX_DEVIATIONS) @ self.weights + self.bias
        return (margins >= 0) & (_distance(deviations) <= self.max_distance)


def fit_familiarity(
    trained: np.ndarray, unseen: np.ndarray, noisy: np.ndarray, backgrounds: np.ndarray
) -> Familiarity:
    """Fits both tests; neither refuses more than MAX_LOST of the unseen clips.

    Args, each (clips, dimensions): clips that the network trained on, clips that it did not, the like of
    these over noise, and backgrounds.
    """
    from sklearn.linear_model import LogisticRegression  # here: only fitting needs scikit-learn

    mean, scale = trained.mean(axis=0, dtype=np.float64), trained.std(axis=0, dtype=np.float64)
    scale = np.maximum(scale, 0.1 * np.median(scale) + 1e-9)

    def deviations(vectors: np.ndarray) -> np.ndarray:
        return (vectors - mean) / scale

    x = np.clip(
        np.concatenate([deviations(part) for part in (unseen, noisy, backgrounds)]),
        -MAX_DEVIATIONS,
        MAX_DEVIATIONS,
    )
    y = np.arange(len(x)) < len(unseen) + len(noisy)
    fitted = LogisticRegression(C=1 / PENALTY, class_weight="balanced", max_iter=1000).fit(x, y)
    margins, distances = fitted.decision_function(x[: len(unseen)]), _distance(deviations(unseen))
    bias = float(fitted.intercept_[0]) - min(0.0, float(np.quantile(margins, MAX_LOST)))
    max_distance = DISTANCE_MARGIN * float(np.quantile(distances, 1 - MAX_LOST))
    return Familiarity(mean, scale, fitted.coef_[0], bias, max_distance)


def _distance(deviations: np.ndarray) -> np.ndarray:
    """(clips,) root mean square over the dimensions."""
    return np.sqrt((deviations**2).mean(axis=1))
