"""Heads on embeddings that no file can hold together with their backbone."""

from types import SimpleNamespace

import pytest

from ops.errors import DataError
from toolkit.prediction import backbone_files


@pytest.mark.parametrize(
    "backbone, form, expected",
    [
        ("transformers:ast", "onnx", "only one that is an ONNX file itself"),
        ("onnx:y.onnx", "torch_export", "only one that is an ONNX file itself"),
        ("onnx:y.onnx", "onnx", "this takes one; export y.onnx with a free first dimension"),
    ],
)
def test_what_cannot_be_exported_is_told(backbone, form, expected, monkeypatch):
    monkeypatch.setattr(backbone_files, "load_trained_on", lambda *_: SimpleNamespace(is_single=True))
    config = SimpleNamespace(embedding=(backbone, "0", 4))
    with pytest.raises(DataError, match=f"e/x: a head .* with its backbone, {backbone}.*{expected}"):
        backbone_files.backbone_of(SimpleNamespace(directory="e/x", config=config), form)
