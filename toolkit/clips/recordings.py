"""A person's own recordings: the sounds among files and folders, and words for scores."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import soundfile

from ops.errors import DataError
from toolkit.system.suggestions import nearest_path

# libsndfile's formats by their usual names; RAW has no header, and MATLAB's and Octave's hold no sounds.
SUFFIXES = {f".{name.lower()}" for name in soundfile.available_formats()} - {".raw", ".mat4", ".mat5"} | {
    *(".mp3", ".oga", ".opus", ".aif", ".aifc", ".snd", ".wave")
}


def find_sounds(inputs: Sequence[str | Path]) -> tuple[list[str], list[Path]]:
    """Sound files named or in the named folders (and theirs), each once; folders in the order of names.

    A named file is taken whatever it is called; in a folder hidden files are left out, and those whose
    ending is no sound format's. Returns names, relative to the innermost folder that holds all
    inputs, and paths. Raises DataError where a path does not exist or a folder holds no sound.
    """
    found: dict[Path, None] = {}
    roots = []
    for given in inputs:
        path = Path(os.path.abspath(given))
        if path.is_dir():
            roots.append(path)
            sounds = _sounds_below(path)
            if not sounds:
                endings = ", ".join(sorted(SUFFIXES))
                raise DataError(f"{given}: expected a folder with sound files ({endings}), found none")
            found.update(dict.fromkeys(sounds))
        elif path.exists():
            roots.append(path.parent)
            found[path] = None
        else:
            raise DataError(f"{given}: expected a sound file or a folder, found none{nearest_path(given)}")
    root = os.path.commonpath(roots)
    # Names of files need not be UTF-8, a table must.
    names = [os.fsencode(os.path.relpath(path, root)).decode(errors="backslashreplace") for path in found]
    return names, list(found)


def _sounds_below(folder: Path) -> list[Path]:
    sounds = []
    for root, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        sounds += [
            Path(root, name)
            for name in sorted(files)
            if not name.startswith(".") and os.path.splitext(name)[1].lower() in SUFFIXES
        ]
    return sounds


def in_words(scores: np.ndarray, classes: Sequence[str], top_k: int) -> str:
    """(classes,) scores -> "Bark 0.97, Growling 0.41": the highest top_k, highest first."""
    best = np.argsort(-scores, kind="stable")[:top_k]
    return ", ".join(f"{classes[index]} {scores[index]:.2f}" for index in best)
