"""Given labels weighed against predictions: kept, replaced or dropped, with the chance of being right.

The model of the noise: a label is right with probability 1 - e, else one of the other classes at random
(Mnih and Hinton 2012; bootstrapping as in Reed et al. 2014, arXiv:1412.6596, with the posterior of
Arazo et al. 2019, arXiv:1904.11238, in place of a fixed weight). A label that the prediction finds at
least possible is then far more likely right than its probability alone says: with ten classes and
e = 0.4 the odds grow by 13.5.

What predictions are worth is found on the noisy labels themselves. The probability that a clip's label is
right, and none of the classes that the clip does not carry, is a softmax over it and these of the sum over
tables of s * logits: one scale s for each table of predictions, of a round or an experiment. The scales and e
together make the given labels likeliest: temperature scaling (Guo et al. 2017, arXiv:1706.04599) of a
logarithmic opinion pool (Heskes 1998), so that a round whose network turned out worse than an earlier
one's does no harm. Where they make the labels no likelier than the classes' frequencies do, by more than
chance does, predictions tell nothing: labels are then neither believed nor replaced. That more than half
of the labels are wrong is believed on the same terms: at e = 1 - 1/classes every prediction fits, a wrong
one as well as a right one. Softmax is free of the shift that LSEP leaves to each clip, and the curated
clips, which a network of many noisy clips may know better or worse, are not asked.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ops.logits import logits_of

EPS = 1e-12  # keeps divisors and logarithms finite
STARTS = (20.0, 3.0, 0.5, 0.1)  # of the sum of the scales, where a logit's standard deviation is 1
MAX_SCALE = 100.0  # of one scale, likewise
BISECTIONS = 30
SUBSET_CLIPS = 1_000
FIT_SCORES = 800_000  # clips x classes: a random choice of so many clips gives the noise rate to 0.01
EVIDENCE, EVIDENCE_PER_TABLE = 3.0, 1.0  # nats; chance alone gave up to 2.4 in 110 draws of noise
CHUNK_CLIPS = 65_536  # bounds the memory of whole-table passes


@dataclass(frozen=True)
class NoiseModel:
    """scales (tables,) of the logits, and the noise rate e; NaN where predictions tell nothing."""

    scales: np.ndarray
    noise_rate: float

    def class_probabilities(self, logits: np.ndarray) -> np.ndarray:
        """(tables, clips, classes) -> (clips, classes) probability that a right label is this one."""
        return softmax(np.tensordot(self.scales, logits, 1))

    def posterior(self, probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """(clips, classes) probability that each label is right; 0 for classes that the clip lacks."""
        support, by_chance = support_of_labels(probabilities, labels)
        noise_rate = 0.5 if np.isnan(self.noise_rate) else self.noise_rate
        right, chance = (1 - noise_rate) * support, noise_rate * by_chance
        return np.where(labels, right / np.maximum(right + chance, EPS), 0.0)


@dataclass(frozen=True)
class Correction:
    """What became of the labels, and how likely they are right.

    Attributes:
        labels: (clips, classes) bool after correction.
        confidence: (clips,) probability that the least certain corrected label is right.
        trust: (clips,) likewise of the labels as they were given; 0 without labels.
        noise_rate: e, the estimated fraction of wrong given labels; NaN where predictions tell nothing.
    """

    labels: np.ndarray
    confidence: np.ndarray
    trust: np.ndarray
    noise_rate: float


def fit_noise(logits: np.ndarray, labels: np.ndarray) -> NoiseModel:
    """The likeliest scales and noise rate; every clip with labels counts once.

    A table that adds nothing to the others gets scale 0; where none is informative all do.

    Args:
        logits: (tables, clips, classes), each clip's free of a shift.
        labels: (clips, classes) bool.
    """
    n_tables, n_classes = len(logits), labels.shape[1]
    if not labels.any() or n_classes < 2:
        return NoiseModel(np.ones(n_tables), 0.0)
    logits = logits - logits.mean(axis=2, keepdims=True)
    spreads = logits.std(axis=(1, 2))
    spreads[spreads < EPS] = 1.0
    logits /= spreads[:, None, None]
    starts = [np.full(n_tables, start / n_tables) for start in STARTS]
    step = -(-len(labels) // SUBSET_CLIPS)
    subset = logits[:, ::step], labels[::step]
    if not ((step > 1 and _are_informative(*subset, starts)) or _are_informative(logits, labels, starts)):
        return NoiseModel(np.zeros(n_tables), np.nan)
    if step > 1 and subset[1].any():  # some clips tell which start is best
        starts = [_fit(*subset, starts).scales]
    found = _fit(logits, labels, starts)
    if found.noise_rate > 0.5:
        bounded = _fit(logits, labels, [*starts, found.scales], max_noise_rate=0.5)
        if found.log_posterior < bounded.log_posterior + _evidence(n_tables):
            found = bounded
    return NoiseModel(found.scales / spreads, found.noise_rate)


def _evidence(n_tables: int) -> float:
    return EVIDENCE + EVIDENCE_PER_TABLE * n_tables


def _are_informative(logits: np.ndarray, labels: np.ndarray, starts: Sequence[np.ndarray]) -> bool:
    """Whether predictions and class frequencies together make labels likelier than frequencies alone."""
    label_weights = labels / np.maximum(labels.sum(axis=1, keepdims=True), 1)
    frequencies = np.log(label_weights.sum(axis=0) + 1)
    table = np.broadcast_to(frequencies - frequencies.mean(), labels.shape)[None]
    alone = _fit(table, labels, [np.ones(1)])
    joint = [np.append(start, alone.scales) for start in (*starts, np.zeros(len(logits)))]
    both = _fit(np.concatenate([logits, table]), labels, joint)
    return both.log_posterior > alone.log_posterior + _evidence(len(logits))


class _Fit(NamedTuple):
    scales: np.ndarray
    noise_rate: float
    log_posterior: float


def _fit(
    logits: np.ndarray, labels: np.ndarray, starts: Sequence[np.ndarray], max_noise_rate: float = 1.0
) -> _Fit:
    """The likeliest scales that are reached from any of the starts, and the e that goes with them."""
    from scipy.optimize import minimize  # here: it takes as long to load as relabeling does

    n_classes = labels.shape[1]
    rows, columns = np.nonzero(labels)
    positives = logits[:, rows, columns]
    n_negatives = np.maximum(n_classes - labels.sum(axis=1), 1)[rows]
    weights = 1.0 / labels.sum(axis=1)[rows]
    n_clips = max(labels.any(axis=1).sum(), 1)

    def parts(scales: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
        """Class probabilities, each label's support, what it would be by chance, and the best e."""
        probabilities = softmax(np.tensordot(scales, logits, 1))
        support, by_chance = (values[rows, columns] for values in support_of_labels(probabilities, labels))
        noise_rate = min(likeliest_noise_rate(support, by_chance, weights), max_noise_rate)  # concave in e
        return probabilities, support, by_chance, noise_rate

    def loss(scales: np.ndarray) -> tuple[float, np.ndarray]:
        """Negative log-posterior per clip at the best e, and its slope, in which that e counts as fixed."""
        probabilities, support, by_chance, noise_rate = parts(scales)
        likelihood = np.maximum((1 - noise_rate) * support + noise_rate * by_chance, EPS)
        total = (weights * np.log(likelihood)).sum() + np.log(max(noise_rate * (1 - noise_rate), EPS))
        # The support of a label is a softmax over itself and the classes that are none of the clip's.
        negatives = np.where(labels, 0.0, probabilities)
        of_negatives = np.einsum("nc,tnc->tn", negatives, logits) / np.maximum(negatives.sum(axis=1), EPS)
        slope = weights / likelihood * (1 - noise_rate - noise_rate / n_negatives) * support * (1 - support)
        return float(-total / n_clips), -((positives - of_negatives[:, rows]) * slope).sum(axis=1) / n_clips

    bounds = [(0.0, MAX_SCALE)] * len(logits)
    found = [minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds) for start in starts]
    best = min(
        found, key=lambda result: round(result.fun, 9)
    )  # of equally good ones the first, with the largest scales
    return _Fit(best.x, parts(best.x)[3], -best.fun * n_clips)


def support_of_labels(probabilities: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(clips, classes) probabilities of each label where it is right, and where it is wrong.

    Against the classes that are none of the clip's, as the LSEP loss ranks it: a clip's labels take
    nothing from each other. A wrong one stands for one of those. A clip of every class tells nothing.
    """
    n_negatives = labels.shape[1] - labels.sum(axis=1, keepdims=True)
    negatives = np.where(labels, 0.0, probabilities).sum(axis=1, keepdims=True)
    support = np.where(n_negatives > 0, probabilities / np.maximum(probabilities + negatives, EPS), 1.0)
    return support, np.where(n_negatives > 0, (1 - support) / np.maximum(n_negatives, 1), 1.0)


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


def correct_labels(labels: np.ndarray, probabilities: np.ndarray) -> Correction:
    """Labels that are likelier right than not stay; where all of a clip's are not, the likeliest other class.

    Of several labels those that are likelier wrong go. The confidence is the probability that the least
    certain label left is right and the least certain that went is wrong; a clip that carries every class,
    none likely, is left with nothing and confidence 0.

    Args:
        labels: (clips, classes) bool.
        probabilities: (tables, clips, classes), or (clips, classes) of one: sigmoids of predictions by
            networks that did not see these labels.
    """
    tables = probabilities if probabilities.ndim == 3 else probabilities[None]
    noise = fit_noise(*_fitting_clips(tables, labels))
    parts = [_corrected(labels[:0], tables[:, :0], noise)]
    for start in range(0, len(labels), CHUNK_CLIPS):
        rows = slice(start, start + CHUNK_CLIPS)
        parts.append(_corrected(labels[rows], tables[:, rows], noise))
    return Correction(*(np.concatenate(part) for part in zip(*parts, strict=True)), noise.noise_rate)


def _fitting_clips(tables: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Logits and labels to fit the noise on: of clips with labels, all or enough of them."""
    labelled, max_clips = np.flatnonzero(labels.any(axis=1)), FIT_SCORES // labels.shape[1]
    if len(labelled) > max_clips:
        labelled = np.sort(np.random.default_rng(0).choice(labelled, max_clips, replace=False))
    return logits_of(tables[:, labelled]), labels[labelled]


def _corrected(
    labels: np.ndarray, tables: np.ndarray, noise: NoiseModel
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Labels, confidence and trust of some clips."""
    probabilities = noise.class_probabilities(logits_of(tables))
    posterior = noise.posterior(probabilities, labels)

    kept = labels & (posterior >= 0.5 - EPS)  # nothing speaks against it
    removed = labels & ~kept
    all_wrong = 1 - np.where(removed, posterior, 0.0).max(axis=1, initial=0.0)
    new_labels = kept.copy()
    confidence = all_wrong * np.where(kept, posterior, 1.0).min(axis=1, initial=1.0)

    rows = np.flatnonzero(~kept.any(axis=1))
    negatives = np.where(labels[rows], 0.0, probabilities[rows])
    total = negatives.sum(axis=1)
    best, at = negatives.argmax(axis=1), np.arange(len(rows))
    new_labels[rows, best] = total > 0
    confidence[rows] = all_wrong[rows] * negatives[at, best] / np.maximum(total, EPS)
    trust = np.where(labels, posterior, 1.0).min(axis=1, initial=1.0) * labels.any(axis=1)
    return new_labels, confidence, trust
