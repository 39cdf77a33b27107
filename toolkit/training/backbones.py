"""Pretrained networks that --backbone names: found, told apart by a digest, loaded, run on clips.

Nothing is downloaded: a network is a file or a folder on this machine.
"""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor
from torchaudio.transforms import Resample

from ops.embeddings import N_POOLED, parse_backbone, pool_windows, window_starts
from ops.errors import DataError
from ops.sampling import SAMPLE_RATE
from toolkit.system.suggestions import nearest_path

INSTALL = "pip install -r requirements-backbones.txt"
PACKAGES = {"onnx": "onnxruntime", "transformers": "transformers"}
# What a network's vectors depend on; a folder may hold much else.
WEIGHTS = ("*.safetensors", "pytorch_model*.bin")
EXTRACTORS = ("preprocessor_config.json", "processor_config.json")  # one of them says what it takes
SETTINGS = ("config.json", *EXTRACTORS, "*.index.json")
METHOD = b"mean and maximum over windows 1"  # another way of embedding clips gives other digests
MIN_SECONDS = 0.1  # a shorter clip is extended with silence
MAX_WINDOWS = 16  # that a network gets at a time
SHOWN_DIGITS = 16


class Backbone(Protocol):
    """A frozen network: windows of sound -> vectors.

    sample_rate: in Hz, of what it takes. window, hop: in its samples.
    """

    sample_rate: int
    window: int
    hop: int

    def embed(self, windows: Sequence[Tensor]) -> Tensor:
        """Windows, (samples,) float32 each, of at most `window` samples -> (windows, size) on the CPU."""


def describe(text: str) -> dict[str, Any]:
    """What a network's config says of a backbone, `onnx:FILE` or `transformers:FOLDER`, after trying it."""
    digest = digest_of(text)
    return {"backbone": text, "backbone_digest": digest, "embedding_size": _size(text, digest)}


@lru_cache(maxsize=8)
def _size(text: str, digest: str) -> int:
    """Numbers of a clip's embedding; tried once a process and digest."""
    return N_POOLED * _tried(text, load_backbone(text, torch.device("cpu")))


def _tried(text: str, backbone: Backbone) -> int:
    """The length of its vectors for two windows of noise; DataError where it cannot take them."""
    noise = torch.rand(2, backbone.window, generator=torch.Generator().manual_seed(0)) - 0.5
    said = f"{text}: expected a network that takes what its settings say, {backbone.window} samples at "
    said += f"{backbone.sample_rate} Hz, and gives a vector a window, "
    try:
        vectors = backbone.embed(list(noise))
    except (RuntimeError, ValueError, TypeError, IndexError) as error:
        reason = " ".join(str(error).split())[:200]
        raise DataError(f"{said}found that it does not ({reason}); correct the settings") from error
    if vectors.dim() != 2 or len(vectors) != 2 or not vectors.shape[1]:
        raise DataError(f"{said}found {tuple(vectors.shape)} for two windows; name another output")
    if not bool(torch.isfinite(vectors).all()):
        raise DataError(f"{said}found values that are not finite; its weights are damaged, fetch them anew")
    return vectors.shape[1]


def digest_of(text: str) -> str:
    """16 hex digits of the backbone's files. Raises DataError where they are not there."""
    kind, path = parse_backbone(text)
    digest = hashlib.sha256(METHOD)
    for file in _files_of(kind, Path(path)):
        digest.update(file.name.encode(errors="surrogateescape"))
        try:
            with open(file, "rb") as opened:
                digest.update(hashlib.file_digest(opened, "sha256").digest())
        except OSError as error:
            raise DataError(f"{file}: cannot be read ({error.strerror}); restore it") from error
    return digest.hexdigest()[:SHOWN_DIGITS]


def _files_of(kind: str, path: Path) -> list[Path]:
    if kind == "onnx":
        if not path.is_file():
            found = "found a folder" if path.is_dir() else f"it does not exist{nearest_path(path)}"
            raise DataError(f"--backbone onnx:{path}: expected an ONNX file, {found}; see docs/backbones.md")
        # Its settings beside it, and weights that ONNX keeps in a file of their own.
        beginning = f"{path.stem}."
        return sorted(
            one for one in path.parent.iterdir() if one.name.startswith(beginning) and one.is_file()
        )
    if not (path / "config.json").is_file():
        found = "none is there" if path.is_dir() else f"there is no such folder{nearest_path(path)}"
        raise DataError(
            f"--backbone transformers:{path}: expected a model's folder with a config.json, {found}; fetch "
            f"one where there is a network: hf download MODEL --local-dir {path}"
        )
    if not any(file for pattern in WEIGHTS for file in path.glob(pattern)):
        raise DataError(
            f"--backbone transformers:{path}: expected weights beside its config.json (model.safetensors or "
            f"pytorch_model.bin), found none; fetch them: hf download MODEL --local-dir {path}"
        )
    if not any((path / name).is_file() for name in EXTRACTORS):
        raise DataError(
            f"--backbone transformers:{path}: expected a preprocessor_config.json beside its config.json, "
            f"with the rate and form of its input, found none; fetch it: hf download MODEL --local-dir {path}"
        )
    return sorted({file for pattern in (*WEIGHTS, *SETTINGS) for file in path.glob(pattern)})


def load_backbone(text: str, device: torch.device) -> Backbone:
    """The network, on a device. Raises DataError where it or its package is not there or not usable."""
    kind, path = parse_backbone(text)
    _files_of(kind, Path(path))
    if importlib.util.find_spec(PACKAGES[kind]) is None:
        raise DataError(f"--backbone {kind}:... needs the package {PACKAGES[kind]}: {INSTALL}")
    # Each loads what it needs only here.
    if kind == "onnx":
        from toolkit.training.onnx_backbones import OnnxBackbone

        return OnnxBackbone(Path(path), device)
    from toolkit.training.transformers_backbones import load_transformer

    return load_transformer(Path(path), device)


def load_trained_on(text: str, digest: str, device: torch.device) -> Backbone:
    """The network; DataError where by its digest it is not the one that a head was trained on."""
    found = digest_of(text)
    if found != digest:
        raise DataError(
            f"{text}: expected the backbone whose embeddings the network was trained on, digest {digest}, "
            f"found another, {found}; put that one in its place, or train anew with this one "
            "(train_embedding_head.py without --resume)"
        )
    return load_backbone(text, device)


class ClipEmbedder:
    """Clips -> their embeddings by a backbone.

    Called with signal (batch, samples) float32 at 44,100 Hz on the device and lengths (batch,), it returns
    (batch, 2 * size) on the CPU; each clip's depends on that clip alone.
    """

    def __init__(self, backbone: Backbone, device: torch.device):
        self.backbone = backbone
        self.min_samples = int(MIN_SECONDS * backbone.sample_rate)
        self.resample = Resample(SAMPLE_RATE, backbone.sample_rate).to(device)

    @torch.inference_mode()
    def __call__(self, signal: Tensor, lengths: Tensor) -> Tensor:
        windows, counts = [], []
        for clip, length in zip(signal, lengths.tolist(), strict=True):
            own = self._windows_of(clip[:length])
            windows += own
            counts.append(len(own))
        parts = [
            self.backbone.embed(windows[at : at + MAX_WINDOWS]) for at in range(0, len(windows), MAX_WINDOWS)
        ]
        return torch.stack([pool_windows(own) for own in torch.cat(parts).float().split(counts)])

    def _windows_of(self, clip: Tensor) -> list[Tensor]:
        """Windows of a clip (samples,) at 44,100 Hz, at the backbone's rate."""
        clip = self.resample(clip)
        missing = max(0, self.min_samples - len(clip))
        clip = torch.nn.functional.pad(clip, (0, missing))
        starts = window_starts(len(clip), self.backbone.window, self.backbone.hop)
        return [clip[start : start + self.backbone.window] for start in starts]
