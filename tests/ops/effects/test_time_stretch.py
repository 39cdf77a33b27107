"""Time stretching, splice by splice, against a slow loop."""

import numpy as np
import pytest
import torch

from ops.effects import time_stretch as stretching
from ops.effects.time_stretch import OVERLAP, REACH, SEGMENT, TRANSFORM
from tones import noise, tone


def test_stretching_by_nothing_changes_nothing():
    signal = torch.from_numpy(noise(30_000))[None]
    assert stretching.time_stretch(signal, np.ones(1), 30_000).equal(signal)


def slow_stretch(audio, speed, n_samples):
    """Splice by splice, every place within reach tried."""
    result, ahead, source, start = list(audio[:SEGMENT]), 0, SEGMENT, 0
    while len(result) < n_samples:
        start += 1
        old = audio[source : source + OVERLAP]
        nominal = round(start * SEGMENT * speed)

        def misfit(late, old=old, nominal=nominal):
            new = audio[nominal + late : nominal + late + OVERLAP]
            return ((old - new) ** 2).sum() + 1e-3 * (old**2).sum() * abs(late) / (2 * REACH)

        late = min(range(-REACH - ahead, REACH - ahead + 1), key=misfit)
        fade = (np.arange(OVERLAP) + 0.5) / OVERLAP
        arrived = nominal + late
        result += list(old + fade * (audio[arrived : arrived + OVERLAP] - old))
        source = nominal + SEGMENT
        result += list(audio[arrived + OVERLAP : source])
        ahead += late
    return np.array(result[:n_samples])


@pytest.mark.parametrize("speed", [0.76, 0.95, 1.3])
def test_stretching_is_splice_by_splice_what_a_slow_loop_does(speed):
    audio = noise(40_000) + tone(330, 1)[:40_000]
    n_samples = int(30_000 / speed)
    found = stretching.time_stretch(torch.from_numpy(audio)[None], np.array([speed]), n_samples)[0]
    np.testing.assert_allclose(found, slow_stretch(audio.astype(np.float64), speed, n_samples), atol=1e-5)


@pytest.mark.parametrize("n_splices", [1, 2, 31, 32])
def test_splices_are_the_best_within_reach_of_those_before(n_splices):
    misfits = torch.rand(3, n_splices, 4 * REACH + 1, generator=torch.Generator().manual_seed(0))
    found = stretching._choose(misfits).diff(dim=1)
    for row in range(3):
        ahead = 0
        for splice in range(n_splices):
            allowed = range(-REACH - ahead, REACH - ahead + 1)
            best = min(allowed, key=lambda late: float(misfits[row, splice, late + 2 * REACH]))
            assert found[row, splice] == best
            ahead += best


def test_misfit_is_the_squared_difference_of_what_overlaps():
    signal = torch.from_numpy(noise(12_000))[None]
    starts = torch.tensor([[[3000]], [[5000 - 2 * REACH - 1]]])
    found = stretching._misfits(stretching._pieces(signal[0], starts, TRANSFORM))[0, 0]
    old = signal[0, 3000 : 3000 + OVERLAP]
    for late in (-2 * REACH, -17, 0, 300, 2 * REACH):
        new = signal[0, 5000 + late : 5000 + late + OVERLAP]
        expected = float((old - new).square().sum() + old.square().sum() * (1e-3 * abs(late) / (2 * REACH)))
        expected -= float(old.square().sum())  # the same for every place, so left out
        assert float(found[late + 2 * REACH]) == pytest.approx(expected, rel=1e-3)
