"""The reverb's responses against a slow loop."""

import numpy as np
import torch

from ops.effects.reverb import ALLPASS_DELAYS, COMB_DELAYS, comb_feedback, room_responses

CPU = torch.device("cpu")


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
    rooms = np.array([(0, 0, 0), (50, 50, 0), (37, 21, 50), (37, 0, 12.5), (50, 21, 100)])
    found = room_responses(*rooms.T, CPU)
    for response, room in zip(found, rooms, strict=True):
        np.testing.assert_allclose(response[:5000], freeverb(5000, *room), atol=2e-6)


def test_feedback_goes_from_the_least_to_the_most():
    np.testing.assert_allclose(comb_feedback(np.array([0.0, 50.0, 100.0])), [0.3, 0.8817, 0.98], atol=1e-4)
