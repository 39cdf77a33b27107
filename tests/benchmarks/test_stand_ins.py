"""Other ways that stand in for the product's: each by hand, and gone afterwards."""

import numpy as np
import pytest
import torch
from stand_ins import STAND_INS, effects_before_mixup, standing_in, weighted_mixup

from networks.classifiers import NetworkConfig, build_classifier
from ops import transforms
from ops.batching import TrainingBatches
from ops.transforms import Augmentation, Sample

LONG = Sample(np.ones(5, np.float32), np.array([1, 0], np.float32), "a")
SHORT = Sample(np.full(2, 3, np.float32), np.array([0, 1], np.float32), "b")
CONFIG = NetworkConfig("2d", "mel_512_512_16", 2, 2, 4, 1.5, 0, "max")


def test_weighting_weighs_by_length_not_by_order():
    a = np.random.default_rng(0).uniform(0.4, 0.6)
    weighted = weighted_mixup(SHORT, LONG, np.random.default_rng(0), "add")
    np.testing.assert_allclose(weighted.labels, [a, 1 - a], rtol=1e-6)


def test_effects_before_mixup_leave_the_partner_alone(monkeypatch):
    monkeypatch.setitem(transforms.EFFECTS, "torch", lambda audio, draw: 0 * audio)
    augmentation = Augmentation(p_mixup=1, p_aug=1, mixup="paste")
    mixed = effects_before_mixup(augmentation, LONG, np.random.default_rng(0), lambda rng: SHORT)
    assert sorted(set(mixed.audio.tolist())) == [0, pytest.approx(3 * 0.5, abs=0.3)]
    assert mixed.labels.tolist() == [1, 1]


def test_without_masks_padding_is_heard_and_without_the_last_batch_it_is_not_trained_on():
    model = build_classifier(CONFIG).eval()
    signal, lengths = torch.randn(2, 20_000), torch.tensor([20_000, 9_000])
    signal[1, 9_000:] = 0
    with torch.no_grad():
        alone, masked = model(signal[1:, :9_000]), model(signal, lengths)[1:]
        with standing_in(["no_masks", "no_last_batch"]):
            heard = model(signal, lengths)[1:]
            assert len(list(TrainingBatches(10, 4, 0, 0))) == 2
    torch.testing.assert_close(masked, alone, rtol=1e-4, atol=1e-5)
    assert (heard - alone).abs().max() > 1e-3
    assert len(list(TrainingBatches(10, 4, 0, 0))) == 3


def test_norm_weights_are_drawn():
    with standing_in(["uniform_norm_weights"]):
        weights = build_classifier(CONFIG).blocks[0].norm.weight
    assert 0 <= weights.min() < weights.max() < 1
    assert (build_classifier(CONFIG).blocks[0].norm.weight == 1).all()


def test_all_of_them_come_and_go():
    before = transforms.or_mixup, Augmentation.__call__, Augmentation().can_draw_ahead
    with standing_in(STAND_INS):
        assert transforms.or_mixup is not before[0] and not Augmentation().can_draw_ahead
    assert (transforms.or_mixup, Augmentation.__call__, Augmentation().can_draw_ahead) == before
