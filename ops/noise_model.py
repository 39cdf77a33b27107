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

Wrong labels of look-alikes are learned like right ones: a network trained on them finds the given labels as
likely as they are, and a fit on its predictions finds none wrong; not so on those of a network that saw few
of them. So where one table alone finds many more wrong than all together do, as many are taken for wrong, and
the chances that one class is labelled as another are fitted, too, in place of even ones (Sukhbaatar et al.
2015, arXiv:1406.2080). That must make the labels likelier by more than networks' own confusions do on even
noise: in one table alone those look the same as confusions of labels.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ops.logits import logits_of
from ops.noise_likelihood import (
    CONFUSION_CLIPS,
    EPS,
    likeliest_confusions,
    likeliest_noise_rate,
    softmax,
    support_of_labels,
)

STARTS = (20.0, 3.0, 0.5, 0.1)  # of the sum of the scales, where a logit's standard deviation is 1
MAX_SCALE = 100.0  # of one scale, likewise
SUBSET_CLIPS = 1_000
FIT_SCORES = 800_000  # clips x classes: a random choice of so many clips gives the noise rate to 0.01
EVIDENCE, EVIDENCE_PER_TABLE = 3.0, 1.0  # nats; chance alone gave up to 2.4 in 110 draws of noise
MIN_HIDDEN = 0.05  # e of one table alone above that of all together, for confusions to be looked for
CONFUSION_STEPS, TOLERANCE = 20, 1e-4  # at most; and the gain, in nats a clip, below which they end
CONFUSION_EVIDENCE = 0.05  # nats a clip; networks' own confusions gave 0.01 to 0.03 of even noise
ROUNDING = 1e-9  # a probability computed as 0.49999999999999994 is the 0.5 asked for
CHUNK_CLIPS = 65_536  # bounds the memory of whole-table passes


@dataclass(frozen=True)
class NoiseModel:
    """scales (tables,) of the logits, and the noise rate e; NaN where predictions tell nothing.

    confusions: (classes, classes), or None where they are even: the chance that a wrong label of a clip of
    this class (row) is that one (column); 0 in the diagonal.
    """

    scales: np.ndarray
    noise_rate: float
    confusions: np.ndarray | None = None

    def class_probabilities(self, logits: np.ndarray) -> np.ndarray:
        """(tables, clips, classes) -> (clips, classes) probability that a right label is this one."""
        return softmax(np.tensordot(self.scales, logits, 1))

    def posterior(self, probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """(clips, classes) probability that each label is right; 0 for classes that the clip lacks."""
        support, by_chance = support_of_labels(probabilities, labels, self.confusions)
        noise_rate = 0.5 if np.isnan(self.noise_rate) else self.noise_rate
        right, chance = (1 - noise_rate) * support, noise_rate * by_chance
        return np.where(labels, right / np.maximum(right + chance, EPS), 0.0)

    def replacements(self, probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """(clips, classes) that the class is right where none of the clip's labels is; each sum 1, or 0."""
        others = np.where(labels, 0.0, probabilities)
        if self.confusions is not None:
            confused = labels @ self.confusions.T  # that a wrong label of this class is one of these
            others = others * np.where(labels.any(axis=1, keepdims=True), confused, 1.0)
        return others / np.maximum(others.sum(axis=1, keepdims=True), EPS)


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
    """The likeliest scales and noise rate, confusions where they show; every clip with labels counts once.

    A table that adds nothing to the others gets scale 0; where none is informative all do. Confusions show
    where one of several tables finds more labels wrong than all of them, and where they are strong enough.

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
    found = _fit_even(logits, labels, starts)
    if n_tables > 1:
        hidden = max(_hidden_noise_rate(table[None], labels, found.noise_rate) for table in logits)
        if hidden:
            scales, confusions, gain = _fit_confusions(logits, labels, hidden)
            if gain > max(CONFUSION_EVIDENCE * labels.any(axis=1).sum(), _evidence(n_tables)):
                return NoiseModel(scales / spreads, hidden, confusions)
    return NoiseModel(found.scales / spreads, found.noise_rate)


def _fit_even(logits: np.ndarray, labels: np.ndarray, starts: Sequence[np.ndarray]) -> _Fit:
    found = _fit(logits, labels, starts)
    if found.noise_rate > 0.5:
        bounded = _fit(logits, labels, [*starts, found.scales], noise_rates=(0.0, 0.5))
        if found.log_posterior < bounded.log_posterior + _evidence(len(logits)):
            return bounded
    return found


def _hidden_noise_rate(logits: np.ndarray, labels: np.ndarray, found: float) -> float:
    """e by one table, on some of the clips; 0 where that is hardly above this one, or nothing is told."""
    step = -(-len(labels) // SUBSET_CLIPS)
    logits, labels = logits[:, ::step], labels[::step]
    starts = [np.full(1, start) for start in STARTS]
    alone = _fit_even(logits, labels, starts).noise_rate
    return alone if alone > found + MIN_HIDDEN and _are_informative(logits, labels, starts) else 0.0


def _fit_confusions(
    logits: np.ndarray, labels: np.ndarray, noise_rate: float
) -> tuple[np.ndarray, np.ndarray, float]:
    """Scales and confusions at this e, by turns as EM does, and the log-posterior that they gain."""
    n_tables, n_classes = len(logits), labels.shape[1]
    confusions = (1 - np.eye(n_classes)) / (n_classes - 1)
    starts = [np.full(n_tables, start / n_tables) for start in STARTS]
    even = best = _fit(logits, labels, starts, (noise_rate, noise_rate))
    for _ in range(CONFUSION_STEPS):
        probabilities = softmax(np.tensordot(best.scales, logits, 1))
        update = likeliest_confusions(probabilities, labels, noise_rate, confusions)
        found = _fit(logits, labels, [best.scales], (noise_rate, noise_rate), update)
        prior = CONFUSION_CLIPS / (n_classes - 1) * np.log(update * (n_classes - 1) + np.eye(n_classes)).sum()
        found = found._replace(log_posterior=found.log_posterior + prior)
        if found.log_posterior < best.log_posterior + TOLERANCE * labels.any(axis=1).sum():
            break
        best, confusions = found, update
    return best.scales, confusions, best.log_posterior - even.log_posterior


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
    logits: np.ndarray,
    labels: np.ndarray,
    starts: Sequence[np.ndarray],
    noise_rates: tuple[float, float] = (0.0, 1.0),
    confusions: np.ndarray | None = None,
) -> _Fit:
    """The likeliest scales that are reached from any of the starts, and the e, in bounds, of these."""
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
        found = support_of_labels(probabilities, labels, confusions)
        support, by_chance = (values[rows, columns] for values in found)
        noise_rate = np.clip(likeliest_noise_rate(support, by_chance, weights), *noise_rates)  # concave in e
        return probabilities, support, by_chance, float(noise_rate)

    def loss(scales: np.ndarray) -> tuple[float, np.ndarray]:
        """Negative log-posterior per clip at the best e, and its slope, in which that e counts as fixed."""
        probabilities, support, by_chance, noise_rate = parts(scales)
        likelihood = np.maximum((1 - noise_rate) * support + noise_rate * by_chance, EPS)
        total = (weights * np.log(likelihood)).sum() + np.log(max(noise_rate * (1 - noise_rate), EPS))
        # The support of a label is a softmax over itself and the classes that are none of the clip's.
        negatives = np.where(labels, 0.0, probabilities)
        negatives /= np.maximum(negatives.sum(axis=1, keepdims=True), EPS)
        of_negatives = np.einsum("nc,tnc->tn", negatives, logits)[:, rows]
        of_support = support * (1 - support) * (positives - of_negatives)
        of_chance = -of_support / n_negatives
        if confusions is not None:
            of_confused = [(negatives * table @ confusions)[rows, columns] for table in logits]
            of_confused = np.stack(of_confused) * (1 - support) * (n_classes - 1) / n_negatives
            of_chance = of_confused - by_chance * (of_negatives + support * (positives - of_negatives))
        slope = (1 - noise_rate) * of_support + noise_rate * of_chance
        return float(-total / n_clips), -(slope * weights / likelihood).sum(axis=1) / n_clips

    bounds = [(0.0, MAX_SCALE)] * len(logits)
    found = [minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds) for start in starts]
    best = min(
        found, key=lambda result: round(result.fun, 9)
    )  # of equally good ones the first, with the largest scales
    return _Fit(best.x, parts(best.x)[3], -best.fun * n_clips)


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
    noise, parts = _in_chunks(_corrected, labels, probabilities)
    return Correction(*parts, noise.noise_rate)


def doubt_labels(
    labels: np.ndarray, probabilities: np.ndarray, min_probability: float
) -> tuple[np.ndarray, np.ndarray, float]:
    """Which labels are right with at least this probability, and what else a clip may hold.

    Returns:
        (clips, classes) bool of the labels that are sure; likewise of what nobody knows: the clips' other
        labels, and classes that a clip does not carry, but of which class_probabilities says that they are
        right with at least this probability, and likelier than not: labels that may be missing; and e.
    """

    def doubt(labels: np.ndarray, tables: np.ndarray, noise: NoiseModel) -> tuple[np.ndarray, np.ndarray]:
        by_class = noise.class_probabilities(logits_of(tables))
        sure = labels & (noise.posterior(by_class, labels) >= min_probability - ROUNDING)
        likely = (by_class >= min_probability - ROUNDING) & (by_class > 0.5 + ROUNDING)
        return sure, np.where(labels, ~sure, likely)

    noise, (sure, unknown) = _in_chunks(doubt, labels, probabilities)
    return sure, unknown, noise.noise_rate


def _in_chunks(
    judge: Callable[[np.ndarray, np.ndarray, NoiseModel], tuple[np.ndarray, ...]],
    labels: np.ndarray,
    probabilities: np.ndarray,
) -> tuple[NoiseModel, list[np.ndarray]]:
    """The noise that fits, and what is judged by it, a chunk of the clips at a time."""
    tables = probabilities if probabilities.ndim == 3 else probabilities[None]
    noise = fit_noise(*_fitting_clips(tables, labels))
    parts = [judge(labels[:0], tables[:, :0], noise)]
    for start in range(0, len(labels), CHUNK_CLIPS):
        rows = slice(start, start + CHUNK_CLIPS)
        parts.append(judge(labels[rows], tables[:, rows], noise))
    return noise, [np.concatenate(part) for part in zip(*parts, strict=True)]


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
    others = noise.replacements(probabilities[rows], labels[rows])
    best, at = others.argmax(axis=1), np.arange(len(rows))
    new_labels[rows, best] = others[at, best] > 0
    confidence[rows] = all_wrong[rows] * others[at, best]
    trust = np.where(labels, posterior, 1.0).min(axis=1, initial=1.0) * labels.any(axis=1)
    return new_labels, confidence, trust
