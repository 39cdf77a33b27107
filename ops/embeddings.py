"""What the embedding of a clip is: a pretrained network's vectors of its windows, their mean and maximum."""

from __future__ import annotations

import torch
from torch import Tensor

GRAMMAR = "onnx:FILE (as onnx:yamnet.onnx) or transformers:FOLDER (as transformers:ast/)"
KINDS = ("onnx", "transformers")
N_POOLED = 2  # mean and maximum


def parse_backbone(text: str) -> tuple[str, str]:
    """("onnx", FILE) or ("transformers", FOLDER); raises ValueError with the grammar for any other text."""
    kind, _, path = text.partition(":")
    if kind not in KINDS or not path:
        raise ValueError(f"backbone: expected {GRAMMAR}, got {text!r}")
    return kind, path


def window_starts(n_samples: int, window: int, hop: int) -> list[int]:
    """Where windows begin that cover a clip, `hop` samples apart.

    The last one ends with the clip and may overlap more; a clip shorter than a window is one alone.
    """
    last = max(0, n_samples - window)
    return [*range(0, last, hop), last]


def pool_windows(vectors: Tensor) -> Tensor:
    """(..., windows, size) of a clip, or of several -> (..., 2 * size): their mean, then their maximum."""
    return torch.cat([vectors.mean(dim=-2), vectors.amax(dim=-2)], dim=-1)
