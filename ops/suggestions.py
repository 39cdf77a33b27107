"""What a user may have meant by a name that is not there."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable
from pathlib import Path


def nearest(name: str, names: Iterable[str]) -> str:
    """ " (nearest: 'Bark')", or an empty text where no name is like it."""
    names = list(names)
    near = difflib.get_close_matches(name, names, n=1)
    if not near:
        near = [other for other in names if other.lower() == name.lower()][:1]
    return f" (nearest: {near[0]!r})" if near else ""


def nearest_path(path: str | Path) -> str:
    """The same for a path that does not exist: the nearest name where its first missing part should be."""
    path = Path(path)
    while not path.parent.exists() and path.parent != path:
        path = path.parent
    try:
        entries = {entry: str(path.parent / entry) for entry in os.listdir(path.parent)}
    except OSError:
        return ""
    near = difflib.get_close_matches(path.name, entries, n=1)
    return f" (nearest: {entries[near[0]]!r})" if near else ""
