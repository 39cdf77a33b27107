"""Label cells ("Bark,Run") <-> names of classes: the one rule for commas."""

from __future__ import annotations

import re
from collections.abc import Iterable

# Of a run of commas, pairs from the left are commas of a name; a single one that is left over separates.
_NAME = re.compile(r"(?:[^,]|,,)+")


def split_labels(cell: str) -> list[str]:
    """The class names in a label cell: "Bark,Run" -> ["Bark", "Run"]; an empty cell has none.

    A comma of a name is doubled: "Speech,, kid,Bark" -> ["Speech, kid", "Bark"]. Blanks around names and
    names of nothing are left out.
    """
    if ",," not in cell:
        return [name for part in cell.split(",") if (name := part.strip())]
    return [name for part in _NAME.findall(cell) if (name := part.replace(",,", ",").strip())]


def join_labels(names: Iterable[str]) -> str:
    """The cell that split_labels gives these names for, which have no blanks around them."""
    doubled = [name.replace(",", ",,") for name in names]
    # A blank parts the separator from a name that begins with a comma.
    return ",".join(f" {name}" if row and name.startswith(",") else name for row, name in enumerate(doubled))
