"""The parts of the effects chain in torch, each against a slow loop or a law."""

import numpy as np
import pytest
import torch

from ops.effects import time_stretch as stretching
from ops.effects.chain import overdrive
from ops.effects.resampling import HOP, filter_and_resample
from ops.effects.reverb import ALLPASS_DELAYS, COMB_DELAYS, comb_feedback, room_responses
from ops.effects.time_stretch import OVERLAP, REACH, SEGMENT
from ops.sampling import SAMPLE_RATE

CPU = torch.device("cpu")
IMPULSE = torch.eye(1, 4)  # a response that changes nothing


def tone(hz, seconds=1.0, level=0.3):
    time = np.arange(int(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    return (level * np.sin(2 * np.pi * hz * time)).astype(np.float32)


def noise(n_samples, seed=0, level=0.3):
    return np.random.default_rng(seed).uniform(-level, level, n_samples).astype(np.float32)


def freeverb(n_samples, reverberance, room_scale, stereo_depth):
    """The mean of both channels' responses, sample by sample."""
    scale, feedback = 0.1 + 0.9 * room_scale / 100, float(comb_feedback(reverberance))
    channels = []
    for shift in (0, 12 * stereo_depth / 100):
        wet = np.zeros(n_samples)
        for number, delay in enumerate(COMB_DELAYS):
            size = int(scale * (delay + (-1) ** number * shift) + 0.5)
            line, stored = [0.0] * size, 0.0
            for n in range(n_samples):
                out = line[n % size]
                stored = 0.65 * out + 0.35 * stored
                line[n % size] = (n == 0) + feedback * stored
                wet[n] += out
        for number, delay in enumerate(ALLPASS_DELAYS):
            size = int(delay + (-1) ** number * shift + 0.5)
            line = [0.0] * size
            for n in range(n_samples):
                out = line[n % size]
                line[n % size] = wet[n] + 0.5 * out
                wet[n] = out - wet[n]
        channels.append(0.015 * wet)
    return np.mean(channels, axis=0) + np.eye(1, n_samples)[0]


def test_responses_are_those_of_the_network_of_combs_and_allpasses():
    rooms = np.array([(0, 0, 0), (50, 50, 0), (37, 21, 50)], dtype=float)
    found = room_responses(*rooms.T, CPU)
    for response, room in zip(found, rooms, strict=True):
        np.testing.assert_allclose(response[:5000], freeverb(5000, *room), atol=1e-5)


def test_feedback_goes_from_the_least_to_the_most():
    np.testing.assert_allclose(comb_feedback(np.array([0.0, 50.0, 100.0])), [0.3, 0.8817, 0.98], atol=1e-4)


@pytest.mark.parametrize("speed", [0.84, 0.9, 1.0, 1.0594631, 1.19])
@pytest.mark.parametrize("hz", [50, 1000, 9000, 15000])
def test_tone_read_at_another_speed_is_a_tone(hz, speed):
    """Over more than two blocks, in phase to the end; what would be beyond Nyquist is gone."""
    n_samples = 2 * HOP + 3000
    signal = torch.from_numpy(tone(hz, 4, level=1.0))[None, : int(n_samples * speed) + 2000]
    found = filter_and_resample(signal, IMPULSE, np.array([speed]), n_samples)[0].numpy()
    expected = np.sin(2 * np.pi * hz * speed * np.arange(n_samples) / SAMPLE_RATE)
    tolerance = 2e-3 if hz < 10_000 else 2e-2
    np.testing.assert_allclose(found[500:-500], expected[500:-500], atol=tolerance)


def test_what_would_alias_is_left_out():
    signal = torch.from_numpy(tone(20_000, level=1.0))[None]
    found = filter_and_resample(signal, IMPULSE, np.array([1.19]), 30_000)[0]
    assert found[500:-8000].abs().max() < 2e-3


def test_filter_is_a_convolution_across_blocks():
    signal, response = noise(HOP + 9000, level=1.0), noise(2000, seed=1) / 20
    smooth = np.convolve(signal, np.hanning(17) / 8, mode="same").astype(np.float32)
    expected = np.convolve(smooth, response)[: HOP + 5000]
    found = filter_and_resample(
        torch.from_numpy(smooth)[None], torch.from_numpy(response)[None], np.ones(1), len(expected)
    )
    np.testing.assert_allclose(found[0], expected, atol=1e-3)


def test_overdrive_is_its_recursion():
    signal, gain = noise(9000, level=1.0), 2.5
    offset = 0.1 - 0.1**3 / 3
    expected, before, blocked = [], offset, 0.0
    for x in signal.astype(np.float64):
        u = min(max(gain * x + 0.1, -1), 1)
        v = u - u**3 / 3
        blocked = v - before + 0.995 * blocked
        before = v
        expected.append(0.5 * x + 0.75 * blocked)
    found = overdrive(torch.from_numpy(signal)[None], torch.tensor([gain]))
    np.testing.assert_allclose(found[0], expected, atol=1e-5)


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


def test_splices_are_the_best_within_reach_of_those_before():
    misfits = torch.rand(3, 40, 4 * REACH + 1, generator=torch.Generator().manual_seed(0))
    found = stretching._choose(misfits)
    for row in range(3):
        ahead = 0
        for splice in range(40):
            allowed = range(-REACH - ahead, REACH - ahead + 1)
            best = min(allowed, key=lambda late: float(misfits[row, splice, late + 2 * REACH]))
            assert found[row, splice] == best
            ahead += best


def test_misfit_is_the_squared_difference_of_what_overlaps():
    signal = torch.from_numpy(noise(12_000))[None]
    leaves, arrives = torch.tensor([[3000]]), torch.tensor([[5000]])
    found = stretching._misfits(signal, leaves, arrives)[0, 0]
    old = signal[0, 3000 : 3000 + OVERLAP]
    for late in (-2 * REACH, -17, 0, 300, 2 * REACH):
        new = signal[0, 5000 + late : 5000 + late + OVERLAP]
        expected = float((old - new).square().sum() + old.square().sum() * (1e-3 * abs(late) / (2 * REACH)))
        expected -= float(old.square().sum())  # the same for every place, so left out
        assert float(found[late + 2 * REACH]) == pytest.approx(expected, rel=1e-3)
