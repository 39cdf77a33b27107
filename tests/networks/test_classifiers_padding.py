"""Networks: independence of padding and of other clips, degenerate batches."""

import pytest
import torch
from torch.nn import functional

from networks.classifiers import build_classifier
from tiny_networks import (
    NORM,
    clips_of,
    each_aggregation,
    each_features,
    each_kind,
    noise,
    padded,
    tiny,
    trained,
)


@each_aggregation
@each_kind
@each_features
def test_padding_does_not_change_logits(kind, aggregation, features):
    model = trained(tiny(kind, aggregation, features))
    clips = clips_of(300, 9000, 4001, 1, 1024, 897, 6500)
    with torch.no_grad():
        batch = model(*padded(clips))
        alone = torch.cat([model(clip[None]) for clip in clips])
    assert (alone[:-1] - alone[1:]).abs().amax(1).min() > 0.01  # logits that depend on the clip
    torch.testing.assert_close(batch, alone, rtol=1e-4, atol=1e-4)


@each_kind
def test_pooling_before_the_rnn_keeps_clips_independent_and_frames_few(kind):
    model = trained(tiny(kind, "rnn", num_conv_blocks=3, start_deep_supervision_on=0, pool_before_rnn=True))
    clips, walked = clips_of(300, 9000, 4001, 1, 1024, 897, 6500), []
    for pool in model.aggregations:
        pool.gru.register_forward_pre_hook(lambda _, given: walked.append(given[0]))
    with torch.no_grad():
        alone = torch.cat([model(clip[None]) for clip in clips])
        frames = [x.shape[1] for x in walked]
        assert frames == [n for n in frames[::3] for _ in range(3)]  # of all blocks as of the last
        torch.testing.assert_close(model(*padded(clips)), alone, rtol=1e-4, atol=1e-4)
        assert (alone[:-1] - alone[1:]).abs().amax(1).min() > 0.01


def test_pooling_before_a_maximum_is_a_mistake():
    with pytest.raises(ValueError, match="pool_before_rnn: expected an aggregation_type of rnn"):
        tiny("2d", "max", pool_before_rnn=True)


@each_aggregation
@each_kind
def test_samples_behind_a_clips_length_are_not_heard(kind, aggregation):
    model = trained(tiny(kind, aggregation))
    signal, lengths = padded(clips_of(300, 5000, 2500))
    behind = torch.arange(signal.shape[1]) >= lengths[:, None]
    loud = functional.pad(signal + behind * noise(*signal.shape), (0, 4000), value=1.0)
    before = loud.clone()
    with torch.no_grad():
        torch.testing.assert_close(model(loud, lengths), model(signal, lengths), rtol=0, atol=1e-5)
    torch.testing.assert_close(loud, before, rtol=0, atol=0)


@each_aggregation
@each_kind
def test_permuting_clips_permutes_logits(kind, aggregation):
    model = trained(tiny(kind, aggregation))
    signal, lengths = padded(clips_of(300, 5000, 2500, 4000))
    order = torch.tensor([2, 0, 3, 1])
    with torch.no_grad():
        expected = model(signal, lengths)[order]
        torch.testing.assert_close(model(signal[order], lengths[order]), expected, rtol=1e-4, atol=1e-5)


@each_aggregation
@each_kind
def test_full_lengths_equal_no_lengths(kind, aggregation):
    model, signal = trained(tiny(kind, aggregation)), noise(3, 3000)
    with torch.no_grad():
        torch.testing.assert_close(model(signal, torch.full((3,), 3000)), model(signal))


@each_kind
def test_clip_that_is_long_enough_is_not_extended(kind):
    model = trained(tiny(kind, "rnn"))
    with torch.no_grad():
        assert (model(noise(1, 896)) - model(functional.pad(noise(1, 896), (0, 1024)))).abs().max() > 1e-3


@pytest.mark.parametrize("lengths", [[300], [300, 300], [300, 5000]])
@pytest.mark.parametrize("loudness", [0.0, 1.0])
@each_aggregation
@each_kind
def test_training_down_to_one_frame(kind, aggregation, loudness, lengths):
    """Five blocks leave 1 frame of 32 (and 1 feature of 32): no variance in a batch of one."""
    torch.manual_seed(0)
    config = tiny(kind, aggregation, num_conv_blocks=5, growth_rate=1.0, output_dropout=0.5)
    model = build_classifier(config).train()
    signal, lengths = padded([loudness * noise(n) for n in lengths])
    logits = model(signal, lengths)
    assert logits.shape == (len(lengths), 3)
    logits.square().sum().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None and parameter.grad.isfinite().all(), name
    for name, buffer in model.named_buffers():
        assert buffer.isfinite().all(), name


@each_aggregation
@each_kind
def test_training_hears_nothing_behind_a_clip(kind, aggregation):
    torch.manual_seed(0)
    model = build_classifier(tiny(kind, aggregation)).train()
    signal, lengths = padded(clips_of(2000, 5000))
    behind = torch.arange(signal.shape[1]) >= lengths[:, None]
    with torch.no_grad():
        expected = model(signal, lengths)
        torch.testing.assert_close(model(signal + behind * 1.0, lengths), expected)


@each_aggregation
@each_kind
def test_training_applies_the_same_masks(kind, aggregation):
    """With BatchNorm frozen, training is evaluation: a clip's logits are its own."""
    model = trained(tiny(kind, aggregation))
    clips = clips_of(300, 9000, 4001)
    with torch.no_grad():
        alone = torch.cat([model(clip[None]) for clip in clips])
        model.train()
        for module in model.modules():
            if isinstance(module, NORM):
                module.eval()
        torch.testing.assert_close(model(*padded(clips)), alone, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    "lengths", [torch.tensor([3000]), torch.tensor([3000, 3001]), torch.tensor([-1, 5]), torch.ones(2, 1)]
)
def test_impossible_lengths_are_an_error(lengths):
    model = build_classifier(tiny("1d")).eval()
    with pytest.raises(ValueError, match="lengths: expected"):
        model(noise(2, 3000), lengths)
