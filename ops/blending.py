"""Several models' predictions made one: means of several kinds, and weights fitted with a guard."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.special import expit, logit
from scipy.stats import rankdata

from ops.folds import stratified_folds
from ops.metrics import bootstrap_interval, lrap_per_clip

ROUNDS = 50  # of the fit: models added, so weights have steps of 0.02
RESAMPLINGS = 1000


def arithmetic_mean(scores: np.ndarray) -> np.ndarray:
    """(models, clips, classes) probabilities -> (clips, classes), their plain mean."""
    return scores.mean(axis=0)


def geometric_mean(scores: np.ndarray) -> np.ndarray:
    """exp of the mean log; 0 where any model says 0."""
    with np.errstate(divide="ignore"):
        return np.exp(np.log(scores).mean(axis=0)).clip(0, 1)


def logit_mean(scores: np.ndarray) -> np.ndarray:
    """Sigmoid of the mean logit, the geometric mean of the odds.

    LSEP leaves each clip's logits free up to a shift: this mean is the one whose ranking of a clip's
    classes no such shift changes. Probabilities count as at least 1e-15 from 0 and 1.
    """
    return expit(logit(scores.clip(1e-15, 1 - 1e-15)).mean(axis=0))


def rank_mean(scores: np.ndarray) -> np.ndarray:
    """Mean of the classes' ranks within each clip, scaled to (0, 1): (rank - 1/2) / classes.

    The ranking that every loss here trains and that lwlrap measures. Tied classes share their mean rank.
    """
    return ((rankdata(scores, axis=2) - 0.5) / scores.shape[2]).mean(axis=0)


def clip_rank_mean(scores: np.ndarray) -> np.ndarray:
    """Mean of the clips' ranks within each class, scaled to (0, 1): (rank - 1/2) / clips.

    For models whose scores compare between clips (bce, focal, zlpr; LSEP's are not made to) and for
    measures that rank the clips of a class, as average precision does. The result depends on which clips
    are predicted, and makes every class equally frequent among them, whatever the models say.
    """
    return ((rankdata(scores, axis=1) - 0.5) / scores.shape[1]).mean(axis=0)


MEANS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "mean": arithmetic_mean,
    "geometric": geometric_mean,
    "logit": logit_mean,
    "rank": rank_mean,
    "clip_rank": clip_rank_mean,
}


def weighted_mean(weights: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """(models,) weights and (models, clips, classes) -> (clips, classes)."""
    return np.tensordot(weights, scores, axes=1)


def fit_weights(truth: np.ndarray, scores: np.ndarray, rounds: int = ROUNDS) -> np.ndarray:
    """(models,) weights, at least 0 and of sum 1, under which the weighted mean's lwlrap is high.

    Forward selection with replacement (Caruana et al. 2004, Ensemble Selection from Libraries of Models):
    from none on, the model is added again and again that helps the sum most; the best sum on the way
    counts, the earliest of equals, or the plain mean where none beats it. So the result is here never
    worse than the plain mean or than any one model.

    Args:
        truth: (clips, classes) 0, 1 or NaN (unknown), each clip with at least one label.
        scores: (models, clips, classes).
    """
    clips, labels = np.nonzero(truth > 0.5)
    positives, known = truth[clips] > 0.5, ~np.isnan(truth[clips])
    of_pairs = scores[:, clips]  # (models, pairs, classes): a row for each label of each clip
    pairs = np.arange(len(clips))

    def quality(total: np.ndarray) -> float:
        """lwlrap: the mean precision at each label's rank."""
        reached = (total >= total[pairs, labels][:, None]) & known
        return float(((reached & positives).sum(axis=1) / reached.sum(axis=1)).mean())

    best_counts = np.ones(len(scores), dtype=np.int64)
    best = quality(of_pairs.sum(axis=0))
    counts, total = np.zeros_like(best_counts), np.zeros_like(of_pairs[0])
    for _ in range(rounds):
        found = [quality(total + model) for model in of_pairs]
        chosen = int(np.argmax(found))
        counts[chosen] += 1
        total += of_pairs[chosen]
        if found[chosen] > best:
            best, best_counts = found[chosen], counts.copy()
    return best_counts / best_counts.sum()


@dataclass(frozen=True)
class Fit:
    """weights (models,) fitted on all clips, and what they are worth: lwlraps over the same clips.

    mean: of the plain mean. fitted: of these weights where they were fitted, which flatters. nested: of
    weights fitted without the clips that they are scored on. low and high: 95 % interval of nested - mean
    over clips.
    """

    weights: np.ndarray
    mean: float
    fitted: float
    nested: float
    low: float
    high: float

    @property
    def is_worth_it(self) -> bool:
        """Whether fitted weights beat the plain mean on clips that they have not seen, beyond chance."""
        return self.low > 0


def fit_with_guard(truth: np.ndarray, scores: np.ndarray, n_folds: int, seed: int) -> Fit:
    """Weights fitted on all clips, and on n_folds - 1 of n_folds parts of them to score the rest.

    Args:
        truth: (clips, classes) 0, 1 or NaN (unknown), each clip with a label.
        scores: (models, clips, classes), out of fold: of models that were not trained on these clips.
        n_folds: parts, over which each class is spread evenly.
        seed: of the parts and of the interval.
    """
    counts = (truth > 0.5).sum(axis=1)
    nested = np.empty(scores.shape[1:])
    for training, held_out in stratified_folds(np.nan_to_num(truth), n_folds, seed):
        weights = fit_weights(truth[training], scores[:, training])
        nested[held_out] = weighted_mean(weights, scores[:, held_out])
    weights = fit_weights(truth, scores)
    sums = {
        name: lrap_per_clip(truth, blend) * counts
        for name, blend in (
            ("mean", arithmetic_mean(scores)),
            ("fitted", weighted_mean(weights, scores)),
            ("nested", nested),
        )
    }
    low, high = bootstrap_interval(sums["nested"] - sums["mean"], counts, RESAMPLINGS, seed)
    return Fit(weights, *(float(sums[name].sum() / counts.sum()) for name in sums), low, high)
