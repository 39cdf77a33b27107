"""Networks with padded channels against the same networks without."""

import copy

import pytest
import torch

from networks.classifiers import build_classifier
from networks.folding import fold_batch_norms
from networks.padding import pad_channels
from ops.losses import lsep_loss
from ops.optimization import OPTIMIZERS, make_optimizer
from tiny_networks import CONV, clips_of, each_aggregation, each_features, each_kind, padded, tiny, trained

TARGETS = torch.tensor([[1.0, 0, 0], [0, 1, 0], [0, 1, 1]])


def pair(kind, aggregation="max", **changes):
    """A network with 4, 6 and 9 channels, and its copy with 8, 8 and 16."""
    plain = trained(tiny(kind, aggregation, **changes))
    return plain, pad_channels(copy.deepcopy(plain))


def step(model, optimizer, features, n_frames):
    loss = lsep_loss(model.classify(features, n_frames), TARGETS)
    loss.backward()
    optimizer.step()
    optimizer.zero_grad()
    return loss.item()


@each_kind
@each_aggregation
@each_features
def test_every_width_is_a_multiple_of_8(kind, aggregation, features):
    _, wide = pair(kind, aggregation, features=features)
    convolutions = [module for module in wide.modules() if isinstance(module, CONV)]
    assert len(convolutions) == 12
    for convolution in convolutions:
        assert convolution.in_channels % 8 == convolution.out_channels % 8 == 0
        assert convolution.weight.shape[:2] == (convolution.out_channels, convolution.in_channels)


@each_kind
@each_aggregation
@torch.inference_mode()
def test_the_logits_are_the_same(kind, aggregation):
    plain, wide = pair(kind, aggregation)
    signal, lengths = padded(clips_of(9000, 300, 4001))
    torch.testing.assert_close(wide(signal, lengths), plain(signal, lengths), rtol=1e-5, atol=1e-5)
    for model in (plain, wide):
        fold_batch_norms(model)
    torch.testing.assert_close(wide(signal, lengths), plain(signal, lengths), rtol=1e-5, atol=1e-5)


@each_kind
@torch.inference_mode()
def test_a_folded_network_can_be_padded(kind):
    folded = fold_batch_norms(trained(tiny(kind)))
    signal, lengths = padded(clips_of(9000, 300, 4001))
    expected = folded(signal, lengths)
    torch.testing.assert_close(pad_channels(folded)(signal, lengths), expected, rtol=1e-5, atol=1e-5)


@each_kind
def test_a_network_without_frequency_encoding_or_with_fitting_widths_can_be_padded(kind):
    signal, lengths = padded(clips_of(9000, 300, 4001))
    for changes in ({"frequency_encoding": False}, {"conv_base_depth": 8, "growth_rate": 2.0}):
        plain, wide = pair(kind, **changes)
        torch.testing.assert_close(wide(signal, lengths), plain(signal, lengths), rtol=1e-5, atol=1e-5)


@each_kind
@each_aggregation
@pytest.mark.parametrize("name", sorted(OPTIMIZERS))
def test_training_goes_the_same_way_and_what_pads_stays_zero(kind, aggregation, name):
    plain, wide = (model.train() for model in pair(kind, aggregation))
    features, n_frames = plain.extract_features(*padded(clips_of(9000, 300, 4001)))
    for model in (plain, wide):
        model.double()  # in float32 Adam makes whole steps of rounding errors
        optimizer = make_optimizer(name, model.parameters(), 1e-3, 0.01)
        model.losses = [step(model, optimizer, features.double(), n_frames) for _ in range(4)]
    assert wide.losses == pytest.approx(plain.losses, rel=1e-9)
    assert wide.losses[-1] != wide.losses[0]
    for key, value in wide.state_dict().items():
        torch.testing.assert_close(value, plain.state_dict()[key], rtol=1e-6, atol=1e-6, msg=key)
    shapes = {key: value.shape for key, value in plain.state_dict().items()}
    n_padding = 0
    for key, value in [*wide.named_parameters(), *wide.named_buffers()]:
        if key in shapes and value.dim():
            outside = torch.ones_like(value, dtype=torch.bool)
            outside[tuple(slice(n) for n in shapes[key])] = False
            n_padding += int(outside.sum())
            assert not value[outside].any(), key
    assert n_padding


@each_kind
def test_states_go_from_padded_to_plain_networks_and_back(kind):
    plain, wide = pair(kind)
    state = wide.state_dict()
    assert {k: v.shape for k, v in state.items()} == {k: v.shape for k, v in plain.state_dict().items()}
    torch.testing.assert_close(state, plain.state_dict(), rtol=0, atol=0)
    other = build_classifier(plain.config)
    wide.load_state_dict(other.state_dict())
    torch.testing.assert_close(wide.state_dict(), other.state_dict(), rtol=0, atol=0)
    with pytest.raises(RuntimeError, match="size mismatch for blocks.0.conv.weight"):
        wide.load_state_dict(build_classifier(tiny(kind, conv_base_depth=5)).state_dict())
    del state["blocks.0.conv.weight"]
    with pytest.raises(RuntimeError, match="Missing key"):
        wide.load_state_dict(state)
