"""Training passes as CUDA graphs: what pads them changes no score, and without a GPU all is as before."""

import copy

import pytest
import torch

from networks.blocks import frame_mask
from networks.graphs import SEEN_BEFORE, padded_to
from ops.losses import lsep_loss
from tiny_networks import clips_of, each_kind, padded, tiny, trained

TARGETS = torch.tensor([[1.0, 0, 0], [0, 1, 0], [0, 1, 1]])


@each_kind
@pytest.mark.parametrize("lengths", [(9000, 300, 4001), (4500, 4500, 4500)])
@torch.inference_mode()
def test_silent_frames_behind_a_batch_change_no_score(kind, lengths):
    model = trained(tiny(kind))
    features, n_frames = model.extract_features(*padded(clips_of(*lengths)))
    expected = model.classify(features, n_frames)
    wide, n_wide = padded_to(features, n_frames, 32)
    assert wide.shape[-1] % 32 == 0 and 0 < wide.shape[-1] - features.shape[-1] < 32
    assert torch.equal(wide[..., : features.shape[-1]], features)
    mask = frame_mask(n_wide, wide)
    assert mask.sum() == (3 * features.shape[-1] if n_frames is None else n_frames.sum())
    torch.testing.assert_close(model.classify_masked(wide, mask, None), expected, rtol=1e-5, atol=1e-5)


def losses_of(model, signal, lengths, n_steps=SEEN_BEFORE + 4):
    optimizer = torch.optim.SGD(model.parameters(), 0.01)
    losses = []
    for _ in range(n_steps):
        loss = lsep_loss(model(signal, lengths), TARGETS.to(signal.device))
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.detach())
    return [float(loss) for loss in losses]


@each_kind
def test_where_no_graph_can_be_recorded_training_goes_on_and_the_failure_is_told(kind):
    if torch.cuda.is_available():
        pytest.skip("graphs can be recorded here")
    model = trained(tiny(kind)).train()
    signal, lengths = padded(clips_of(9000, 300, 4001))
    plain = copy.deepcopy(model)
    features, n_frames = padded_to(*model.extract_features(signal, lengths), 32)
    plain.extract_features = lambda *_: (features, n_frames)  # batch norm counts what pads
    model.record_training()
    assert model.classify.failure == ""
    found, expected = losses_of(model, signal, lengths), losses_of(plain, signal, lengths)
    assert found == expected and found[0] != found[-1]
    assert model.classify.failure
    with torch.no_grad():  # evaluation never is a graph
        model.eval()(signal, lengths)


@pytest.mark.gpu
@each_kind
@pytest.mark.parametrize("autocast_type", [None, torch.bfloat16])
def test_a_graph_trains_as_the_network_does(kind, autocast_type):
    model = trained(tiny(kind)).train().cuda()
    signal, lengths = padded(clips_of(9000, 300, 4001))
    signal = signal.cuda()
    plain = copy.deepcopy(model)
    features, n_frames = padded_to(*model.extract_features(signal, lengths), 32)
    plain.extract_features = lambda *_: (features, n_frames)
    if autocast_type:
        plain.classify = torch.autocast("cuda", autocast_type)(plain.classify)
        model.classify = torch.autocast("cuda", autocast_type)(model.classify)
    model.record_training(autocast_type)
    found, expected = losses_of(model, signal, lengths), losses_of(plain, signal, lengths)
    assert not model.classify.failure
    assert found == pytest.approx(expected, rel=2e-2 if autocast_type else 1e-3)
    for name, value in model.state_dict().items():
        if "num_batches" in name:
            assert value == plain.state_dict()[name], "recording counted as training"
