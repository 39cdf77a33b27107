"""Checkpoints: plain data, written whole or not at all, loaded without running code."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import torch

from ops.errors import DataError
from toolkit.runs.config import RunConfig
from toolkit.system.files import verified_archive, write_atomically

REMEDY = (
    "restore it from a copy, or train anew with another --label (of an unfinished fold remove last.pth: with "
    "--resume it begins again)"
)


def save_checkpoint(path: str | Path, content: dict[str, Any]) -> None:
    """Writes a dict of tensors, numbers, strings, lists and dicts."""
    write_atomically(path, lambda file: torch.save(content, file))


def snapshot(content: Any) -> Any:
    """The dict (or list, or value) with copies of its tensors on the CPU: training may change its own.

    Copied here and now: where torch.save copies tensors from a GPU it holds Python's lock meanwhile.
    """
    if isinstance(content, torch.Tensor):
        return content.detach().to("cpu", copy=True)
    if isinstance(content, dict):
        return {name: snapshot(value) for name, value in content.items()}
    return [snapshot(value) for value in content] if isinstance(content, list) else content


def load_checkpoint(path: str | Path, config: RunConfig | None = None) -> dict[str, Any]:
    """Reads a checkpoint onto the CPU; its checksums are compared, as torch.load does not.

    Raises DataError where it is missing, damaged or holds code, or where the network or the classes that
    it names are not those of the config.
    """
    archive = verified_archive(path, "a checkpoint of plain data", REMEDY)
    try:
        content = torch.load(archive, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, KeyError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DataError(
            f"{path}: expected a checkpoint of plain data, found a damaged or foreign file ({reason}); "
            f"{REMEDY}"
        ) from error
    if not isinstance(content, dict) or "model" not in content:
        raise DataError(f"{path}: expected a checkpoint with the entry 'model', found none; {REMEDY}")
    if config is not None:
        _check_config(content, config, path)
    return content


def _check_config(content: dict[str, Any], config: RunConfig, path: str | Path) -> None:
    """Raises DataError where a checkpoint names another network or other classes than the config."""
    wrong = f"it belongs to another experiment, or config.json was changed; {REMEDY}"
    classes = content.get("classes", config.data.classes)
    if classes != config.data.classes:
        raise DataError(
            f"{path}: expected the classes of this experiment's config.json, found "
            f"{_difference(classes, config.data.classes)}; {wrong}"
        )
    network = content.get("network", {})
    for name, value in network.items() if isinstance(network, dict) else ():
        if name in config.network and config.network[name] != value:  # earlier versions lack settings
            raise DataError(
                f"{path}: expected the network of this experiment's config.json, {name} "
                f"{config.network[name]!r}, found {value!r}; {wrong}"
            )


def _difference(found: Any, expected: list[str]) -> str:
    if not isinstance(found, list) or len(found) != len(expected):
        return f"{len(found) if isinstance(found, list) else 'no'} classes, not {len(expected)}"
    place, name, other = next(
        (place, *pair) for place, pair in enumerate(zip(found, expected, strict=True)) if pair[0] != pair[1]
    )
    return f"{name!r} in the place of {other!r} (class {place})"


def load_weights(
    model: torch.nn.Module, path: str | Path, config: RunConfig | None = None, partly: bool = False
) -> dict[str, Any]:
    """Loads a checkpoint's weights into the model; returns the checkpoint. config as in load_checkpoint.

    partly: weights that the checkpoint lacks stay as they are.
    """
    content = load_checkpoint(path, config)
    try:
        model.load_state_dict({**model.state_dict(), **content["model"]} if partly else content["model"])
    except (RuntimeError, TypeError, AttributeError) as error:
        raise DataError(
            f"{path}: its weights do not fit the network of this experiment's config.json "
            f"({' '.join(str(error).split())[:200]})"
        ) from error
    return content
