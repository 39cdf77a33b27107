"""Class maps, and label cells ("Bark,Run,?Meow") <-> multi-hot arrays."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from ops.errors import DataError
from toolkit.clips.cells import UNKNOWN, join_labels, named_labels, split_labels, unknown_labels
from toolkit.clips.spellings import KnownLabels
from toolkit.system.files import read_json


def class_index(classes: Iterable[str]) -> dict[str, int]:
    """The class map of these names, in their order: {name: 0..C-1}."""
    return {name: index for index, name in enumerate(classes)}


def make_class_map(cells: Iterable[str]) -> dict[str, int]:
    """Sorted class names of all cells -> indices 0..C-1."""
    return class_index(sorted({name for cell in cells for name in named_labels(cell)}))


def load_class_map(path: str | Path) -> dict[str, int]:
    """Reads a class map, {class name: index}, in the order of its indices.

    Raises DataError unless it is a JSON object whose values are 0..C-1, each once.
    """
    expected = "a class map, a JSON object {class name: index 0..C-1}"
    remedy = "make it with create_class_map.py"
    content = read_json(path, f"{expected} ({remedy})")
    if not isinstance(content, dict) or not content:
        raise DataError(f"{path}: expected {expected}, found {_short(content)}; {remedy}")
    for name, index in content.items():
        if type(index) is not int:
            raise DataError(f"{path}: expected {expected}, found {name!r}: {_short(index)}; {remedy}")
        if not name or name != name.strip():
            raise DataError(f"{path}: expected class names without outer spaces, found {name!r}; {remedy}")
        reason = why_no_class(name)
        if reason:  # else predictions could not be written, at the end of a training run
            raise DataError(f"{path}: {name!r} cannot be a class, {reason}; rename the class")
    if sorted(content.values()) != list(range(len(content))):
        raise DataError(
            f"{path}: expected the indices 0..{len(content) - 1}, each once, "
            f"found {_short(sorted(content.values()))}; {remedy}"
        )
    return dict(sorted(content.items(), key=lambda item: item[1]))


def encode_labels(
    cells: Iterable[str], class_map: dict[str, int], table: str | Path, fnames: Iterable[str]
) -> np.ndarray:
    """Label cells -> multi-hot (clips, classes) float32, NaN where nobody knows.

    Raises DataError naming the table, the first clip and all labels that the class map lacks, with what
    the first of them may mean; and where a cell has a label with and without a question mark.
    """
    cells = list(cells)
    multi_hot = np.zeros((len(cells), len(class_map)), dtype=np.float32)
    unknown: dict[str, tuple[str, str]] = {}  # label -> clip and cell
    for row, (cell, fname) in enumerate(zip(cells, fnames, strict=True)):
        for name in split_labels(cell):
            index = class_map.get(name)
            if index is None:
                unknown.setdefault(name, (fname, cell))
            else:
                multi_hot[row, index] = 1.0
        for name in unknown_labels(cell):
            index = class_map.get(name)
            if index is None:
                unknown.setdefault(name, (fname, cell))
            elif multi_hot[row, index] == 1:
                raise DataError(
                    f"{table}: expected a label of clip {fname!r} either with {UNKNOWN!r} or without, found "
                    f"{name!r} in both ways in {cell!r}; leave one"
                )
            else:
                multi_hot[row, index] = np.nan
    if unknown:
        fname, cell = next(iter(unknown.values()))
        told = KnownLabels(class_map).unknown(cell)
        n_more = len(unknown.keys() - named_labels(cell)) + len(told) - 1
        more = f" and {n_more} more labels" if n_more else ""
        raise DataError(
            f"{table}: label {told[0]} of clip {fname!r}{more} not in the class map of "
            f"{len(class_map)} classes; correct the table, or make the class map from it with "
            "create_class_map.py"
        )
    return multi_hot


def decode_labels(multi_hot: np.ndarray, class_names: list[str]) -> list[str]:
    """Multi-hot (clips, classes), NaN where nobody knows -> label cells, names in class-map order."""
    return [
        join_labels(
            f"{UNKNOWN}{class_names[i]}" if np.isnan(row[i]) else class_names[i] for i in np.flatnonzero(row)
        )
        for row in multi_hot
    ]


def why_no_class(name: str) -> str:
    """Why nothing can be called so: tables of labels or predictions would read otherwise; or nothing."""
    if name.startswith(UNKNOWN):
        return f"in tables {UNKNOWN!r} before a label says that nobody knows"
    if name == "fname":
        return "predictions have a column of this name"
    try:
        name.encode()  # JSON can spell half a surrogate pair
    except UnicodeEncodeError:
        return "it is no text that a column of predictions could have"
    return ""


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
