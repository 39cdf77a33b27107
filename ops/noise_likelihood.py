"""How likely labels are, right or wrong, by predicted probabilities; what noise fits them best."""

from __future__ import annotations

import numpy as np

EPS = 1e-12  # keeps divisors and logarithms finite
BISECTIONS = 30
CONFUSION_CLIPS = 10.0  # of each class, evenly confused, that confusions are drawn towards: a Dirichlet prior


def support_of_labels(
    probabilities: np.ndarray, labels: np.ndarray, confusions: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """(clips, classes) probabilities of each label where it is right, and where it is wrong.

    Against the classes that are none of the clip's, as the LSEP loss ranks it: a clip's labels take
    nothing from each other. A wrong one stands for one of those, for each with a chance of its own where
    there are confusions. A clip of every class tells nothing.
    """
    n_negatives = labels.shape[1] - labels.sum(axis=1, keepdims=True)
    others = np.where(labels, 0.0, probabilities)
    total = np.maximum(probabilities + others.sum(axis=1, keepdims=True), EPS)
    support = np.where(n_negatives > 0, probabilities / total, 1.0)
    chance = 1 - support
    if confusions is not None:
        chance = others @ confusions * (labels.shape[1] - 1) / total
    return support, np.where(n_negatives > 0, chance / np.maximum(n_negatives, 1), 1.0)


def likeliest_confusions(
    probabilities: np.ndarray, labels: np.ndarray, noise_rate: float, confusions: np.ndarray
) -> np.ndarray:
    """One step of EM from these confusions: (classes, classes), rows of sum 1, drawn towards even.

    How many of the labels of each class (column) are wrong and stand for which other one (row), of which
    CONFUSION_CLIPS more are confused evenly; every clip counts once.
    """
    n_classes = labels.shape[1]
    support, by_chance = support_of_labels(probabilities, labels, confusions)
    n_negatives = np.maximum(n_classes - labels.sum(axis=1, keepdims=True), 1)
    others = np.where(labels, 0.0, probabilities)
    total = probabilities + others.sum(axis=1, keepdims=True)
    likelihood = (
        ((1 - noise_rate) * support + noise_rate * by_chance) * total * labels.sum(axis=1, keepdims=True)
    )
    wrong = np.where(labels, noise_rate * (n_classes - 1) / n_negatives / np.maximum(likelihood, EPS), 0.0)
    counts = confusions * (others.T @ wrong) + CONFUSION_CLIPS * (1 - np.eye(n_classes)) / (n_classes - 1)
    return counts / counts.sum(axis=1, keepdims=True)


def softmax(logits: np.ndarray) -> np.ndarray:
    """(clips, classes) -> (clips, classes), each clip's sum 1."""
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def likeliest_noise_rate(support: np.ndarray, by_chance: np.ndarray, weights: np.ndarray) -> float:
    """The likeliest e under a prior of e * (1 - e), as of two more labels, one right and one wrong.

    So predictions that tell nothing leave it at one half. The log-posterior is concave in e.

    Args:
        support, by_chance: (labels,) probabilities of each label if it is right, and if it is wrong.
        weights: (labels,) of each one's likelihood.
    """
    low, high = 0.0, 1.0
    for _ in range(BISECTIONS):
        noise_rate = (low + high) / 2
        likelihood = np.maximum((1 - noise_rate) * support + noise_rate * by_chance, EPS)
        if (weights * (by_chance - support) / likelihood).sum() + 1 / noise_rate - 1 / (1 - noise_rate) > 0:
            low = noise_rate
        else:
            high = noise_rate
    return (low + high) / 2
