"""Given labels weighed against predictions: kept, replaced or dropped, with the chance of being right.

The model of the noise: a label is right with probability 1 - e, else one of the other classes at random
(Mnih and Hinton 2012; bootstrapping as in Reed et al. 2014, arXiv:1412.6596, with the posterior of
Arazo et al. 2019, arXiv:1904.11238, in place of a fixed weight). A label that the prediction finds at
least possible is then far more likely right than its probability alone says: with ten classes and
e = 0.4 the odds grow by 13.5.

What a prediction is worth is found on the noisy labels themselves: the probability that a clip's label
is class c is softmax(s * logits)[c], as in temperature scaling (Guo et al. 2017, arXiv:1706.04599), and
s and e together make the given labels likeliest. Softmax is free of the shift that LSEP leaves to each
clip, and the curated clips, which a network of many noisy clips may know better or worse, are not asked.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ops.predictions import logits_of

LEAST = 1e-12
SCALES = np.geomspace(0.02, 20, 10)
REFINEMENTS = 9  # of the scale, by golden section; more would change the posterior by less than 0.001
BISECTIONS = 30
GOLDEN = (np.sqrt(5) - 1) / 2
CHUNK_CLIPS = 65_536  # bounds the memory of whole-table passes


@dataclass(frozen=True)
class NoiseModel:
    """scale s of the logits, wrong e, and support (labels,): softmax(s * logits) of each given label."""

    scale: float
    wrong: float
    support: np.ndarray


@dataclass(frozen=True)
class Correction:
    """labels (clips, classes) bool after correction, confidence (clips,) that they are right, and e.

    trust (clips,): that all labels are right as they were given; 0 without labels.
    """

    labels: np.ndarray
    confidence: np.ndarray
    trust: np.ndarray
    wrong: float


def fit_noise(logits: np.ndarray, labels: np.ndarray) -> NoiseModel:
    """Scale and share of wrong labels of highest likelihood; every clip with labels counts once.

    Args:
        logits: (clips, classes), each clip's free of a shift.
        labels: (clips, classes) bool.
    """
    n_classes = labels.shape[1]
    rows, columns = np.nonzero(labels)
    if not len(rows) or n_classes < 2:
        return NoiseModel(1.0, 0.0, np.ones(len(rows)))
    weights = 1.0 / labels.sum(axis=1)[rows]
    shifted = (logits - logits.max(axis=1, keepdims=True)).astype(np.float32)  # digits enough to fit

    def fit(log_scale: float) -> tuple[float, float, np.ndarray]:
        """Mean log-likelihood, e and support."""
        support = _softmax_at(shifted, np.exp(log_scale), rows, columns)
        by_chance = (1 - support) / (n_classes - 1)
        wrong = share_of_wrong_labels(support, by_chance, weights)
        likelihood = np.log(np.maximum((1 - wrong) * support + wrong * by_chance, LEAST))
        return float(np.average(likelihood, weights=weights)), wrong, support

    grid = np.log(SCALES)
    best = int(np.argmax([fit(value)[0] for value in grid]))
    low, high = grid[max(best - 1, 0)], grid[min(best + 1, len(grid) - 1)]
    inner = [high - GOLDEN * (high - low), low + GOLDEN * (high - low)]
    found = [fit(value)[0] for value in inner]
    for _ in range(REFINEMENTS):
        if found[0] >= found[1]:
            high, inner = inner[1], [inner[1] - GOLDEN * (inner[1] - low), inner[0]]
            found = [fit(inner[0])[0], found[0]]
        else:
            low, inner = inner[0], [inner[1], inner[0] + GOLDEN * (high - inner[0])]
            found = [found[1], fit(inner[1])[0]]
    log_scale = (low + high) / 2
    _, wrong, support = fit(log_scale)
    return NoiseModel(float(np.exp(log_scale)), wrong, support)


def _softmax_at(shifted: np.ndarray, scale: float, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """(labels,) softmax(scale * logits) at these places; shifted: logits less each clip's highest."""
    sums = np.empty(len(shifted))
    for start in range(0, len(shifted), CHUNK_CLIPS):
        chunk = slice(start, start + CHUNK_CLIPS)
        sums[chunk] = np.exp(np.float32(scale) * shifted[chunk]).sum(axis=1)
    return np.exp(scale * shifted[rows, columns]) / sums[rows]


def softmax(logits: np.ndarray, scale: float) -> np.ndarray:
    """(clips, classes) softmax of scale * logits."""
    powers = np.exp(scale * (logits - logits.max(axis=1, keepdims=True)))
    return powers / powers.sum(axis=1, keepdims=True)


def share_of_wrong_labels(support: np.ndarray, by_chance: np.ndarray, weights: np.ndarray) -> float:
    """The e of highest likelihood, which is concave in e: its slope has one zero at most.

    Args:
        support, by_chance: (labels,) probabilities of each label if it is right, and if it is wrong.
        weights: (labels,) of each one's likelihood.
    """
    low, high = 0.0, 1.0
    for _ in range(BISECTIONS):
        wrong = (low + high) / 2
        likelihood = np.maximum((1 - wrong) * support + wrong * by_chance, LEAST)
        if (weights * (by_chance - support) / likelihood).sum() > 0:
            low = wrong
        else:
            high = wrong
    return (low + high) / 2


def correct_labels(labels: np.ndarray, probabilities: np.ndarray) -> Correction:
    """Labels that are likelier right than not stay; where all of a clip's are not, the likeliest other class.

    Of several labels those that are likelier wrong go. The confidence is the probability that all labels
    left are right and all that went are wrong; a clip that carries every class, none likely, is left with
    nothing and confidence 0.

    Args:
        labels: (clips, classes) bool.
        probabilities: (clips, classes) sigmoids of predictions by networks that did not see these labels.
    """
    n_classes = labels.shape[1]
    logits = logits_of(probabilities)
    noise = fit_noise(logits, labels)
    right = (1 - noise.wrong) * noise.support
    chance = noise.wrong * (1 - noise.support) / max(n_classes - 1, 1)
    posterior = np.zeros(labels.shape)
    posterior[labels] = right / np.maximum(right + chance, LEAST)

    stays = labels & (posterior >= 0.5)
    goes = labels & ~stays
    all_wrong = 1 - np.where(goes, posterior, 0.0).max(axis=1, initial=0.0)
    new_labels = stays.copy()
    confidence = all_wrong * np.where(stays, posterior, 1.0).min(axis=1, initial=1.0)

    empty = np.flatnonzero(~stays.any(axis=1))
    for start in range(0, len(empty), CHUNK_CLIPS):
        rows = empty[start : start + CHUNK_CLIPS]
        others = np.where(labels[rows], 0.0, softmax(logits[rows], noise.scale))
        total = others.sum(axis=1)
        best, at = others.argmax(axis=1), np.arange(len(rows))
        new_labels[rows, best] = total > 0
        confidence[rows] = all_wrong[rows] * others[at, best] / np.maximum(total, LEAST)
    trust = np.where(labels, posterior, 1.0).min(axis=1, initial=1.0) * labels.any(axis=1)
    return Correction(new_labels, confidence, trust, noise.wrong)
