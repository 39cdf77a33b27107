"""Losses of multi-label tagging: functions of (logits, targets), both (batch, classes).

Targets are multi-hot, 0 or 1. All are computed in float32 (float64 stays) and averaged over clips. A
third argument, weights (batch,), multiplies each clip's loss before the mean over the batch.
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
        targets: (batch, classes) multi-hot, 0 or 1.

    The double sum factorises: softplus(logsumexp_i s_i + logsumexp_j -s_j), linear in the classes.
    A clip with no positive or no negative class contributes 0. Li, Song, Luo 2017, arXiv:1704.03135.
    """
    over_negatives, over_positives = _log_sums(logits, targets)
    return _average(functional.softplus(over_negatives + over_positives), weights)


def zlpr_loss(logits: Tensor, targets: Tensor, weights: Tensor | None = None) -> Tensor:
    """Zero-bounded log-sum-exp: log(1 + sum_neg exp(s_i)) + log(1 + sum_pos exp(-s_j)).

    Args:
        logits: (batch, classes) unnormalised scores s.
        targets: (batch, classes) multi-hot, 0 or 1.

    A rank loss whose zero separates positives from negatives. Su et al. 2022, arXiv:2208.02955.
    """
    over_negatives, over_positives = _log_sums(logits, targets)
    return _average(functional.softplus(over_negatives) + functional.softplus(over_positives), weights)


def bce_loss(logits: Tensor, targets: Tensor, weights: Tensor | None = None) -> Tensor:
    """Binary cross entropy of each class, averaged over classes and clips."""
    logits = _precise(logits)
    targets = targets.to(logits.dtype)
    entropy = functional.binary_cross_entropy_with_logits(logits, targets, reduction="none")
    return _average(entropy.mean(dim=1), weights)


def focal_loss(logits: Tensor, targets: Tensor, weights: Tensor | None = None) -> Tensor:
    """Binary cross entropy weighted by (1 - p_true)^2, averaged over classes and clips.

    Lin et al. 2017, arXiv:1708.02002, focus 2, without class weights.
    """
    logits = _precise(logits)
    targets = targets.to(logits.dtype)
    entropy = functional.binary_cross_entropy_with_logits(logits, targets, reduction="none")
    missed = torch.sigmoid(torch.where(targets > 0.5, -logits, logits))  # 1 - p_true
    return _average((missed**FOCUS * entropy).mean(dim=1), weights)


def _average(per_clip: Tensor, weights: Tensor | None) -> Tensor:
    """The mean of (batch,) losses; a clip of weight 0 counts in the batch but pulls nowhere."""
    return per_clip.mean() if weights is None else (weights * per_clip).mean()


def _precise(logits: Tensor) -> Tensor:
    return logits if logits.dtype == torch.float64 else logits.float()


def _log_sums(logits: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """log sum exp(s) over each clip's negatives and log sum exp(-s) over its positives, (batch,).

    Empty sums are a huge negative number, not -inf: softplus gives 0 and gradients stay finite
    without looking for such clips (which would stall a GPU).
    """
    logits = _precise(logits)
    positive = targets > 0.5
    nothing = torch.finfo(logits.dtype).min / 4
    over_negatives = logits.masked_fill(positive, nothing).logsumexp(dim=1)
    over_positives = (-logits).masked_fill(~positive, nothing).logsumexp(dim=1)
    return over_negatives, over_positives


LOSSES = {"lsep": lsep_loss, "bce": bce_loss, "focal": focal_loss, "zlpr": zlpr_loss}
