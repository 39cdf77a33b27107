"""Heads on embeddings as one ONNX file with their backbone inside."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from ops.embeddings import parse_backbone
from ops.errors import DataError
from toolkit.prediction.model_files import EXAMPLE_SAMPLES, FreeSizes, finished, trace
from toolkit.runs.experiment import Experiment
from toolkit.training.backbones import load_trained_on

if TYPE_CHECKING:
    import onnx

    from toolkit.training.onnx_backbones import OnnxBackbone

OPSETS = (13, 20)  # that torch's tracing exporter writes


def backbone_of(experiment: Experiment, format_name: str) -> OnnxBackbone:
    """The network whose embeddings the experiment's heads take; DataError where no file can hold it."""
    text, digest, _ = experiment.config.embedding
    kind, path = parse_backbone(text)
    about = f"{experiment.directory}: a head on embeddings is exported together with its backbone, {text}"
    if kind != "onnx" or format_name != "onnx":
        raise DataError(
            f"{about}, as ONNX, and only one that is an ONNX file itself; use predict_2d_cnn.py, or train on "
            "the backbone's export (docs/backbones.md) and give --format onnx"
        )
    backbone = load_trained_on(text, digest, torch.device("cpu"))
    if backbone.is_single:
        raise DataError(
            f"{about}: expected one that takes any number of windows at a time, this takes one; export "
            f"{path} with a free first dimension (docs/backbones.md) and train anew"
        )
    return backbone


def to_onnx_with_backbone(
    windows: nn.Module,
    backbone: OnnxBackbone,
    heads: nn.Module,
    classes: list[str],
    tags: dict[str, Any] | None = None,
) -> bytes:
    """An ONNX model as model_files.to_onnx makes it, of the three, one behind the other.

    Args:
        windows: waveforms (batch, samples) -> windows (all, window) and starts (batch, windows).
        heads: the backbone's vectors (all, size) and starts -> probabilities (batch, classes).
    """
    import onnx
    from onnx import compose

    middle = onnx.load(backbone.path)
    waveform = torch.zeros(2, EXAMPLE_SAMPLES)
    with torch.no_grad():
        cut, starts = windows(waveform)
        vectors = backbone.embed(list(cut))
    of_windows = {"windows": {0: "all"}, "starts": {0: "batch", 1: "count"}}
    of_vectors = {"vectors": {0: "all"}, "starts": {0: "batch", 1: "count"}}
    before = _traced(windows, (waveform,), {"waveform": {0: "batch", 1: "samples"}}, of_windows, middle)
    after = _traced(heads, (vectors, starts), of_vectors, {"probabilities": {0: "batch"}}, middle)
    # The parts may use the same names within: only those of the whole stay what they are.
    before = compose.add_prefix(before, "windows/", rename_inputs=False)
    middle = compose.add_prefix(middle, "backbone/")
    _rename_sizes(middle.graph, "backbone/")
    after = compose.add_prefix(after, "heads/", rename_outputs=False)
    embedding = f"backbone/{backbone.output}"
    to_backbone = [("windows/windows", f"backbone/{backbone.input}")]
    to_heads = [(embedding, "heads/vectors"), ("windows/starts", "heads/starts")]
    joined = compose.merge_models(before, middle, to_backbone, outputs=[embedding, "windows/starts"])
    return finished(compose.merge_models(joined, after, to_heads), classes, tags)


def _rename_sizes(graph: onnx.GraphProto, prefix: str) -> None:
    """Puts a prefix before the names of free sizes: onnxruntime takes what is called alike to be as large.

    A backbone's `batch` is one of windows, that of the whole one of clips.
    """
    for value in [*graph.input, *graph.output, *graph.value_info]:
        for size in value.type.tensor_type.shape.dim:
            if size.dim_param:
                size.dim_param = prefix + size.dim_param


def _traced(
    module: nn.Module,
    example: tuple[torch.Tensor, ...],
    inputs: FreeSizes,
    outputs: FreeSizes,
    neighbour: onnx.ModelProto,
) -> onnx.ModelProto:
    """A part as ONNX of the same versions as its neighbour, whose path names it in errors."""
    from onnx.version_converter import ConvertError, convert_version

    opset = max(one.version for one in neighbour.opset_import if one.domain in ("", "ai.onnx"))
    traced = trace(module, example, inputs, outputs, opset=min(max(opset, OPSETS[0]), OPSETS[1]))
    if not OPSETS[0] <= opset <= OPSETS[1]:
        try:
            traced = convert_version(traced, opset)
        except (ConvertError, RuntimeError) as error:
            raise DataError(
                f"the backbone is of ONNX opset {opset}, which what surrounds it cannot be written in "
                f"({str(error)[:100]}); export it with one of {OPSETS[0]} to {OPSETS[1]}"
            ) from error
    traced.ir_version = neighbour.ir_version
    return traced
