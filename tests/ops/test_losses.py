"""Losses: hand-worked values, laws, a pairwise reference, degenerate clips."""

from math import exp, log

import pytest
import torch
from torch import tensor

from ops.losses import LOSSES, bce_loss, focal_loss, lsep_loss, zlpr_loss


def random_batch(seed, clips=16, classes=7, scale=3.0):
    """Logits and targets; the first clip has no label, the second has all of them."""
    generator = torch.Generator().manual_seed(seed)
    logits = scale * torch.randn(clips, classes, generator=generator, dtype=torch.float64)
    targets = (torch.rand(clips, classes, generator=generator) < 0.3).double()
    targets[0], targets[1] = 0, 1
    return logits, targets


def pairwise_lsep(logits, targets):
    """LSEP as its double sum, clip by clip."""
    total = 0.0
    for scores, truth in zip(logits.tolist(), targets.tolist(), strict=True):
        negatives = [s for s, t in zip(scores, truth, strict=True) if t == 0]
        positives = [s for s, t in zip(scores, truth, strict=True) if t == 1]
        total += log(1 + sum(exp(i - j) for i in negatives for j in positives))
    return total / len(logits)


def plain_zlpr(logits, targets):
    total = 0.0
    for scores, truth in zip(logits.tolist(), targets.tolist(), strict=True):
        total += log(1 + sum(exp(s) for s, t in zip(scores, truth, strict=True) if t == 0))
        total += log(1 + sum(exp(-s) for s, t in zip(scores, truth, strict=True) if t == 1))
    return total / len(logits)


@pytest.mark.parametrize(
    "logits, targets, expected",
    [
        ([[0.0, 0.0]], [[1.0, 0.0]], log(2)),
        ([[1.0, 2.0, 3.0]], [[0.0, 1.0, 0.0]], log(1 + exp(-1) + exp(1))),
        ([[1.0, 2.0, 3.0]], [[1.0, 1.0, 0.0]], log(1 + exp(2) + exp(1))),
        ([[0.0, 0.0], [5.0, -5.0]], [[1.0, 0.0], [1.0, 1.0]], log(2) / 2),
        ([[2.0, -1.0]], [[0.0, 0.0]], 0.0),
        ([[1e4, 9e3]], [[0.0, 0.0]], 0.0),
        ([[-1e4, -9e3]], [[1.0, 1.0]], 0.0),
        ([[3.0]], [[1.0]], 0.0),
    ],
)
def test_lsep_exact(logits, targets, expected):
    assert lsep_loss(tensor(logits), tensor(targets)).item() == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    "logits, targets, expected",
    [
        ([[0.0, 0.0]], [[1.0, 0.0]], 2 * log(2)),
        ([[1.0, 2.0, 3.0]], [[0.0, 1.0, 0.0]], log(1 + exp(1) + exp(3)) + log(1 + exp(-2))),
        ([[2.0]], [[0.0]], log(1 + exp(2))),
        ([[2.0]], [[1.0]], log(1 + exp(-2))),
    ],
)
def test_zlpr_exact(logits, targets, expected):
    assert zlpr_loss(tensor(logits), tensor(targets)).item() == pytest.approx(expected, rel=1e-6)


def test_bce_and_focal_exact():
    logits, targets = tensor([[0.0, 0.0], [log(3), -log(3)]]), tensor([[1.0, 0.0], [1.0, 1.0]])
    # p_true: 1/2, 1/2, 3/4, 1/4
    assert bce_loss(logits, targets).item() == pytest.approx((2 * log(2) + log(4 / 3) + log(4)) / 4)
    expected = (2 * log(2) / 4 + log(4 / 3) / 16 + log(4) * 9 / 16) / 4
    assert focal_loss(logits, targets).item() == pytest.approx(expected)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("loss, reference", [(lsep_loss, pairwise_lsep), (zlpr_loss, plain_zlpr)])
def test_equals_the_double_sum(loss, reference, seed):
    logits, targets = random_batch(seed)
    assert loss(logits, targets).item() == pytest.approx(reference(logits, targets), rel=1e-12)


def test_registry_names_the_losses():
    assert LOSSES == {"lsep": lsep_loss, "bce": bce_loss, "focal": focal_loss, "zlpr": zlpr_loss}


@pytest.mark.parametrize("name", LOSSES)
def test_zero_when_ranking_is_perfect_and_wide(name):
    targets = tensor([[1.0, 0.0, 1.0], [0.0, 0.0, 1.0]])
    assert LOSSES[name](200 * (2 * targets - 1), targets).item() == 0
    assert LOSSES[name](200 * (1 - 2 * targets), targets).item() > 50


@pytest.mark.parametrize("name", LOSSES)
def test_order_of_clips_and_classes_does_not_matter(name):
    logits, targets = random_batch(0)
    generator = torch.Generator().manual_seed(1)
    clips = torch.randperm(logits.shape[0], generator=generator)
    classes = torch.randperm(logits.shape[1], generator=generator)
    shuffled = LOSSES[name](logits[clips][:, classes], targets[clips][:, classes])
    torch.testing.assert_close(shuffled, LOSSES[name](logits, targets))


@pytest.mark.parametrize("name", LOSSES)
def test_is_the_mean_over_clips(name):
    logits, targets = random_batch(2)
    each = torch.stack([LOSSES[name](logits[i : i + 1], targets[i : i + 1]) for i in range(len(logits))])
    torch.testing.assert_close(LOSSES[name](logits, targets), each.mean())


def test_only_lsep_ignores_a_shift_of_a_clips_scores():
    logits, targets = random_batch(3)
    shift = torch.linspace(-2, 2, len(logits), dtype=torch.float64)[:, None]
    torch.testing.assert_close(lsep_loss(logits + shift, targets), lsep_loss(logits, targets))
    for name in ("zlpr", "bce", "focal"):
        difference = LOSSES[name](logits + shift, targets) - LOSSES[name](logits, targets)
        assert difference.abs() > 1e-3, name


@pytest.mark.parametrize("name", LOSSES)
def test_gradient_is_the_slope(name):
    logits, targets = random_batch(4, clips=4, classes=5)
    assert torch.autograd.gradcheck(lambda x: LOSSES[name](x, targets), logits.requires_grad_())


def test_lsep_gradient_pulls_positives_up_and_negatives_down():
    logits, targets = random_batch(5)
    logits.requires_grad_()
    lsep_loss(logits, targets).backward()
    assert (logits.grad[0] == 0).all() and (logits.grad[1] == 0).all()  # no label, all labels
    gradient, truth = logits.grad[2:], targets[2:]
    ranked = (truth.sum(1) > 0)[:, None]
    assert (gradient[(truth == 1) & ranked] < 0).all()
    assert (gradient[(truth == 0) & ranked] > 0).all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize("name", LOSSES)
def test_huge_logits_give_finite_loss_and_gradient(name, dtype):
    logits = tensor([[1e4, -1e4, 1e4, 0.0]] * 4, dtype=dtype).requires_grad_()
    targets = tensor([[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 0], [1, 1, 1, 1]], dtype=torch.float32)
    loss = LOSSES[name](logits, targets)
    loss.backward()
    assert loss.isfinite() and logits.grad.isfinite().all() and logits.grad.dtype == dtype


def test_lsep_of_huge_logits_is_the_largest_violation():
    loss = lsep_loss(tensor([[1e4, -1e4, 0.0]]), tensor([[0.0, 1.0, 0.0]]))
    assert loss.item() == pytest.approx(2e4)


@pytest.mark.parametrize("name", LOSSES)
def test_half_precision_is_computed_in_float32(name):
    logits, targets = random_batch(6)
    half = logits.half()
    loss = LOSSES[name](half, targets)
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, LOSSES[name](half.float(), targets), rtol=0, atol=0)


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("dtype", [torch.bool, torch.int64, torch.float64])
def test_targets_of_any_type(name, dtype):
    logits, targets = random_batch(7)
    logits = logits.float()
    expected = LOSSES[name](logits, targets.float())
    torch.testing.assert_close(LOSSES[name](logits, targets.to(dtype)), expected, rtol=0, atol=0)


@pytest.mark.parametrize("truth", [0.0, 1.0])
def test_one_class_cannot_be_ranked(truth):
    logits = tensor([[2.5]], requires_grad=True)
    loss = lsep_loss(logits, tensor([[truth]]))
    loss.backward()
    assert loss.item() == 0 and logits.grad.item() == 0


@pytest.mark.parametrize("name", LOSSES)
def test_weights_multiply_each_clips_loss(name):
    logits, targets = random_batch(3)
    weights = torch.linspace(0, 1, len(logits), dtype=logits.dtype)
    alone = torch.stack([LOSSES[name](logits[i : i + 1], targets[i : i + 1]) for i in range(len(logits))])
    torch.testing.assert_close(LOSSES[name](logits, targets, weights), (weights * alone).mean())
    ones = LOSSES[name](logits, targets, torch.ones_like(weights))
    torch.testing.assert_close(ones, LOSSES[name](logits, targets), rtol=0, atol=0)
