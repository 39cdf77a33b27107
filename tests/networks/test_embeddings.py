import pytest
import torch

from networks.build import build_network, prepare_to_predict
from networks.classifiers import Classifier
from networks.embeddings import EmbeddingConfig, EmbeddingHead

NETWORK = {"kind": "embedding", "n_classes": 2, "backbone": "onnx:x.onnx", "embedding_size": 3}


def head(**changes) -> EmbeddingHead:
    torch.manual_seed(0)
    return build_network({**NETWORK, **changes})


def test_values_are_standardised_by_the_clips_given_and_hardly_varying_ones_not_scaled_up():
    model = head()
    clips = torch.tensor([[1.0, 10.0, 5.0], [3.0, 30.0, 5.0]])
    model.standardise(clips)
    found = model.standardisation(clips)
    assert found[:, :2] == pytest.approx(torch.tensor([[-1.0, -1.0], [1.0, 1.0]]), abs=1e-4)
    assert found[:, 2] == pytest.approx(torch.zeros(2), abs=1e-4)
    unlike = model.standardisation(torch.tensor([[2.0, 20.0, 5.5]]))
    assert abs(unlike[0, 2]) < 5  # its variance counts as a thousandth of the mean one, 101 / 3


def test_training_leaves_the_standardisation_as_it_is():
    model = head(hidden=4, output_dropout=0.5).train()
    model.standardise(torch.randn(20, 3) * 5 + 2)
    before = model.standardisation.running_mean.clone()
    logits = model(torch.randn(6, 3), torch.full((6,), 3))
    assert logits.shape == (6, 2)
    assert torch.equal(model.standardisation.running_mean, before) and not model.standardisation.training
    assert len(list(model.parameters())) == 5  # two layers and the slopes between them


def test_a_logit_depends_on_its_clip_alone_and_one_clip_is_a_batch():
    model, clips = head(hidden=4).eval(), torch.randn(5, 3)
    assert torch.allclose(model(clips)[2:3], model(clips[2:3]), atol=1e-6)
    assert head().train()(clips[:1]).shape == (1, 2)


@pytest.mark.parametrize(
    "changes, told",
    [
        ({"embedding_size": 0}, "embedding_size: expected at least 1"),
        ({"backbone": "yamnet"}, "backbone: expected onnx:FILE"),
        ({"n_classes": 0}, "n_classes: expected at least 1"),
        ({"hidden": -1}, "hidden: expected 0 or more"),
        ({"output_dropout": 1.0}, "output_dropout: expected 0 or more and less than 1"),
    ],
)
def test_what_no_head_can_be(changes, told):
    with pytest.raises(ValueError, match=told):
        head(**changes)
    with pytest.raises(ValueError, match="kind: expected 'embedding'"):
        EmbeddingConfig(**{**NETWORK, "kind": "2d"})


def test_networks_of_all_kinds_are_built_from_their_config():
    cnn = build_network({"kind": "2d", "features": "mel_512_512_16", "n_classes": 2, "num_conv_blocks": 3})
    assert isinstance(cnn, Classifier) and isinstance(head(), EmbeddingHead)
    assert prepare_to_predict(head().eval())(torch.zeros(1, 3)).shape == (1, 2)
