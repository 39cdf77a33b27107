"""What a release lays out has in common: names of clips in archives, and clips that it lacks."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection
from pathlib import Path, PurePosixPath

import pandas as pd

SUBMISSION = "sample_submission.csv"
AUDIO = (".wav", ".flac", ".ogg", ".mp3")


def visible_name(path: str) -> str | None:
    """The last part of a path in an archive; None for what is hidden."""
    parts = PurePosixPath(path).parts
    if any(part.startswith(".") or part == "__MACOSX" for part in parts):
        return None
    return parts[-1]


def visible_path(path: str) -> str | None:
    """A file's path as in its archive; None for what is hidden."""
    return path if visible_name(path) else None


def audio_name(path: str) -> str | None:
    """The same of sound files; None for others."""
    name = visible_name(path)
    return name if name and name.lower().endswith(AUDIO) else None


def audio_among(fnames: Collection[str]) -> Callable[[str], str | None]:
    """The place of these clips alone, for `unpack`."""
    wanted = set(fnames)
    return lambda path: name if (name := audio_name(path)) in wanted else None


def lacking_clips(output_dir: Path, part: str, table: pd.DataFrame) -> list[str]:
    """A line for the user where clips of a part's table are not in its folder."""
    there = set(os.listdir(output_dir / part))
    lacking = [fname for fname in table["fname"] if fname not in there]
    if not lacking:
        return []
    return [
        f"{output_dir / part}: the release lacks {len(lacking)} of the {len(table)} clips of its table "
        f"(first {lacking[0]!r}); remove their rows before training"
    ]
