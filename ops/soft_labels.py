"""Soft labels of a blend's predictions, from which one network learns what many know."""

from __future__ import annotations

import numpy as np

from ops.logits import logits_of


def soft_labels(probabilities: np.ndarray, power: float) -> np.ndarray:
    """(clips, classes) -> (clips, classes) float32 in (0, 1]: odds over the clip's highest odds, to a power.

    So the likeliest class is 1, and no shift of all of a clip's logits, which LSEP leaves free, counts. The
    power sharpens: it is the inverse of distillation's temperature (Hinton et al. 2015, arXiv:1503.02531). A
    clip whose classes are all as likely has nothing but ones, and no part in a rank loss.
    """
    logits = logits_of(probabilities)
    return np.exp(power * (logits - logits.max(axis=1, keepdims=True))).astype(np.float32)
