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
