"""SpecAugment: bands by hand, clips of a batch apart from each other, and what stays."""

import numpy as np
import pytest
import torch

from ops.batching import collate_draws, pad_collate
from ops.samples import AugmentationDraw, Sample
from ops.spec_augment import MAX_WIDTH, draw_bands, hide_bands
from ops.transforms import Augmentation

NOTHING = np.zeros((2, 2, 2), np.float32)


def test_bands_get_the_mean_of_their_clip():
    features = torch.arange(16.0).view(1, 4, 4)
    bands = torch.tensor([[[(0.25, 0.5), (0, 0)], [(0.75, 1.0), (0, 0)]]])
    expected = features.clone()
    expected[:, 1, :] = expected[:, :, 3] = 7.5
    torch.testing.assert_close(hide_bands(features, None, bands), expected, rtol=0, atol=0)


def test_a_padded_clip_is_hidden_as_alone():
    features = torch.randn(2, 8, 10)
    bands = torch.from_numpy(np.stack([draw_bands(np.random.default_rng(seed)) for seed in (0, 1)]))
    together = hide_bands(features, torch.tensor([10, 6]), bands)
    alone = hide_bands(features[1:, :, :6], None, bands[1:])
    torch.testing.assert_close(together[1:, :, :6], alone)
    assert (together[0] != features[0]).any()


def test_no_width_hides_nothing_and_no_frame_is_no_error():
    features = torch.randn(3, 4, 5)
    bands = torch.from_numpy(np.stack([NOTHING] * 3))
    torch.testing.assert_close(hide_bands(features, None, bands), features, rtol=0, atol=0)
    assert hide_bands(features[:, :, :0], None, bands).shape == (3, 4, 0)


def test_drawn_bands_lie_within_the_axis_and_are_not_wider_than_told():
    rng = np.random.default_rng(0)
    bands = np.stack([draw_bands(rng) for _ in range(500)])
    width = bands[..., 1] - bands[..., 0]
    assert bands.min() >= 0 and bands.max() <= 1 and width.min() >= 0
    assert width.max() == pytest.approx(MAX_WIDTH, rel=0.01)
    assert width.mean() == pytest.approx(MAX_WIDTH / 2, rel=0.05)


@pytest.mark.parametrize("collate", [pad_collate, collate_draws])
def test_a_batch_carries_the_bands_of_its_samples(collate):
    audio, drawn = np.ones(3, np.float32), draw_bands(np.random.default_rng(0))
    samples = [Sample(audio, None, "a", draw=AugmentationDraw(), bands=bands) for bands in (None, drawn)]
    batch = collate(list(enumerate(samples)))
    np.testing.assert_array_equal(batch["bands"], [NOTHING, drawn])
    assert collate([(0, samples[0])])["bands"] is None


def test_the_other_draws_of_a_sample_stay_what_they_were():
    sample = Sample(np.ones(40_000, np.float32), np.ones(1, np.float32), "a")
    without, with_bands = (Augmentation(p_shuffle=1, p_silence=1, spec_augment=p) for p in (0, 1))
    drawn = without.draw(sample, np.random.default_rng(3), None)
    hiding = with_bands.draw(sample, np.random.default_rng(3), None)
    assert drawn.bands is None and hiding.bands.shape == (2, 2, 2)
    np.testing.assert_array_equal(drawn.draw.order, hiding.draw.order)
    assert drawn.draw.silenced == hiding.draw.silenced
    called = with_bands(sample, np.random.default_rng(3), None)
    np.testing.assert_array_equal(called.bands, hiding.bands)
