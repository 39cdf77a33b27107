"""Curated clips that are known to be wrong: five of FSDKaggle2019 with others' labels, one without signal."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path, PurePath

from toolkit.clips.tables import read_table

LIST = Path(__file__).resolve().parents[2] / "data" / "known_bad_clips.csv"


def known_bad_clips(fnames: Iterable[str], must_exist: bool = False) -> dict[str, str]:
    """Those of `fnames` that the list names, in any folder and format -> what is wrong with them.

    Without the list there are none, unless it must exist: then DataError.
    """
    if not must_exist and not LIST.exists():
        return {}
    frame = read_table(LIST, ["fname", "error"])
    errors = {_stem(fname): error for fname, error in zip(frame["fname"], frame["error"], strict=True)}
    return {fname: errors[_stem(fname)] for fname in fnames if _stem(fname) in errors}


def _stem(fname: str) -> str:
    return PurePath(fname).stem
