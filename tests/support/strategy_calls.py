"""Strategies of relabeling called by their mode on small arrays."""

import numpy as np

from ops.relabeling import parse_mode


def apply(mode: str, labels, probabilities, fnames=None):
    strategy, parameter = parse_mode(mode)
    labels = np.array(labels, dtype=bool)
    return strategy.apply(
        labels, np.array(probabilities), fnames or list(map(str, range(len(labels)))), parameter
    )


def kept(mode: str, *arguments) -> list[int]:
    return np.flatnonzero(apply(mode, *arguments)[0]).tolist()


CLASSES = ["A", "B", "C"]
FNAMES = ["c0", "c1", "c2", "c3"]
PROBABILITIES = np.array([[0.9, 0.2, 0.1], [0.9, 0.8, 0.1], [0.6, 0.1, 0.4], [0.1, 0.2, 0.3]])
