"""A tagger as one file for other programs: ONNX or torch.export, and checking what was written."""

from __future__ import annotations

import importlib.util
import io
import json
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from ops.errors import DataError
from ops.logits import sigmoid
from ops.sampling import SAMPLE_RATE
from toolkit.clips.checks import probe_clips, raise_if_any
from toolkit.clips.sound_files import read_audio
from toolkit.clips.tables import read_table
from toolkit.prediction.ensemble import load_best_model
from toolkit.runs.experiment import Experiment
from toolkit.runs.tag_rules import read_rules
from toolkit.system.console import progress
from toolkit.training.evaluation import require_finite

if TYPE_CHECKING:
    import onnx

INSTALL = "pip install -r requirements-export.txt"
OPSET = 17
EXAMPLE_SAMPLES = SAMPLE_RATE  # the sizes of the example input are free in the file
TOLERANCE = 1e-4  # of probabilities
RANDOM_SECONDS = (0.0001, 0.1, 1.0, 3.3, 12.0)  # of the signals to verify with where no clips are given
FreeSizes = Mapping[str, dict[int, str]]  # of inputs or outputs by name: dimensions of free size, by theirs
Runner = Callable[[np.ndarray], np.ndarray]  # waveform (batch, samples) -> probabilities (batch, classes)


def to_onnx(module: nn.Module, classes: list[str], tags: dict[str, Any] | None = None) -> bytes:
    """An ONNX model: input `waveform`, output `probabilities`, metadata classes, sample_rate and tags."""
    inputs, outputs = {"waveform": {0: "batch", 1: "samples"}}, {"probabilities": {0: "batch"}}
    return finished(trace(module, (torch.zeros(2, EXAMPLE_SAMPLES),), inputs, outputs), classes, tags)


def trace(
    module: nn.Module,
    example: tuple[torch.Tensor, ...],
    inputs: FreeSizes,
    outputs: FreeSizes,
    opset: int = OPSET,
) -> onnx.ModelProto:
    """A module as ONNX, by torch's tracing exporter: its newer one cannot export a GRU of free length (2.11).

    inputs, outputs: their names, and of each its dimensions of free size, by name.
    """
    import onnx

    file = io.BytesIO()
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # what tracing warns of is checked by running the file
        try:
            torch.onnx.export(
                module,
                example,
                file,
                dynamo=False,
                opset_version=opset,
                input_names=list(inputs),
                output_names=list(outputs),
                dynamic_axes={**inputs, **outputs},
            )
        except RuntimeError as error:
            if "2GiB" not in str(error) and "2GB" not in str(error):
                raise
            raise DataError(
                "an ONNX file holds at most 2 GB of weights; export with --format torch_export"
            ) from error
    return onnx.load_from_string(file.getvalue())


def finished(model: onnx.ModelProto, classes: list[str], tags: dict[str, Any] | None) -> bytes:
    """A model with its metadata, checked, as a file's content."""
    import onnx

    for key, value in _metadata(classes, tags).items():
        model.metadata_props.add(key=key, value=value)
    onnx.checker.check_model(model)
    return model.SerializeToString()


def run_onnx(content: bytes) -> Runner:
    import onnxruntime

    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    return lambda waveform: session.run(None, {"waveform": waveform})[0]


def to_torch_export(module: nn.Module, classes: list[str], tags: dict[str, Any] | None = None) -> bytes:
    """A torch.export archive; torch.export.load(path, extra_files=...) also gives the metadata."""
    free = torch.export.Dim.DYNAMIC
    example = (torch.zeros(2, EXAMPLE_SAMPLES),)
    file = io.BytesIO()
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        program = torch.export.export(module, example, dynamic_shapes=({0: free, 1: free},))
        torch.export.save(program, file, extra_files=_metadata(classes, tags))
    return file.getvalue()


def run_torch_export(content: bytes) -> Runner:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        module = torch.export.load(io.BytesIO(content)).module()

    def run(waveform: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            return module(torch.from_numpy(waveform)).numpy()

    return run


def _metadata(classes: list[str], tags: dict[str, Any] | None) -> dict[str, str]:
    found = {"classes": json.dumps(classes, ensure_ascii=False), "sample_rate": str(SAMPLE_RATE)}
    return found if tags is None else found | {"tags": json.dumps(tags)}


def tags_of(experiment: Experiment) -> dict[str, Any] | None:
    """What makes tags of the probabilities: `slope`, `intercept` and `thresholds`; None without tags.json."""
    rules = read_rules(experiment.path("tags.json"), experiment.classes)
    return None if rules is None else {**vars(rules.calibration), "thresholds": rules.thresholds.tolist()}


@dataclass(frozen=True)
class Format:
    """How a file is written and run, the packages it needs, and the heads it can hold."""

    write: Callable[[nn.Module, list[str], dict[str, Any] | None], bytes]
    run: Callable[[bytes], Runner]
    packages: tuple[str, ...]
    aggregations: tuple[str, ...]

    def missing_packages(self) -> list[str]:
        return [name for name in self.packages if importlib.util.find_spec(name) is None]


FORMATS = {
    "onnx": Format(to_onnx, run_onnx, ("onnx", "onnxruntime"), ("max", "rnn")),
    "torch_export": Format(to_torch_export, run_torch_export, (), ("max",)),
}


def check_format(experiment: Experiment, name: str) -> None:
    """Raises DataError where the format cannot hold the experiment's networks."""
    aggregation = experiment.config.network.get("aggregation_type")
    if aggregation not in FORMATS[name].aggregations:
        raise DataError(
            f"{experiment.directory}: --format {name} cannot hold networks with "
            f"--aggregation_type={aggregation}; export with --format onnx"
        )


def load_best_models(
    experiment: Experiment, build_network: Callable[[dict[str, Any]], nn.Module]
) -> dict[Path, nn.Module]:
    """The folds' best models by their checkpoints, in evaluation; DataError where a fold is not finished."""
    experiment.require_classes()
    missing = sorted(set(range(experiment.n_folds)) - set(experiment.fold_results()))
    if missing:
        raise DataError(f"{experiment.directory}: folds {missing} are not finished; train them (--resume)")
    return {
        experiment.checkpoint(fold, "best_model"): load_best_model(experiment, fold, build_network)
        for fold in range(experiment.n_folds)
    }


def clips_to_verify(table: str, data_dir: str, at_most: int) -> list[np.ndarray]:
    """The first clips of a table, (samples,) each."""
    fnames = read_table(table, ["fname"])["fname"].tolist()[:at_most]
    paths, lengths = probe_clips(fnames, data_dir, table)
    raise_if_any([length for length in lengths if isinstance(length, DataError)], table)
    return [read_audio(path) for path in paths]


def random_signals() -> list[np.ndarray]:
    """(samples,) float32 of RANDOM_SECONDS, always the same."""
    rng = np.random.default_rng(0)
    sizes = [int(seconds * SAMPLE_RATE) for seconds in RANDOM_SECONDS]
    return [rng.uniform(-0.5, 0.5, size).astype(np.float32) for size in sizes]


@torch.inference_mode()
def own_prediction(networks: Mapping[Path, nn.Module], signal: np.ndarray) -> np.ndarray:
    """(classes,) float64: what the networks of the checkpoints say of a clip, (samples,)."""
    logits = torch.stack([model(torch.from_numpy(signal)[None]) for model in networks.values()]).numpy()
    require_finite(logits, [f"a clip of {len(signal)} samples"], (), list(networks))
    return sigmoid(logits[:, 0]).mean(axis=0)


def verify(
    run: Runner, networks: Mapping[Path, nn.Module], signals: Sequence[np.ndarray], kind: str, output: Path
) -> str:
    """Compares what a file for `output` and the networks say of signals, (samples,) each, of a kind.

    Returns a sentence with the largest difference. Raises DataError where it is above TOLERANCE, or where a
    network's scores are not finite.
    """
    differences = [
        np.abs(run(signal[None])[0] - own_prediction(networks, signal)).max()
        for signal in progress(signals, desc="verifying", unit="clip")
    ]
    largest = float(np.max(differences))
    found = f"largest difference to the experiment's own probabilities: {largest:.1e}, {len(signals)} {kind}"
    if not largest <= TOLERANCE:
        raise DataError(f"{output}: not written, {found}; expected at most {TOLERANCE:g}")
    return found
