"""Tiny pretrained networks on disk: an ONNX file, and folders of the transformers library."""

import json
from pathlib import Path

import numpy as np
import pytest

RATE, WINDOW, HOP = 8000, 2000, 1000
SIZE = 8  # of the ONNX network's vectors
SETTINGS = {
    "sample_rate": RATE,
    "window_samples": WINDOW,
    "hop_samples": HOP,
    "input": "waveform",
    "output": "embedding",
}


def filters() -> np.ndarray:
    """(SIZE, 64) waves of 125 Hz, 250 Hz, ..., which tell tones apart."""
    return np.sin(2 * np.pi * np.arange(1, SIZE + 1)[:, None] * np.arange(64) / 64).astype(np.float32)


def expected_vector(window: np.ndarray) -> np.ndarray:
    """What the ONNX network gives for a window, (WINDOW,) -> (SIZE,): the mean of each filter's magnitude."""
    windows = np.lib.stride_tricks.sliding_window_view(window, 64)
    return np.abs(windows @ filters().T).mean(axis=0)


def onnx_backbone(folder: Path, **settings: object) -> str:
    """Writes the network and its settings, some of them changed; what --backbone calls it."""
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    from onnx import TensorProto, helper, numpy_helper

    nodes = [
        helper.make_node("Unsqueeze", ["waveform", "axis"], ["channel"]),
        helper.make_node("Conv", ["channel", "filters"], ["filtered"]),
        helper.make_node("Abs", ["filtered"], ["magnitude"]),
        helper.make_node("GlobalAveragePool", ["magnitude"], ["mean"]),
        helper.make_node("Squeeze", ["mean", "last"], ["embedding"]),
    ]
    weights = {"axis": np.array([1]), "last": np.array([2]), "filters": filters()[:, None]}
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("waveform", TensorProto.FLOAT, ["batch", WINDOW])],
        [helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["batch", SIZE])],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    folder.mkdir(exist_ok=True)
    onnx.save(model, folder / "tiny.onnx")
    (folder / "tiny.onnx.json").write_text(json.dumps({**SETTINGS, **settings}))
    return f"onnx:{folder / 'tiny.onnx'}"


def _ast(transformers, folder):
    config = transformers.ASTConfig(
        hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32, max_length=64
    )
    transformers.ASTForAudioClassification(config).save_pretrained(folder)
    transformers.ASTFeatureExtractor(max_length=64).save_pretrained(folder)


def _clap(transformers, folder):
    audio = {
        "hidden_size": 16,
        "patch_embeds_hidden_size": 8,
        "depths": [1, 1],
        "num_attention_heads": [1, 2],
    }
    audio |= {"num_hidden_layers": 2, "spec_size": 64, "num_mel_bins": 32, "window_size": 4}
    text = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1, "intermediate_size": 8}
    text |= {"vocab_size": 16, "max_position_embeddings": 16}
    config = transformers.ClapConfig(text_config=text, audio_config=audio, projection_dim=12)
    transformers.ClapModel(config).save_pretrained(folder)
    extractor = {"feature_size": 32, "max_length_s": 1, "truncation": "rand_trunc"}
    transformers.ClapFeatureExtractor(**extractor).save_pretrained(folder)


def _of_waveforms(kind):
    def write(transformers, folder):
        config = getattr(transformers, f"{kind}Config")(
            hidden_size=16,
            num_hidden_layers=1,
            num_attention_heads=2,
            intermediate_size=32,
            conv_dim=(8, 8),
            conv_stride=(160, 2),  # as few frames as published ones have: attention takes their square
            conv_kernel=(200, 3),
            num_feat_extract_layers=2,
            num_conv_pos_embeddings=16,
            num_conv_pos_embedding_groups=2,
        )
        getattr(transformers, f"{kind}Model")(config).save_pretrained(folder)
        transformers.Wav2Vec2FeatureExtractor().save_pretrained(folder)

    return write


TRANSFORMERS = {
    "ast": _ast,
    "clap": _clap,
    "wav2vec2": _of_waveforms("Wav2Vec2"),
    "hubert": _of_waveforms("Hubert"),
    "wavlm": _of_waveforms("WavLM"),
    "data2vec": _of_waveforms("Data2VecAudio"),
}


def transformers_backbone(folder: Path, name: str) -> str:
    """Writes a network with random weights into a folder, as its library does; what --backbone calls it."""
    transformers = pytest.importorskip("transformers")
    import torch

    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    torch.manual_seed(0)
    TRANSFORMERS[name](transformers, folder)
    return f"transformers:{folder}"
