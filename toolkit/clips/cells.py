"""Label cells ("Bark,Run,?Meow") <-> names of classes: the one rule for commas and question marks."""

from __future__ import annotations

import re
from collections.abc import Iterable

# Of a run of commas, pairs from the left are commas of a name; a single one that is left over separates.
_NAME = re.compile(r"(?:[^,]|,,)+")
UNKNOWN = "?"  # before a label: nobody knows whether the clip carries it


def split_labels(cell: str) -> list[str]:
    """The classes that a label cell says a clip carries: "Bark,Run,?Meow" -> ["Bark", "Run"].

    A comma of a name is doubled: "Speech,, kid,Bark" -> ["Speech, kid", "Bark"]. Blanks around names and
    names of nothing are left out; an empty cell has none.
    """
    names = _names(cell)
    return names if UNKNOWN not in cell else [name for name in names if not _is_unknown(name)]


def unknown_labels(cell: str) -> list[str]:
    """The classes of which a label cell says that nobody knows: "Bark,?Meow" -> ["Meow"]."""
    if UNKNOWN not in cell:
        return []
    return [name[1:].strip() for name in _names(cell) if _is_unknown(name)]


def named_labels(cell: str) -> list[str]:
    """All classes that a label cell names, carried ones first: "?Meow,Bark" -> ["Bark", "Meow"]."""
    return [*split_labels(cell), *unknown_labels(cell)]


def _is_unknown(name: str) -> bool:
    return name[0] == UNKNOWN and len(name) > 1


def _names(cell: str) -> list[str]:
    if ",," not in cell:
        return [name for part in cell.split(",") if (name := part.strip())]
    return [name for part in _NAME.findall(cell) if (name := part.replace(",,", ",").strip())]


def join_labels(names: Iterable[str]) -> str:
    """The cell that split_labels gives these names for, which have no blanks around them."""
    doubled = [name.replace(",", ",,") for name in names]
    # A blank parts the separator from a name that begins with a comma.
    return ",".join(f" {name}" if row and name.startswith(",") else name for row, name in enumerate(doubled))
