"""The networks of pretraining: what they give, what is trained, and that padding counts for nothing."""

import pytest
import torch

from networks.classifiers import build_classifier
from networks.padding import MULTIPLE
from networks.pretraining import SIZE, build_pretraining
from ops.contrastive import OBJECTIVES
from tiny_networks import clips_of, each_aggregation, each_kind, padded, tiny

each_objective = pytest.mark.parametrize("objective", OBJECTIVES)


def built(objective, kind="2d", aggregation="max"):
    torch.manual_seed(0)
    return build_pretraining(tiny(kind, aggregation), objective, steps=2)


@each_objective
@each_aggregation
@each_kind
def test_all_that_is_handed_on_is_trained_and_fits_a_classifier(objective, aggregation, kind):
    model = built(objective, kind, aggregation).train()
    signal, lengths = padded(clips_of(4000, 2500, 3000, 3500))
    outputs = model(signal, lengths)
    assert outputs.shape == ((4, SIZE) if objective == "contrastive" else (4, 4, 3, SIZE))
    OBJECTIVES[objective](outputs, 0.2).backward()
    handed_on = model.trained_weights()
    weights = dict(model.trunk.named_parameters())
    trained = {name for name, weight in weights.items() if weight.grad is not None}
    assert trained == handed_on.keys() & weights.keys()
    assert all(weight.grad is not None for weight in model.parameters() if weight.requires_grad)
    parts = {name.split(".")[0] for name in handed_on}
    recurrent = objective == "contrastive" and aggregation == "rnn"
    assert parts == ({"blocks", "aggregations"} if recurrent else {"blocks"})
    classifier = build_classifier(tiny(kind, aggregation, n_classes=7, output_dropout=0.5))
    classifier.load_state_dict({**classifier.state_dict(), **handed_on})


@each_objective
@each_kind
def test_a_clip_gives_the_same_in_any_company(objective, kind):
    model = built(objective, kind).eval()
    clips = clips_of(4000, 2500)
    together, alone = model(*padded(clips)), model(clips[1][None])
    n_frames = alone.shape[1]
    torch.testing.assert_close(together[1:, :n_frames], alone, atol=1e-5, rtol=1e-4)
    if objective == "cpc":
        assert n_frames < together.shape[1] and not together[1, n_frames:].any()


def test_predictions_know_nothing_of_later_frames():
    """Beyond what the convolutions of a frame itself see."""
    model = built("cpc").eval()
    (clip,) = clips_of(9000)
    changed = clip.clone()
    changed[7000:] = 0.5
    first, second = model(clip[None])[0], model(changed[None])[0]
    assert torch.allclose(first[:3], second[:3], atol=1e-6) and not torch.allclose(first[-1], second[-1])


@each_objective
def test_padded_channels_change_nothing(objective):
    plain, wide = built(objective).eval(), built(objective).eval()
    wide.pad_channels()
    assert wide.trunk.blocks[0].conv.out_channels % MULTIPLE == 0
    signal, lengths = padded(clips_of(4000, 2500))
    torch.testing.assert_close(wide(signal, lengths), plain(signal, lengths), atol=1e-5, rtol=1e-4)
    handed_on, expected = wide.trained_weights(), plain.trained_weights()
    assert {name: value.shape for name, value in handed_on.items()} == {
        name: value.shape for name, value in expected.items()
    }


def test_pooled_features_are_what_feeds_the_head():
    model = built("contrastive").eval()
    signal, lengths = padded(clips_of(4000, 2500))
    pooled, trunk = model.pooled(), model.trunk
    found = pooled.classify(*pooled.extract_features(signal, lengths))
    assert found.shape == (2, pooled.size)
    torch.testing.assert_close(trunk.head(found), trunk(signal, lengths))
