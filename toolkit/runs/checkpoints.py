"""Checkpoints: plain data, written whole or not at all, loaded without running code."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import torch

from ops.errors import DataError
from toolkit.system.files import write_atomically


def save_checkpoint(path: str | Path, content: dict[str, Any]) -> None:
    """Writes a dict of tensors, numbers, strings, lists and dicts."""
    write_atomically(path, lambda file: torch.save(content, file))


def load_checkpoint(path: str | Path) -> dict[str, Any]:
    """Reads a checkpoint onto the CPU; DataError where it is missing, damaged or holds code."""
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise DataError(f"{path}: expected a checkpoint, cannot be read ({error.strerror})") from error
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, KeyError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DataError(
            f"{path}: expected a checkpoint of plain data, found a damaged or foreign file ({reason})"
        ) from error
    if not isinstance(content, dict) or "model" not in content:
        raise DataError(f"{path}: expected a checkpoint with the entry 'model', found none")
    return content


def load_weights(model: torch.nn.Module, path: str | Path) -> dict[str, Any]:
    """Loads a checkpoint's weights into the model; returns the checkpoint."""
    content = load_checkpoint(path)
    try:
        model.load_state_dict(content["model"])
    except (RuntimeError, TypeError, AttributeError) as error:
        raise DataError(
            f"{path}: its weights do not fit the network of this experiment's config.json "
            f"({' '.join(str(error).split())[:200]})"
        ) from error
    return content
