"""What a user may have meant by a path that does not exist."""

from __future__ import annotations

import difflib
import os
from pathlib import Path


def nearest_path(path: str | Path) -> str:
    """ " (nearest: 'data/train')": the nearest name where the first missing part should be, or nothing."""
    path = Path(path)
    while not path.parent.exists() and path.parent != path:
        path = path.parent
    try:
        entries = {entry: str(path.parent / entry) for entry in os.listdir(path.parent)}
    except OSError:
        return ""
    near = difflib.get_close_matches(path.name, entries, n=1)
    return f" (nearest: {entries[near[0]]!r})" if near else ""
