"""Relabeling strategies: labels and probabilities of noisy clips -> clips kept and their labels.

`--mode <strategy>_<parameter>`; STRATEGIES lists them. All take and give arrays, rows in any order:
permuting the rows permutes the result.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from ops.metrics import lrap_per_clip

N_THRESHOLDS = 10_000
CHUNK_CLIPS = 65_536  # bounds the memory of whole-table passes
Result = tuple[np.ndarray, np.ndarray]  # kept (clips,) bool, labels (clips, classes) bool


def choose_threshold(probabilities: np.ndarray, expected_classes: float) -> float:
    """The threshold above which a class counts as predicted.

    Of 10,000 equally spaced values from 0 to 1, the first at which the mean number of classes above
    it is nearest to expected_classes.

    Args:
        probabilities: (clips, classes).
    """
    thresholds = np.linspace(0.0, 1.0, N_THRESHOLDS)
    passed = np.zeros(N_THRESHOLDS + 1, dtype=np.int64)
    for start in range(0, len(probabilities), CHUNK_CLIPS):
        # How many thresholds lie below each probability.
        below = np.searchsorted(thresholds, probabilities[start : start + CHUNK_CLIPS].ravel(), "left")
        passed += np.bincount(below, minlength=N_THRESHOLDS + 1)
    # A probability is above threshold i where more than i thresholds lie below it.
    above = passed[::-1].cumsum()[::-1][1:]
    distance = np.abs(above / len(probabilities) - expected_classes)
    return float(thresholds[np.argmin(distance)])


def predicted_sets(probabilities: np.ndarray, expected_classes: float) -> np.ndarray:
    """(clips, classes) bool: the classes above choose_threshold."""
    return probabilities > choose_threshold(probabilities, expected_classes)


def label_margins(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """(clips,) lowest logit among a clip's own labels minus the highest among its other classes.

    Infinite where a clip carries every class, -inf where it carries none.
    """
    with np.errstate(divide="ignore"):
        logits = np.log(probabilities) - np.log1p(-probabilities)
    own = np.where(labels, logits, np.inf).min(axis=1)
    other = np.where(labels, -np.inf, logits).max(axis=1)
    with np.errstate(invalid="ignore"):
        margins = own - other
    # Only inf - inf is NaN: both sides saturated at probability 0 or 1, so no margin.
    margins = np.nan_to_num(margins, nan=0.0, posinf=np.inf, neginf=-np.inf)
    margins[labels.all(axis=1)] = np.inf
    margins[~labels.any(axis=1)] = -np.inf
    return margins


def scoring(labels: np.ndarray, probabilities: np.ndarray, fnames: Sequence[str], k: float) -> Result:
    """Keeps the k clips whose own labels rank best in the prediction; labels stay.

    Ranked by per-clip label-ranking average precision; ties (every clip whose labels come first
    scores 1) by the margin in logits, then by fname.
    """
    lrap, margins = np.empty(len(labels)), np.empty(len(labels))
    for start in range(0, len(labels), CHUNK_CLIPS):
        rows = slice(start, start + CHUNK_CLIPS)
        lrap[rows] = lrap_per_clip(labels[rows], probabilities[rows])
        margins[rows] = label_margins(labels[rows], probabilities[rows])
    lrap = np.nan_to_num(lrap, nan=-1.0)  # clips without labels come last
    best = np.lexsort((np.asarray(fnames, dtype=object), -margins, -lrap))[: int(k)]
    kept = np.zeros(len(labels), dtype=bool)
    kept[best] = True
    return kept, labels


def fullmatch(labels: np.ndarray, probabilities: np.ndarray, fnames: Sequence[str], n: float) -> Result:
    """Keeps the clips whose predicted set equals their labels; n expected classes per clip."""
    return (predicted_sets(probabilities, n) == labels).all(axis=1) & labels.any(axis=1), labels


def relabelall(labels: np.ndarray, probabilities: np.ndarray, fnames: Sequence[str], n: float) -> Result:
    """Replaces labels by the predicted set; drops clips whose set is empty."""
    predicted = predicted_sets(probabilities, n)
    return predicted.any(axis=1), predicted


def relabelall_merge(
    labels: np.ndarray, probabilities: np.ndarray, fnames: Sequence[str], n: float
) -> Result:
    """Labels become the union of themselves and the predicted set."""
    merged = predicted_sets(probabilities, n) | labels
    return merged.any(axis=1), merged


@dataclass(frozen=True)
class Strategy:
    """A strategy and what its parameter means; `whole`: the parameter counts clips."""

    apply: Callable[[np.ndarray, np.ndarray, Sequence[str], float], Result]
    parameter: str
    whole: bool = False


STRATEGIES = {
    "scoring": Strategy(scoring, "<clips to keep>", whole=True),
    "fullmatch": Strategy(fullmatch, "<expected classes per clip>"),
    "relabelall": Strategy(relabelall, "<expected classes per clip>"),
    "relabelall-replacenan": Strategy(relabelall, "<expected classes per clip>"),
    "relabelall-merge": Strategy(relabelall_merge, "<expected classes per clip>"),
}
GRAMMAR = ", ".join(f"{name}_{strategy.parameter}" for name, strategy in STRATEGIES.items())


def parse_mode(mode: str) -> tuple[Strategy, float]:
    """`<strategy>_<parameter>` -> the strategy and its parameter; ValueError with the grammar."""
    match = re.fullmatch(r"([a-z-]+)_([0-9]+(?:\.[0-9]*)?|\.[0-9]+)", mode, flags=re.ASCII)
    strategy = STRATEGIES.get(match[1]) if match else None
    if strategy is None:
        raise ValueError(f"mode: expected one of {GRAMMAR}; got {mode!r}")
    value = float(match[2])
    if not 0 < value < math.inf:
        raise ValueError(f"mode: expected a parameter above 0, got {mode!r}")
    if strategy.whole and value != int(value):
        raise ValueError(f"mode: expected a whole number of clips, got {mode!r}")
    return strategy, value
