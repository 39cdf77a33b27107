"""A tagger as one file for other programs: ONNX or torch.export, and running what was written."""

from __future__ import annotations

import importlib.util
import io
import json
import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from ops.errors import DataError
from ops.sampling import SAMPLE_RATE

INSTALL = "pip install -r requirements-export.txt"
EXAMPLE_SAMPLES = SAMPLE_RATE  # the sizes of the example input are free in the file
Runner = Callable[[np.ndarray], np.ndarray]  # waveform (batch, samples) -> probabilities (batch, classes)


def to_onnx(module: nn.Module, classes: list[str]) -> bytes:
    """An ONNX model: input `waveform`, output `probabilities`, metadata `classes` and `sample_rate`.

    By torch's tracing exporter: its newer one cannot export a GRU of free length (torch 2.11).
    """
    import onnx

    file = io.BytesIO()
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # what tracing warns of is checked by running the file
        try:
            torch.onnx.export(
                module,
                (torch.zeros(2, EXAMPLE_SAMPLES),),
                file,
                dynamo=False,
                opset_version=17,
                input_names=["waveform"],
                output_names=["probabilities"],
                dynamic_axes={"waveform": {0: "batch", 1: "samples"}, "probabilities": {0: "batch"}},
            )
        except RuntimeError as error:
            if "2GiB" not in str(error) and "2GB" not in str(error):
                raise
            raise DataError(
                "an ONNX file holds at most 2 GB of weights; export with --format torch_export"
            ) from error
    model = onnx.load_from_string(file.getvalue())
    for key, value in _metadata(classes).items():
        model.metadata_props.add(key=key, value=value)
    onnx.checker.check_model(model)
    return model.SerializeToString()


def run_onnx(content: bytes) -> Runner:
    import onnxruntime

    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    return lambda waveform: session.run(None, {"waveform": waveform})[0]


def to_torch_export(module: nn.Module, classes: list[str]) -> bytes:
    """A torch.export archive; torch.export.load(path, extra_files=...) also gives the metadata."""
    free = torch.export.Dim.DYNAMIC
    example = (torch.zeros(2, EXAMPLE_SAMPLES),)
    file = io.BytesIO()
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        program = torch.export.export(module, example, dynamic_shapes=({0: free, 1: free},))
        torch.export.save(program, file, extra_files=_metadata(classes))
    return file.getvalue()


def run_torch_export(content: bytes) -> Runner:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        module = torch.export.load(io.BytesIO(content)).module()

    def run(waveform: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            return module(torch.from_numpy(waveform)).numpy()

    return run


def _metadata(classes: list[str]) -> dict[str, str]:
    return {"classes": json.dumps(classes, ensure_ascii=False), "sample_rate": str(SAMPLE_RATE)}


@dataclass(frozen=True)
class Format:
    """How a file is written and run, the packages it needs, and the heads it can hold."""

    write: Callable[[nn.Module, list[str]], bytes]
    run: Callable[[bytes], Runner]
    packages: tuple[str, ...]
    aggregations: tuple[str, ...]

    def missing_packages(self) -> list[str]:
        return [name for name in self.packages if importlib.util.find_spec(name) is None]


FORMATS = {
    "onnx": Format(to_onnx, run_onnx, ("onnx", "onnxruntime"), ("max", "rnn")),
    "torch_export": Format(to_torch_export, run_torch_export, (), ("max",)),
}
