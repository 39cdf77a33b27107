"""Made-up truth, and the scores of models that know it more or less."""

import numpy as np


def random_models(seed: int, models=3, clips=40, classes=5) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    truth = rng.random((clips, classes)) < 0.3
    truth[np.arange(clips), rng.integers(0, classes, clips)] = True
    return truth.astype(np.float32), rng.random((models, clips, classes))


CLASSES = ["A", "B", "C", "D", "E"]


def sigmoid(logits):
    return 1 / (1 + np.exp(-np.asarray(logits, dtype=float)))


def shifted_clips(seed: int, n: int):
    """Scores that rank well within a clip, and move up and down together from clip to clip."""
    rng = np.random.default_rng(seed)
    truth = np.eye(len(CLASSES), dtype=bool)[rng.integers(0, len(CLASSES), n)]
    second = rng.random(n) < 0.2
    truth[second, rng.integers(0, len(CLASSES), second.sum())] = True
    logits = np.where(truth, 3.0, -3.0) + rng.normal(0, 1, truth.shape)
    return truth, sigmoid(logits + rng.normal(0, 4, (n, 1)))
