"""Losses of multi-label tagging: functions of (logits, targets), both (batch, classes).

Targets are 0, 1 or NaN, where nobody knows whether the clip carries the class: such an entry has no part in
the loss and no gradient. All but focal take what lies between, too, as soft labels. All are computed in
float32 (float64 stays) and averaged over clips. A third argument, weights (batch,), multiplies each clip's
loss before the mean over the batch.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

FOCUS = 2.0


def lsep_loss(logits: Tensor, targets: Tensor, weights: Tensor | None = None) -> Tensor:
    """Log-sum-exp pairwise loss: log(1 + sum over negatives i, positives j of exp(s_i - s_j)).

    Args:
        logits: (batch, classes) unnormalised scores s.
        targets: (batch, classes) 0, 1 or NaN.

    The double sum factorises: softplus(logsumexp_i s_i + logsumexp_j -s_j), linear in the classes. Of soft
    labels y a pair counts (1 - y_i) * y_j, a class with itself as well, which pulls at nothing.
    A clip with no known positive or no known negative class contributes 0. Li, Song, Luo 2017,
    arXiv:1704.03135.
    """
    over_negatives, over_positives = _log_sums(logits, targets)
    return _average(functional.softplus(over_negatives + over_positives), weights)


def zlpr_loss(logits: Tensor, targets: Tensor, weights: Tensor | None = None) -> Tensor:
    """Zero-bounded log-sum-exp: log(1 + sum_neg exp(s_i)) + log(1 + sum_pos exp(-s_j)).

    Args:
        logits: (batch, classes) unnormalised scores s.
        targets: (batch, classes) 0, 1 or NaN.

    A rank loss whose zero separates positives from negatives. Of soft labels y a class counts 1 - y in the
    first sum and y in the second. Su et al. 2022, arXiv:2208.02955.
    """
    over_negatives, over_positives = _log_sums(logits, targets)
    return _average(functional.softplus(over_negatives) + functional.softplus(over_positives), weights)


def bce_loss(logits: Tensor, targets: Tensor, weights: Tensor | None = None) -> Tensor:
    """Binary cross entropy of each class, averaged over a clip's known classes, then over clips."""
    logits, targets, unknown = _known(logits, targets)
    entropy = functional.binary_cross_entropy_with_logits(logits, targets, reduction="none")
    return _average(_mean_of_known(entropy, unknown), weights)


def focal_loss(logits: Tensor, targets: Tensor, weights: Tensor | None = None) -> Tensor:
    """Binary cross entropy weighted by (1 - p_true)^2, averaged as bce_loss is.

    Lin et al. 2017, arXiv:1708.02002, focus 2, without class weights.
    """
    logits, targets, unknown = _known(logits, targets)
    entropy = functional.binary_cross_entropy_with_logits(logits, targets, reduction="none")
    missed = torch.sigmoid(torch.where(targets > 0.5, -logits, logits))  # 1 - p_true
    return _average(_mean_of_known(missed**FOCUS * entropy, unknown), weights)


def _average(per_clip: Tensor, weights: Tensor | None) -> Tensor:
    """The mean of (batch,) losses; a clip of weight 0 counts in the batch but pulls nowhere."""
    return per_clip.mean() if weights is None else (weights * per_clip).mean()


def _precise(logits: Tensor) -> Tensor:
    return logits if logits.dtype == torch.float64 else logits.float()


def _known(logits: Tensor, targets: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Logits and targets with 0 in the place of what is unknown, and where that is, (batch, classes)."""
    logits = _precise(logits)
    unknown = targets.isnan()
    return logits.masked_fill(unknown, 0), targets.to(logits.dtype).masked_fill(unknown, 0), unknown


def _mean_of_known(terms: Tensor, unknown: Tensor) -> Tensor:
    """(batch,) means over each clip's known classes; 0 where there is none."""
    n_classes = terms.shape[1]
    n_known = (n_classes - unknown.sum(dim=1)).to(terms.dtype)
    # Where all are known the factor is 1 and the mean the plain one, to the last bit.
    return terms.masked_fill(unknown, 0).mean(dim=1) * (n_classes / n_known.clamp(min=1))


def _log_sums(logits: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """log sum exp(s) over each clip's negatives and log sum exp(-s) over its positives, (batch,).

    Empty sums are a huge negative number, not -inf: softplus gives 0 and gradients stay finite
    without looking for such clips (which would stall a GPU).
    """
    logits, targets, unknown = _known(logits, targets)
    nothing = torch.finfo(logits.dtype).min / 4
    # The logarithm of a whole weight is 0: without soft labels nothing is added.
    negatives, positives = logits + torch.log1p(-targets), targets.log() - logits
    over_negatives = negatives.masked_fill(unknown | (targets == 1), nothing).logsumexp(dim=1)
    over_positives = positives.masked_fill(targets == 0, nothing).logsumexp(dim=1)
    return over_negatives, over_positives


LOSSES = {"lsep": lsep_loss, "bce": bce_loss, "focal": focal_loss, "zlpr": zlpr_loss}
