"""Relabeling strategies: labels and probabilities of noisy clips -> clips kept and their labels.

`--mode <strategy>_<parameter>`, or `--mode given`; STRATEGIES lists them. All take and give arrays, rows in
any order: permuting the rows permutes the result, but that correction of a large table fits its few numbers
on a choice of rows. The first five are those of the published solution.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ops.errors import DataError, nearest
from ops.metrics import lrap_per_clip
from ops.noise_model import ROUNDING, correct_labels, doubt_labels

N_THRESHOLDS = 10_000
EXPECTED_CLASSES = "<expected classes per clip>"
CHUNK_CLIPS = 65_536  # bounds the memory of whole-table passes
MAX_MARGIN = 40.0  # in logits; float64 probabilities tell no more apart
Result = tuple[np.ndarray, np.ndarray]  # the first two of a Relabeling


class Relabeling(NamedTuple):
    """What a strategy makes of a table.

    Attributes:
        kept: (clips,) bool.
        labels: (clips, classes) bool.
        weights: (clips,) in training, 0 to 1; None: all count in full.
        noise_rate: estimated fraction of wrong labels among the given ones; None: not estimated.
        unknown: (clips, classes) bool, of which nobody knows whether the clip carries them; None: of none.
    """

    kept: np.ndarray
    labels: np.ndarray
    weights: np.ndarray | None = None
    noise_rate: float | None = None
    unknown: np.ndarray | None = None


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
    positive = np.where(labels, logits, np.inf).min(axis=1)
    negative = np.where(labels, -np.inf, logits).max(axis=1)
    with np.errstate(invalid="ignore"):
        margins = positive - negative
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
    return _keep_first(by_agreement(*agreement(labels, probabilities), fnames), k), labels


def agreement(labels: np.ndarray, probabilities: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(clips,) ranking precision of a clip's own labels, and their margin; -1 and -inf without labels."""
    lrap, margins = np.empty(len(labels)), np.empty(len(labels))
    for start in range(0, len(labels), CHUNK_CLIPS):
        rows = slice(start, start + CHUNK_CLIPS)
        lrap[rows] = lrap_per_clip(labels[rows], probabilities[rows])
        margins[rows] = label_margins(labels[rows], probabilities[rows])
    return np.nan_to_num(lrap, nan=-1.0), margins


def by_agreement(lrap: np.ndarray, margins: np.ndarray, fnames: Sequence[str]) -> np.ndarray:
    """Rows from the highest agreement to the lowest; ties by margin, then by fname."""
    return np.lexsort((np.asarray(fnames, dtype=object), -margins, -lrap))


def _keep_first(order: np.ndarray, k: float) -> np.ndarray:
    kept = np.zeros(len(order), dtype=bool)
    kept[order[: int(k)]] = True
    return kept


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


def quota(labels: np.ndarray, probabilities: np.ndarray, fnames: Sequence[str], k: float) -> Result:
    """Keeps k clips, as many of each class as there are: easy classes do not crowd out hard ones.

    Each class ranks its clips as `scoring` does; the best of every class is kept, then the second best
    of every class, and so on; a clip of several classes counts where it ranks best. Class-balanced
    self-training, Zou et al. 2018, arXiv:1810.07911, with given labels in place of pseudo-labels.
    """
    order = by_agreement(*agreement(labels, probabilities), fnames)
    in_order = labels[order]
    ranks = np.where(in_order, np.cumsum(in_order, axis=0), len(labels) + 1).min(
        axis=1, initial=len(labels) + 1
    )
    return _keep_first(order[np.argsort(ranks, kind="stable")], k), labels


def consensus(labels: np.ndarray, tables: np.ndarray, fnames: Sequence[str], k: float) -> Result:
    """Keeps the k clips whose labels rank best in all predictions alike: rounds, or experiments.

    Ranked by the mean agreement over the tables less its standard deviation, ties by the margins
    likewise: labels that a network first rejects and later learns by heart rank below those it agreed
    with from the start. O2U-Net, Huang et al. 2019 (ICCV), ranks by the history of losses in this
    manner; SELF, Nguyen et al. 2020, arXiv:1910.01842, by the mean of predictions over it.

    Args:
        tables: (tables, clips, classes) probabilities, or (clips, classes) of one.
    """
    tables = tables.reshape(-1, *labels.shape)
    found = [agreement(labels, table) for table in tables]
    lrap = np.stack([lrap for lrap, _ in found])
    margins = np.clip(np.stack([margins for _, margins in found]), -MAX_MARGIN, MAX_MARGIN)
    order = by_agreement(*(values.mean(axis=0) - values.std(axis=0) for values in (lrap, margins)), fnames)
    return _keep_first(order, k), labels


def soft(labels: np.ndarray, probabilities: np.ndarray, fnames: Sequence[str], power: float) -> Relabeling:
    """Keeps all clips that carry labels, weighted by the ranking precision of these to the given power.

    A curriculum of weights instead of a choice: MentorNet, Jiang et al. 2018, arXiv:1712.05055.
    """
    weights = np.clip(agreement(labels, probabilities)[0], 0.0, 1.0) ** power
    return Relabeling(labels.any(axis=1), labels, weights)


def given(labels: np.ndarray, probabilities: np.ndarray, fnames: Sequence[str], parameter: float) -> Result:
    """Keeps all clips that carry labels, as they were given: what a network makes of all of them.

    Networks learn what labels agree on before they learn errors by heart (Arpit et al. 2017,
    arXiv:1706.05394): scored by folds that did not see them, the clips get a second opinion.
    """
    return labels.any(axis=1), labels


def trust(
    labels: np.ndarray, probabilities: np.ndarray, fnames: Sequence[str], min_probability: float
) -> Relabeling:
    """Keeps clips whose labels are right with a probability of at least min_probability; labels stay.

    As `scoring` does, but a probability says how many: see ops.noise_model.
    """
    return trust_soft(labels, probabilities, fnames, min_probability)._replace(weights=None)


def trust_soft(
    labels: np.ndarray, probabilities: np.ndarray, fnames: Sequence[str], min_probability: float
) -> Relabeling:
    """The same, weighted by that probability."""
    found = correct_labels(labels, probabilities)
    return Relabeling(found.trust >= min_probability - ROUNDING, labels, found.trust, found.noise_rate)


def correct(
    labels: np.ndarray, probabilities: np.ndarray, fnames: Sequence[str], min_confidence: float
) -> Relabeling:
    """Keeps labels that are likely right, replaces them where another class is, drops the rest.

    Clips whose corrected labels are right with a probability of at least min_confidence, see ops.noise_model.
    """
    return correct_soft(labels, probabilities, fnames, min_confidence)._replace(weights=None)


def correct_soft(
    labels: np.ndarray, probabilities: np.ndarray, fnames: Sequence[str], min_confidence: float
) -> Relabeling:
    """The same, weighted by the probability that the corrected labels are right."""
    found = correct_labels(labels, probabilities)
    kept = (found.confidence >= min_confidence - ROUNDING) & found.labels.any(axis=1)
    return Relabeling(kept, found.labels, found.confidence, found.noise_rate)


def doubt(
    labels: np.ndarray, probabilities: np.ndarray, fnames: Sequence[str], min_probability: float
) -> Relabeling:
    """Keeps clips with a label that is right with at least this probability; what is in doubt is unknown.

    Unknown are their other labels, and classes that are as likely without being labels, see
    ops.noise_model: the loss leaves them out, where `correct` decides.
    """
    sure, unknown, noise_rate = doubt_labels(labels, probabilities, min_probability)
    return Relabeling(sure.any(axis=1), sure, None, noise_rate, unknown)


def relabelall_balanced(
    labels: np.ndarray, probabilities: np.ndarray, fnames: Sequence[str], n: float
) -> Result:
    """Replaces labels by the predicted set; each class stays as frequent as in the given labels.

    One threshold per class: n classes per clip are expected, in the proportions of the given labels.
    Class-balanced self-training, Zou et al. 2018, arXiv:1810.07911. Clips of equal probability stay together.
    """
    counts = labels.sum(axis=0)
    wanted = np.rint(n * len(labels) * counts / max(counts.sum(), 1)).astype(int)
    predicted = np.zeros(labels.shape, dtype=bool)
    for index, count in enumerate(np.minimum(wanted, len(labels))):
        if count:
            column = probabilities[:, index]
            predicted[:, index] = column >= np.partition(column, len(column) - count)[len(column) - count]
    return predicted.any(axis=1), predicted


@dataclass(frozen=True)
class Strategy:
    """A strategy and what its parameter means.

    Attributes:
        apply: labels, probabilities, fnames, parameter -> a Relabeling, or its first two entries.
        parameter: as the grammar names it; "": the strategy takes none.
        whole: the parameter counts clips.
        high: the highest parameter.
        several: apply takes (tables, clips, classes), one table for each round or experiment.
    """

    apply: Callable[[np.ndarray, np.ndarray, Sequence[str], float], Result | Relabeling]
    parameter: str
    whole: bool = False
    high: float = math.inf
    several: bool = False

    def grammar(self, name: str) -> str:
        """How a mode of this strategy, called so, is written."""
        return f"{name}_{self.parameter}" if self.parameter else name

    @property
    def counts_classes(self) -> bool:
        """Whether the parameter is a number of classes expected per clip."""
        return self.parameter == EXPECTED_CLASSES


STRATEGIES = {
    "scoring": Strategy(scoring, "<clips to keep>", whole=True),
    "fullmatch": Strategy(fullmatch, EXPECTED_CLASSES),
    "relabelall": Strategy(relabelall, EXPECTED_CLASSES),
    "relabelall-replacenan": Strategy(relabelall, EXPECTED_CLASSES),
    "relabelall-merge": Strategy(relabelall_merge, EXPECTED_CLASSES),
    "relabelall-balanced": Strategy(relabelall_balanced, EXPECTED_CLASSES),
    "quota": Strategy(quota, "<clips to keep>", whole=True),
    "consensus": Strategy(consensus, "<clips to keep>", whole=True, several=True),
    "soft": Strategy(soft, "<power of the weights>"),
    "given": Strategy(given, ""),
    "trust": Strategy(trust, "<least probability>", high=1, several=True),
    "trust-soft": Strategy(trust_soft, "<least probability>", high=1, several=True),
    "correct": Strategy(correct, "<least confidence>", high=1, several=True),
    "correct-soft": Strategy(correct_soft, "<least confidence>", high=1, several=True),
    "doubt": Strategy(doubt, "<least probability>", high=1, several=True),
}
GRAMMAR = ", ".join(strategy.grammar(name) for name, strategy in STRATEGIES.items())


def parse_mode(mode: str) -> tuple[Strategy, float]:
    """`<strategy>_<parameter>` -> the strategy and its parameter; ValueError with the grammar.

    A strategy without a parameter is its name alone, with the parameter 0.
    """
    alone = STRATEGIES.get(mode)
    if alone is not None and not alone.parameter:
        return alone, 0.0
    match = re.fullmatch(r"([a-z-]+)_([0-9]+(?:\.[0-9]*)?|\.[0-9]+)", mode, flags=re.ASCII)
    strategy = STRATEGIES.get(match[1]) if match else None
    if strategy is None or not strategy.parameter:
        name = mode.rpartition("_")[0] or mode
        near = "" if name in STRATEGIES else nearest(name, STRATEGIES)
        if name in STRATEGIES:
            expected = STRATEGIES[name].grammar(name)
        else:
            expected = "<strategy>_<number>, as scoring_1000" if near else f"one of {GRAMMAR}"
        raise ValueError(f"mode: expected {expected}; got {mode!r}{near}")
    value = float(match[2])
    if not 0 < value < math.inf:
        raise ValueError(f"mode: expected a parameter above 0, got {mode!r}")
    if value > strategy.high:
        raise ValueError(f"mode: expected a parameter of at most {strategy.high:g}, got {mode!r}")
    if strategy.whole and value != int(value):
        raise ValueError(f"mode: expected a whole number of clips, got {mode!r}")
    return strategy, value


def check_mode(mode: str, n_classes: int) -> None:
    """Raises DataError where a mode expects more classes per clip than there are."""
    strategy, value = parse_mode(mode)
    if strategy.counts_classes and value > n_classes:
        raise DataError(
            f"{mode}: expected at most as many classes per clip as there are, {n_classes}, got {value:g}"
        )


def check_count(mode: str, min_clips: int) -> None:
    """Raises DataError where a mode asks for fewer clips than there are folds, each of which needs one."""
    strategy, value = parse_mode(mode)
    if strategy.whole and value < min_clips:
        raise DataError(f"{mode}: expected at least {min_clips} clips, one for each fold, got {value:g}")
