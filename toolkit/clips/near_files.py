"""Why a clip of a table has no file, told by the names of the files that are there."""

from __future__ import annotations

import difflib
import os
import re
import unicodedata
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from urllib.parse import unquote

MAX_SEARCHED = 10  # names that the nearest is looked for by likeness, which takes long in a large folder
_BLANK_MARKS = "\ufeff\u200b\u2060"  # blanks to a reader, none to str.strip


class FolderNames:
    """The names of all files below a folder, listed once; tells which of them a missing name may mean."""

    def __init__(self, folder: str | Path):
        self._folder = os.path.basename(os.path.realpath(folder))
        self._names: dict[str, None] = {}
        for parent, folders, files in os.walk(folder):
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            below = os.path.relpath(parent, folder)
            prefix = "" if below == "." else f"{below}/"
            self._names.update(dict.fromkeys(prefix + name for name in sorted(files)))
        self._of_key: dict[str, str] = {}
        self._of_stem: dict[str, str] = {}
        self._of_number: dict[str, str] = {}
        self._of_base: dict[str, str] = {}
        for name in self._names:
            key = _key(name)
            stem, base = os.path.splitext(key)[0], os.path.basename(key)
            for spelled in (key, _key(unquote(name)), _key(_bare(name))):
                self._of_key.setdefault(spelled, name)
            self._of_stem.setdefault(stem, name)
            for short in (base, os.path.splitext(base)[0]):
                self._of_base.setdefault(short, name)
            if stem.isdigit():
                self._of_number.setdefault(stem.lstrip("0"), name)
        self._n_searched = 0

    def hint(self, fname: str) -> str:
        """ "exists with extension: '0a1b.wav'": the name that may be meant, and why, "" if none."""
        if fname.lstrip().startswith("#"):
            return "a comment? remove its row"
        spellings = list(_spellings(fname))
        for reasons, path in spellings:
            found = self._find(path)
            if found:
                return _told([*reasons, *found[0]], found[1])
        for reasons, path in spellings:  # with a folder's name before it, or without one
            for start in [place.end() for place in re.finditer("/+", path)]:
                found = self._find(path[start:])
                if found:
                    return _told([*reasons, f"without {path[:start]!r}", *found[0]], found[1])
        for reasons, path in spellings:
            below = self._of_base.get(_key(os.path.basename(path)))
            if below:
                return _told([*reasons, "in another folder"], below)
        return self._nearest(fname)

    def _find(self, path: str) -> tuple[list[str], str] | None:
        """How a file's name differs from the path, in words, and the name; None where there is none."""
        if path in self._names:
            return [], path
        if not path.strip():
            return None
        key = _key(path)
        stem, extension = os.path.splitext(key)
        name = self._of_key.get(key)
        if name is not None:
            return [_difference(path, name)], name
        name = self._of_stem.get(key)
        if name is not None:
            spelled = _difference(path, os.path.splitext(name)[0])
            return [*([spelled] if spelled else []), "with extension"], name
        if not re.fullmatch(r"\.[a-z]\w{0,4}", extension):
            stem = key  # "12345.0" has none
        elif stem in self._of_stem:
            return ["with another extension"], self._of_stem[stem]
        elif stem in self._of_key:
            return [f"without {extension!r}"], self._of_key[stem]
        number = stem
        name = self._of_number.get(number.lstrip("0")) if number.isdigit() else None
        return None if name is None else (["with other zeros before the number"], name)

    def _nearest(self, fname: str) -> str:
        self._n_searched += 1
        if self._n_searched > MAX_SEARCHED:
            return ""
        longest, numbers = max(2, len(fname) // 4), _numbers(fname)
        names = [name for name in self._names if abs(len(name) - len(fname)) <= longest]
        names = [name for name in names if _numbers(name) == numbers]  # other numbers are other clips
        near = difflib.get_close_matches(fname, names, n=1, cutoff=0.75)
        return f"nearest: {near[0]!r}" if near else ""


def _numbers(name: str) -> list[str]:
    return [digits.lstrip("0") for digits in re.findall(r"\d+", name)]


def _key(path: str) -> str:
    return unicodedata.normalize("NFC", path).casefold()


def _difference(path: str, name: str) -> str:
    """In words, what differs in a path and the name that was found by its key."""
    if path == name:
        return ""
    if _key(path) != _key(name):
        return "with percent-escapes" if _key(path) == _key(unquote(name)) else "with blanks at its ends"
    if unicodedata.normalize("NFC", path) == unicodedata.normalize("NFC", name):
        return "in another Unicode form"
    return "in other case" if path.casefold() == name.casefold() else "in other case and Unicode form"


def _bare(path: str) -> str:
    """Without blanks at its ends and before its extension."""
    return re.sub(r"\s+(\.\w+)$", r"\1", path.strip().strip(_BLANK_MARKS).strip())


_CHANGES = {
    "without blanks at its ends": lambda path: _bare(path),
    "with slashes": lambda path: path.replace("\\", "/"),
    "without percent-escapes": unquote,
    "as a whole number": lambda path: _whole(path),
}


def _whole(path: str) -> str:
    """ "12345.0", as pandas writes ids beside empty cells, without its decimals; an extension stays."""
    found = re.fullmatch(r"(.*?)(\d+)\.0+(\.[A-Za-z]\w*)?", path)
    if found:
        return found[1] + found[2] + (found[3] or "")
    found = re.fullmatch(r"\d\.\d+[eE]\+\d+", path)
    return str(int(float(path))) if found and float(path).is_integer() else path


def _spellings(fname: str) -> Iterator[tuple[list[str], str]]:
    """The name as it is, then with all combinations of changes that do something, few first."""
    changes = [(reason, change) for reason, change in _CHANGES.items() if change(fname) != fname]
    for count in range(len(changes) + 1):
        for chosen in combinations(changes, count):
            path = fname
            for _, change in chosen:
                path = change(path)
            yield [reason for reason, _ in chosen], path


def _told(reasons: list[str], name: str) -> str:
    return f"exists {', '.join(reasons)}: {name!r}"
