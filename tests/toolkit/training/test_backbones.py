"""The real loading code on real files: a tiny ONNX network, tiny random ones of the transformers library."""

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from ops.errors import DataError
from ops.sampling import SAMPLE_RATE
from tiny_backbones import (
    HOP,
    RATE,
    SETTINGS,
    SIZE,
    TRANSFORMERS,
    WINDOW,
    expected_vector,
    onnx_backbone,
    transformers_backbone,
)
from toolkit.training import backbones
from toolkit.training.backbones import ClipEmbedder, describe, digest_of, load_backbone

CPU = torch.device("cpu")


def noise(*shape: int) -> torch.Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(1)) - 0.5


def test_an_embedding_is_the_mean_and_the_maximum_over_the_windows_at_the_networks_rate(tmp_path):
    name = onnx_backbone(tmp_path)
    embed = ClipEmbedder(load_backbone(name, CPU), CPU)
    clip = noise(int(0.4 * SAMPLE_RATE))
    found = embed(clip[None], torch.tensor([len(clip)]))[0].numpy()
    at_rate = embed.resample(clip).numpy()
    assert len(at_rate) == 0.4 * RATE
    vectors = [expected_vector(at_rate[start : start + WINDOW]) for start in (0, HOP, len(at_rate) - WINDOW)]
    expected = np.concatenate([np.mean(vectors, axis=0), np.max(vectors, axis=0)])
    assert found == pytest.approx(expected, rel=1e-4)
    assert describe(name) == {
        "backbone": name,
        "backbone_digest": digest_of(name),
        "embedding_size": 2 * SIZE,
    }


@pytest.mark.parametrize("name", ["onnx", *TRANSFORMERS])
def test_a_clips_embedding_depends_on_that_clip_alone_whatever_its_length(name, tmp_path):
    text = onnx_backbone(tmp_path) if name == "onnx" else transformers_backbone(tmp_path, name)
    assert describe(text)["embedding_size"] == (2 * SIZE if name == "onnx" else 32)
    embed = ClipEmbedder(load_backbone(text, CPU), CPU)
    lengths = torch.tensor([2 * SAMPLE_RATE, 12_345, 1])
    signal = noise(3, 2 * SAMPLE_RATE) * (torch.arange(2 * SAMPLE_RATE) < lengths[:, None])
    together = embed(signal, lengths)
    alone = [embed(signal[row : row + 1, :n], torch.tensor([n]))[0] for row, n in enumerate(lengths)]
    assert torch.allclose(together, torch.stack(alone), atol=1e-5)
    assert torch.isfinite(together).all() and not torch.allclose(together[0], together[1], atol=1e-3)


def test_transformers_give_what_their_library_gives(tmp_path):
    for name in ("ast", "wav2vec2"):
        text = transformers_backbone(tmp_path / name, name)
        own = load_backbone(text, CPU)
        import transformers

        model = transformers.AutoModel.from_pretrained(tmp_path / name).eval()
        extractor = transformers.AutoFeatureExtractor.from_pretrained(tmp_path / name)
        window = noise(own.window)
        given = extractor([window.numpy()], sampling_rate=16000, return_tensors="pt")
        with torch.inference_mode():
            found = model(**given)
        expected = found.pooler_output if name == "ast" else found.last_hidden_state.mean(dim=1)
        assert torch.allclose(own.embed([window]), expected, atol=1e-5)


@pytest.mark.parametrize(
    "settings, told",
    [
        ({"sample_rate": 8000.0}, "sample_rate: expected in Hz, found 8000.0"),
        ({"sample_rate": 8}, "sample_rate: expected 1000 to 192000 Hz, found 8"),
        ({"hop_samples": 0}, "1 <= hop_samples <= window_samples, found 0 and 2000"),
        ({"window_samples": 4000}, "with 4000 samples .* found tensor.float. of .'batch', 2000."),
        ({"input": "wave"}, "expected one input 'wave', found 'waveform'"),
        ({"output": "logits"}, "expected an output 'logits', found 'embedding'"),
        ({"rate": 1}, "expected an object with sample_rate"),
    ],
)
def test_settings_that_do_not_fit_the_network(settings, told, tmp_path):
    with pytest.raises(DataError, match=told) as raised:
        describe(onnx_backbone(tmp_path, **settings))
    assert "\n" not in str(raised.value) and "correct" in str(raised.value)


def broken(folder: Path, case: str) -> str:
    """A backbone that lacks something, or holds something else."""
    if case.startswith("onnx"):
        name = onnx_backbone(folder)
        if case == "onnx without settings":
            (folder / "tiny.onnx.json").unlink()
        elif case == "onnx of other bytes":
            (folder / "tiny.onnx").write_bytes(b"nothing")
        return name
    name = transformers_backbone(folder, "ast")
    if case == "no weights":
        (folder / "model.safetensors").unlink()
    elif case == "cut weights":
        content = (folder / "model.safetensors").read_bytes()
        (folder / "model.safetensors").write_bytes(content[: len(content) // 2])
    elif case == "no extractor":
        (folder / "preprocessor_config.json").unlink()
    else:
        path = folder / ("config.json" if "type" in case else "preprocessor_config.json")
        changed = {"another type": {"model_type": "vit"}, "another length": {"max_length": 32}}
        changed["another extractor"] = {"feature_extractor_type": "Wav2Vec2FeatureExtractor"}
        path.write_text(json.dumps({**json.loads(path.read_text()), **changed[case]}))
    return name


@pytest.mark.parametrize(
    "case, told",
    [
        ("onnx without settings", "tiny.onnx.json: expected the settings"),
        ("onnx of other bytes", "tiny.onnx: expected an ONNX file, cannot be loaded"),
        ("no weights", "expected weights beside its config.json .*hf download MODEL --local-dir"),
        ("cut weights", "cannot be loaded .*hf download MODEL --local-dir"),
        ("no extractor", "expected a preprocessor_config.json .*hf download MODEL --local-dir"),
        ("another type", "expected a network of sound, .* found 'vit'"),
        ("another extractor", "expected ASTFeatureExtractor .* found Wav2Vec2FeatureExtractor"),
        ("another length", "takes what its settings say, .* found that it does not"),
    ],
)
def test_a_file_or_folder_that_is_no_backbone_gives_one_line(case, told, tmp_path):
    with pytest.raises(DataError, match=told) as raised:
        describe(broken(tmp_path, case))
    assert "\n" not in str(raised.value)


def test_weights_that_lack_some_are_not_made_up(tmp_path):
    name = transformers_backbone(tmp_path, "ast")
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**config, "num_hidden_layers": 2}))
    with pytest.raises(DataError, match="expected all weights of its network, 16 are not there"):
        describe(name)


def test_paths_that_lead_nowhere_and_missing_packages(tmp_path, monkeypatch):
    with pytest.raises(DataError, match="expected an ONNX file, it does not exist"):
        describe(f"onnx:{tmp_path / 'none.onnx'}")
    with pytest.raises(DataError, match="there is no such folder.*hf download"):
        describe(f"transformers:{tmp_path / 'none'}")
    name = onnx_backbone(tmp_path)
    monkeypatch.setattr(importlib.util, "find_spec", lambda package: None)
    with pytest.raises(DataError, match="onnxruntime: pip install -r requirements-backbones.txt"):
        backbones.load_backbone(name, CPU)


def test_the_digest_is_that_of_the_network_and_its_settings(tmp_path):
    first = digest_of(onnx_backbone(tmp_path / "a"))
    (tmp_path / "a" / "README").write_text("x")
    assert digest_of(onnx_backbone(tmp_path / "a")) == digest_of(onnx_backbone(tmp_path / "b")) == first
    assert digest_of(onnx_backbone(tmp_path / "b", hop_samples=SETTINGS["hop_samples"] // 2)) != first
