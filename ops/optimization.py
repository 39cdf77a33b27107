"""Optimizers by name, and learning rates by descriptor."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from torch import nn
    from torch.optim import Optimizer

# torch is imported where an optimizer is made: the grammar alone needs none, and torch takes seconds to load.


def adam(parameters: Iterable[nn.Parameter], lr: float, weight_decay: float) -> Optimizer:
    """Adam with AMSGrad."""
    from torch.optim import Adam

    return Adam(parameters, lr=lr, weight_decay=weight_decay, amsgrad=True, fused=True)


def momentum(parameters: Iterable[nn.Parameter], lr: float, weight_decay: float) -> Optimizer:
    """SGD with Nesterov momentum 0.9."""
    from torch.optim import SGD

    return SGD(parameters, lr=lr, weight_decay=weight_decay, momentum=0.9, nesterov=True, fused=True)


OPTIMIZERS = {"adam": adam, "momentum": momentum}
GRAMMAR = "1cycle_<min>_<max> (as 1cycle_0.0001_0.005) or steplr_<epochs>_<gamma> (as steplr_1_0.5)"
WARM_UP_FRACTION = 0.3  # of a 1cycle's steps; it ends towards min / FINAL_DIVISOR
FINAL_DIVISOR = 1000


def make_optimizer(
    name: str, parameters: Iterable[nn.Parameter], lr: float, weight_decay: float
) -> Optimizer:
    """`adam`: Adam with AMSGrad; `momentum`: SGD with Nesterov momentum 0.9."""
    if name not in OPTIMIZERS:
        raise ValueError(f"optimizer: expected one of {sorted(OPTIMIZERS)}, got {name!r}")
    return OPTIMIZERS[name](parameters, lr, weight_decay)


def parse_scheduler(descriptor: str) -> tuple[str, float, float]:
    """("1cycle", min, max) or ("steplr", epochs, gamma); ValueError with the grammar otherwise."""
    number = r"([0-9]+(?:\.[0-9]*)?(?:[eE][-+]?[0-9]+)?|\.[0-9]+(?:[eE][-+]?[0-9]+)?)"
    match = re.fullmatch(rf"(1cycle|steplr)_{number}_{number}", descriptor, flags=re.ASCII)
    if not match:
        raise ValueError(f"scheduler: expected {GRAMMAR}, got {descriptor!r}")
    name, first, second = match[1], float(match[2]), float(match[3])
    if not (math.isfinite(first) and math.isfinite(second)):
        raise ValueError(f"scheduler: expected finite numbers, got {descriptor!r}")
    if name == "1cycle" and not 0 <= first <= second:
        raise ValueError(f"scheduler: expected 0 <= min <= max in 1cycle_<min>_<max>, got {descriptor!r}")
    if name == "steplr" and (first < 1 or first != int(first) or second <= 0):
        raise ValueError(
            "scheduler: expected whole epochs of at least 1 and gamma above 0 in "
            f"steplr_<epochs>_<gamma>, got {descriptor!r}"
        )
    return name, first, second


def learning_rates(descriptor: str, steps: int, steps_per_epoch: int, base_lr: float) -> np.ndarray:
    """The learning rate of each optimizer step t = 0 .. steps - 1, float64 (steps,).

    `1cycle_<min>_<max>`: linear from min to max over the first round(0.3 steps) steps, then linear
    from max towards min / 1000 (reached at t = steps); base_lr is not used. Smith 2018,
    arXiv:1803.09820. `steplr_<epochs>_<gamma>`: base_lr, times gamma after every so many epochs.
    """
    name, first, second = parse_scheduler(descriptor)
    step = np.arange(steps)
    if name == "steplr":
        epoch = step // max(steps_per_epoch, 1)
        return base_lr * second ** (epoch // first)  # first is whole, and may exceed any integer type
    low, high, turn = first, second, round(WARM_UP_FRACTION * steps)
    rising = low + (high - low) * step / max(turn, 1)
    falling = high + (low / FINAL_DIVISOR - high) * (step - turn) / max(steps - turn, 1)
    return np.where(step < turn, rising, falling)
