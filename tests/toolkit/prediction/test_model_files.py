"""Exported files give the networks' own probabilities, whatever the network, length and batch."""

import json

import numpy as np
import onnx
import pytest
import torch

from networks.classifiers import NetworkConfig, build_classifier
from networks.export import WaveformTagger
from toolkit.prediction.model_files import FORMATS

SHAPES = [(1, 1), (1, 100), (3, 5000), (1, 44_321)]


def networks(kind: str, features: str, aggregation: str) -> list[torch.nn.Module]:
    models = []
    for seed in range(2):
        torch.manual_seed(seed)
        model = build_classifier(NetworkConfig(kind, features, 5, 2, 4, 1.5, 0, aggregation)).eval()
        for norm in model.modules():
            if hasattr(norm, "running_var"):
                norm.running_mean.normal_(0, 0.3)
                norm.running_var.uniform_(0.5, 2)
        models.append(model)
    return models


def signal(*shape: int) -> torch.Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(shape[-1])) - 0.5


@torch.no_grad()
def own(models, waveform) -> np.ndarray:
    return torch.stack([model(waveform).sigmoid() for model in models]).mean(0).numpy()


@pytest.mark.parametrize(
    "kind, features", [("2d", "mel_512_256_16"), ("2d", "stft_64_64"), ("1d", "stft_255_100")]
)
@pytest.mark.parametrize("aggregation", ["max", "rnn"])
def test_onnx_of_all_kinds_of_network(kind, features, aggregation):
    models = networks(kind, features, aggregation)
    content = FORMATS["onnx"].write(WaveformTagger(models).eval(), list("abcde"))
    run = FORMATS["onnx"].run(content)
    for shape in SHAPES:
        found = run(signal(*shape).numpy())
        np.testing.assert_allclose(found, own(models, signal(*shape)), atol=2e-6)
    metadata = {entry.key: entry.value for entry in onnx.load_from_string(content).metadata_props}
    assert metadata == {"classes": '["a", "b", "c", "d", "e"]', "sample_rate": "44100"}


@pytest.mark.parametrize("kind, features", [("2d", "mel_512_256_16"), ("1d", "stft_255_100")])
def test_torch_export(kind, features, tmp_path):
    models = networks(kind, features, "max")[:1]
    content = FORMATS["torch_export"].write(WaveformTagger(models).eval(), list("abcde"), {"slope": 1.5})
    run = FORMATS["torch_export"].run(content)
    for shape in SHAPES:
        np.testing.assert_allclose(
            run(signal(*shape).numpy()), own(models, signal(*shape)), atol=2e-6, err_msg=str(shape)
        )
    path, extra = tmp_path / "tagger.pt2", {"classes": "", "tags": ""}
    path.write_bytes(content)
    torch.export.load(path, extra_files=extra)
    assert json.loads(extra["classes"]) == list("abcde") and json.loads(extra["tags"]) == {"slope": 1.5}
