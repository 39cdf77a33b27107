"""A table of clips with its folder, and where in it a clip is."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from ops.errors import DataError


@dataclass
class Source:
    """A table and the folder of its clips; check_sources fills in the cells of its sound rows."""

    table: str
    data_dir: str
    role: str  # "curated", "noisy" or "test"
    labels: dict[str, str] = field(default_factory=dict)  # fname -> label cell
    clips: dict[str, tuple[Path, int]] = field(default_factory=dict)  # usable ones: path, samples
    is_whole: bool = False  # the table could be read to its end
    drop_known_bad: bool = False
    dropped: dict[str, str] = field(default_factory=dict)  # rows left out so: fname -> what is wrong
    group_column: str | None = None  # None: "group", where there is such a column
    fold_column: str | None = None  # likewise "fold"; of curated tables alone
    groups: dict[str, str] = field(default_factory=dict)  # fname -> what its clip belongs to
    folds: dict[str, int] = field(default_factory=dict)  # fname -> the fold that validates it, as given
    sounds: dict[str, str] = field(default_factory=dict)  # fname -> digest of its sound, of usable clips


def clip_path(data_dir: str | Path, fname: str) -> Path:
    """The clip's file. Raises DataError where fname leads out of data_dir (absolute, .., link)."""
    root = os.path.realpath(data_dir)
    path = os.path.join(data_dir, fname)
    if "\0" in fname or not os.path.realpath(path).startswith(os.path.join(root, "")):
        raise DataError(f"{fname!r} leads out of its folder {data_dir}; expected a file inside it")
    return Path(path)
