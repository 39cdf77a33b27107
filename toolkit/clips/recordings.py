"""A person's own recordings: the sounds among files and folders, and words for scores."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import soundfile

from ops.errors import DataError
from toolkit.clips.foreign_files import FOREIGN_SUFFIXES, INSTALL, find_ffmpeg
from toolkit.clips.problems import MAX_NAMED
from toolkit.system import console, processes
from toolkit.system.suggestions import nearest_path

# libsndfile's formats by their usual names; RAW has no header, and MATLAB's and Octave's hold no sounds.
SUFFIXES = {f".{name.lower()}" for name in soundfile.available_formats()} - {".raw", ".mat4", ".mat5"} | {
    *(".mp3", ".oga", ".opus", ".aif", ".aifc", ".snd", ".wave")
}


def find_sounds(inputs: Sequence[str | Path]) -> tuple[list[str], list[Path]]:
    """Sound files named or in the named folders (and theirs), each once; folders in the order of names.

    A named file is taken whatever it is called; in a folder hidden files are left out, and those whose
    ending is no sound format's: a warning names them. Links to folders are followed, each folder once.
    Returns names, relative to the innermost folder that holds all inputs, and paths. Raises DataError
    where a path does not exist or a folder holds no sound.
    """
    found: dict[Path, None] = {}
    others: dict[Path, None] = {}
    suffixes = SUFFIXES | FOREIGN_SUFFIXES if find_ffmpeg() else SUFFIXES
    roots = []
    for given in inputs:
        path = Path(os.path.abspath(given))
        if path.is_dir():
            roots.append(path)
            files = _files_below(path)
            sounds = [file for file in files if file.suffix.lower() in suffixes]
            left_out = [file for file in files if file.suffix.lower() not in suffixes]
            if not sounds:
                endings = ", ".join(sorted(suffixes))
                named = f", but {_in_words(left_out)}" if left_out else ""
                raise DataError(f"{given}: expected a folder with sound files ({endings}), found none{named}")
            found.update(dict.fromkeys(sounds))
            others.update(dict.fromkeys(left_out))
        elif path.exists():
            roots.append(path.parent)
            found[path] = None
        else:
            raise DataError(f"{given}: expected a sound file or a folder, found none{nearest_path(given)}")
    for path in found:  # a file may be named that its folder's listing leaves out
        others.pop(path, None)
    if others and processes.rank() == 0:
        console.warn(f"left out, as their endings are no sound format's: {_in_words(list(others))}")
    root = os.path.commonpath(roots)
    # Names of files need not be UTF-8, a table must.
    names = [os.fsencode(os.path.relpath(path, root)).decode(errors="backslashreplace") for path in found]
    return names, list(found)


def _in_words(files: Sequence[Path]) -> str:
    """The number of files and the first names, those first that can be converted."""
    foreign = [file for file in files if file.suffix.lower() in FOREIGN_SUFFIXES]
    others = [file for file in files if file not in foreign]
    names = ", ".join(str(file) for file in [*foreign, *others][:MAX_NAMED])
    more = ", ..." if len(files) > MAX_NAMED else ""
    count = f"{len(foreign)} of them" if len(foreign) < len(files) else "they"
    remedy = f"; {count} may be sounds that only ffmpeg reads: {INSTALL}" if foreign else ""
    return " ".join(f"{len(files)} other files ({names}{more}){remedy}".splitlines())


def _files_below(folder: Path) -> list[Path]:
    """All but hidden ones; folders that links lead to come last, and none twice."""
    files, seen = [], set()

    def refuse(error: OSError) -> None:
        raise DataError(f"{error.filename}: the folder cannot be listed ({error.strerror})") from error

    to_walk = [folder]
    for start in to_walk:  # grows with the links that are found
        for root, folders, names in os.walk(start, onerror=refuse):
            real = os.path.realpath(root)
            if real in seen:
                folders.clear()
                continue
            seen.add(real)
            shown = sorted(name for name in folders if not name.startswith("."))
            to_walk += [Path(root, name) for name in shown if os.path.islink(os.path.join(root, name))]
            folders[:] = [name for name in shown if not os.path.islink(os.path.join(root, name))]
            files += [Path(root, name) for name in sorted(names) if not name.startswith(".")]
    return files


def highest_first(scores: np.ndarray, classes: Sequence[str]) -> np.ndarray:
    """(classes,) scores -> their order, highest first; those that tie by the names of their classes."""
    return np.lexsort((np.asarray(classes, dtype=object), -scores))


def in_words(scores: np.ndarray, classes: Sequence[str], top_k: int) -> str:
    """(classes,) scores -> "Bark 0.97, Growling 0.41": the highest top_k, highest first."""
    best = highest_first(scores, classes)[:top_k]
    return ", ".join(f"{classes[index]} {scores[index]:.2f}" for index in best)
