"""Losses where nobody knows whether a clip carries a class: targets of NaN."""

from math import exp, log

import pytest
import torch
from torch.nn import functional

from ops.losses import FOCUS, LOSSES


def random_batch(seed, dtype=torch.float64):
    """Logits and targets: of clip 0 nothing is known, of clip 1 no positive, of clip 2 no negative."""
    generator = torch.Generator().manual_seed(seed)
    logits = (3 * torch.randn(12, 6, generator=generator)).to(dtype)
    drawn = torch.rand(12, 6, generator=generator)
    targets = (drawn < 0.3).to(dtype).masked_fill(drawn > 0.7, torch.nan)
    targets[0] = torch.nan
    targets[1] = torch.tensor([0, torch.nan] * 3)
    targets[2] = torch.tensor([1, torch.nan] * 3)
    return logits, targets


def cross_entropy(score, target):
    return log(1 + exp(-score if target else score))


def slow_loss(name, scores, targets):
    """One clip's loss, over the (score, target) pairs that are known."""
    known = [(s, t) for s, t in zip(scores, targets, strict=True) if t == t]
    negatives, positives = ([s for s, t in known if t == value] for value in (0, 1))
    if name == "lsep":
        return log(1 + sum(exp(i - j) for i in negatives for j in positives))
    if name == "zlpr":
        return log(1 + sum(map(exp, negatives))) + log(1 + sum(exp(-s) for s in positives))
    focus = FOCUS if name == "focal" else 0
    terms = [(1 - exp(-cross_entropy(s, t))) ** focus * cross_entropy(s, t) for s, t in known]
    return sum(terms) / len(terms) if terms else 0.0


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("name", LOSSES)
def test_what_nobody_knows_is_left_out(name, seed):
    logits, targets = random_batch(seed)
    expected = [slow_loss(name, *clip) for clip in zip(logits.tolist(), targets.tolist(), strict=True)]
    assert LOSSES[name](logits, targets).item() == pytest.approx(sum(expected) / 12, rel=1e-12)
    weights = torch.rand(12, generator=torch.Generator().manual_seed(seed)).double()
    weighted = sum(w * loss for w, loss in zip(weights.tolist(), expected, strict=True)) / 12
    assert LOSSES[name](logits, targets, weights).item() == pytest.approx(weighted, rel=1e-12)


@pytest.mark.parametrize("score", [0.0, 3e38, -3e38, torch.inf, torch.nan])
@pytest.mark.parametrize("name", LOSSES)
def test_an_unknown_entry_has_no_gradient_whatever_its_score(name, score):
    logits, targets = random_batch(0, torch.float32)
    unknown = targets.isnan()
    other = logits.masked_fill(unknown, score).requires_grad_()
    loss = LOSSES[name](other, targets)
    loss.backward()
    assert torch.equal(loss, LOSSES[name](logits, targets))
    assert other.grad.isfinite().all() and (other.grad[unknown] == 0).all()
    assert (other.grad[3:][~unknown[3:]] != 0).any()


@pytest.mark.parametrize("name", LOSSES)
def test_a_clip_of_which_nothing_is_known_contributes_nothing(name):
    logits = torch.tensor([[1.0, -2.0, 30.0]], requires_grad=True)
    loss = LOSSES[name](logits, torch.full((1, 3), torch.nan))
    loss.backward()
    assert loss.item() == 0 and logits.grad.tolist() == [[0, 0, 0]]


def as_before(name, logits, targets):
    """The losses of targets that are all known, as they were before any could be unknown."""
    logits = logits.float()
    positive = targets > 0.5
    if name in ("lsep", "zlpr"):
        nothing = torch.finfo(logits.dtype).min / 4
        negatives = logits.masked_fill(positive, nothing).logsumexp(dim=1)
        positives = (-logits).masked_fill(~positive, nothing).logsumexp(dim=1)
        if name == "lsep":
            return functional.softplus(negatives + positives).mean()
        return (functional.softplus(negatives) + functional.softplus(positives)).mean()
    entropy = functional.binary_cross_entropy_with_logits(logits, targets.float(), reduction="none")
    missed = torch.sigmoid(torch.where(positive, -logits, logits))
    return (missed**FOCUS * entropy if name == "focal" else entropy).mean(dim=1).mean()


@pytest.mark.parametrize("shape", [(1, 1), (16, 7), (33, 80), (5, 527)])
@pytest.mark.parametrize("name", LOSSES)
def test_where_all_is_known_loss_and_gradient_are_what_they_were_to_the_last_bit(name, shape):
    generator = torch.Generator().manual_seed(7)
    for dtype in (torch.bool, torch.int64, torch.float32):
        logits = 5 * torch.randn(*shape, generator=generator)
        targets = (torch.rand(*shape, generator=generator) < 0.2).to(dtype)
        here, before = logits.clone().requires_grad_(), logits.clone().requires_grad_()
        found, expected = LOSSES[name](here, targets), as_before(name, before, targets)
        found.backward()
        expected.backward()
        assert torch.equal(found, expected) and torch.equal(here.grad, before.grad)
