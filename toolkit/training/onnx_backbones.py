"""A pretrained network in an ONNX file, with its settings in a JSON file beside it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ops.errors import DataError
from toolkit.system import console
from toolkit.system.files import read_json

SETTINGS = {
    "sample_rate": (int, "in Hz"),
    "window_samples": (int, "samples that the network takes at a time"),
    "hop_samples": (int, "samples from one window to the next"),
    "input": (str, "the input's name"),
    "output": (str, "the name of the output that holds the embedding"),
}
RATES = (1000, 192_000)
LOG_ERRORS = 3  # onnxruntime's level: warnings of its graph optimisations mean nothing to a user


class OnnxBackbone:
    """A graph from waveforms (batch, samples) to vectors (batch, size), see toolkit.training.backbones."""

    def __init__(self, path: Path, device: torch.device):
        self.path, settings = path, _settings(path)
        self.sample_rate, self.window, self.hop = (
            settings[name] for name in ("sample_rate", "window_samples", "hop_samples")
        )
        self.input, self.output = settings["input"], settings["output"]
        self.session = _session(path, device)
        self.is_single = self._check_graph(path)

    def _check_graph(self, path: Path) -> bool:
        """Raises DataError where the settings do not fit the graph; whether it takes one window at a time."""
        inputs = {one.name: one for one in self.session.get_inputs()}
        outputs = [one.name for one in self.session.get_outputs()]
        wrong = "correct the name in the JSON file beside it"
        if list(inputs) != [self.input]:
            raise DataError(
                f"{path}: expected one input {self.input!r}, found {', '.join(map(repr, inputs))}; {wrong}"
            )
        if self.output not in outputs:
            found = ", ".join(map(repr, outputs))
            raise DataError(f"{path}: expected an output {self.output!r}, found {found}; {wrong}")
        own, shape = inputs[self.input], inputs[self.input].shape
        fits = len(shape) == 2 and (not isinstance(shape[1], int) or shape[1] == self.window)
        if own.type != "tensor(float)" or not fits or (isinstance(shape[0], int) and shape[0] != 1):
            raise DataError(
                f"{path}: expected waveforms (batch, samples) as input, float32, with {self.window} samples "
                f"(window_samples) or any number, and 1 clip or any number, found {own.type} of {shape}; "
                "correct the JSON file beside it, or export the network so (docs/backbones.md)"
            )
        return isinstance(shape[0], int)

    def embed(self, windows: Sequence[Tensor]) -> Tensor:
        """See toolkit.training.backbones.Backbone; windows that are shorter are extended with silence."""
        batch = np.zeros((len(windows), self.window), dtype=np.float32)
        for row, window in enumerate(windows):
            batch[row, : len(window)] = window.cpu().numpy()
        batches = np.split(batch, len(batch)) if self.is_single else [batch]
        found = [self.session.run([self.output], {self.input: part})[0] for part in batches]
        return torch.from_numpy(np.concatenate(found).astype(np.float32))


def _settings(path: Path) -> dict[str, Any]:
    beside = path.with_name(f"{path.name}.json")
    found = read_json(beside, "the settings of the backbone (docs/backbones.md)")
    form = ", ".join(f"{name} ({what})" for name, (_, what) in SETTINGS.items())
    if not isinstance(found, dict) or set(found) != set(SETTINGS):
        names = ", ".join(map(str, found)) if isinstance(found, dict) else repr(found)[:80]
        raise DataError(f"{beside}: expected an object with {form}, found {names}; correct it")
    for name, (kind, what) in SETTINGS.items():
        if type(found[name]) is not kind:
            raise DataError(f"{beside}: {name}: expected {what}, found {found[name]!r}; correct it")
    if not RATES[0] <= found["sample_rate"] <= RATES[1]:
        raise DataError(
            f"{beside}: sample_rate: expected {RATES[0]} to {RATES[1]} Hz, found {found['sample_rate']}; "
            "correct it"
        )
    window, hop = found["window_samples"], found["hop_samples"]
    if not 1 <= hop <= window:
        raise DataError(
            f"{beside}: expected 1 <= hop_samples <= window_samples, found {hop} and {window}; correct it"
        )
    return found


def _session(path: Path, device: torch.device) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = torch.get_num_threads(), LOG_ERRORS
    providers: list[Any] = ["CPUExecutionProvider"]
    if device.type == "cuda":
        if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
            providers.insert(0, ("CUDAExecutionProvider", {"device_id": device.index or 0}))
        else:
            console.warn_once(
                "this onnxruntime has no GPU support: embeddings are computed on the CPU (pip install "
                "onnxruntime-gpu in its place)"
            )
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=providers)
    except Exception as error:  # its own classes, which share nothing but this
        reason = " ".join(str(error).split())[:200]
        raise DataError(
            f"{path}: expected an ONNX file, cannot be loaded ({reason}); export it anew"
        ) from error
