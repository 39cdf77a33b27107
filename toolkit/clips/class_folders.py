"""Tables of clips that lie in folders named after their classes: class/clip.wav."""

from __future__ import annotations

import hashlib
import os
import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path, PurePath

import numpy as np
import pandas as pd

from ops.errors import DataError
from ops.folds import stratified_group_folds
from toolkit.clips.cells import join_labels, split_labels
from toolkit.clips.labels import encode_labels, make_class_map, why_no_class
from toolkit.clips.problems import MAX_NAMED
from toolkit.clips.recordings import find_sounds
from toolkit.clips.sources import clip_path
from toolkit.system import console
from toolkit.system.suggestions import nearest_path

MAX_FOLDS = 20  # of which some are the test part
CLASS_FOLDERS = {"first": 0, "last": -1}  # which folder of a clip's path is its class


@dataclass(frozen=True)
class FolderLayout:
    """What the paths of clips below a folder mean.

    class_folder: which folder names the class, of CLASS_FOLDERS. group_folders: the others name the group.
    group_regex: is looked for in the path; its first bracket is the group, without brackets the whole match.
    """

    class_folder: str = "first"
    group_folders: bool = False
    group_regex: str | None = None

    @property
    def has_groups(self) -> bool:
        return self.group_folders or self.group_regex is not None

    def label_of(self, fname: str) -> str:
        """The class of a clip, "" where it lies in no folder."""
        folders = PurePath(fname).parts[:-1]
        name = folders[CLASS_FOLDERS[self.class_folder]] if folders else ""
        return unicodedata.normalize("NFC", name.strip())  # macOS spells accents as characters of their own

    def group_of(self, fname: str) -> str:
        """What a clip belongs to, "" where nothing says so."""
        if self.group_folders:
            folders = list(PurePath(fname).parts[:-1])
            del folders[CLASS_FOLDERS[self.class_folder]]
            return "/".join(folders)
        found = re.search(self.group_regex, fname) if self.group_regex else None
        if found is None:
            return ""
        return next(filter(None, found.groups()), "") if found.re.groups else found[0]


def table_of_folders(data_dir: str, layout: FolderLayout) -> pd.DataFrame:
    """A table fname,labels (and group, where the layout has groups) of all sounds below data_dir.

    A clip that lies in several classes' folders, the same to the last byte, is one row with all their labels.
    Raises DataError where there is no class folder, one cannot name a class, or a clip's name fits no table.
    """
    if not Path(data_dir).is_dir():
        near = nearest_path(data_dir)
        raise DataError(
            f"{data_dir}: expected a folder with a folder of clips for each class, found none{near}"
        )
    names, paths = find_sounds([data_dir])
    rows: dict[str, list[str]] = {}  # fname -> its labels
    first: dict[bytes, str] = {}
    alone, copies = [], []
    for fname, path, digest in zip(names, paths, _digests(paths), strict=True):
        label = layout.label_of(fname)
        if not label:
            alone.append(fname)
            continue
        _check_names(data_dir, fname, path, label)
        kept = first.setdefault(digest, fname) if digest else fname
        if kept != fname:
            copies.append(f"{kept} (also {fname})")
        if label not in rows.setdefault(kept, []):
            rows[kept].append(label)
    if not rows:
        raise DataError(
            f"{data_dir}: expected a folder of clips for each class, as {data_dir}/Bark/1.wav, found "
            f"{len(alone)} clips beside each other; move them into folders named after their classes"
        )
    for fnames, told in (
        (alone, "left out, in no class's folder"),
        (copies, "given twice, and kept once with the labels of both places"),
    ):
        if fnames:
            more = ", ..." if len(fnames) > MAX_NAMED else ""
            count, named = console.counted("clip", len(fnames)), ", ".join(fnames[:MAX_NAMED])
            console.warn(f"{data_dir}: {count} {told}: {named}{more}")
    cells = [join_labels(sorted(labels)) for labels in rows.values()]
    table = pd.DataFrame({"fname": list(rows), "labels": cells})
    if layout.has_groups:
        table["group"] = [layout.group_of(fname) for fname in rows]
        if not any(table["group"]):
            raise DataError(
                f"{data_dir}: no clip belongs to a group, as {next(iter(rows))!r}; check the group flag"
            )
    return table


def split(table: pd.DataFrame, test_size: float, seed: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """A training and a test part: about test_size of each class's clips, groups whole.

    The clips are dealt out to n folds of which k are the test part, k/n nearest to test_size. Raises
    DataError where there are too few clips, or groups of them.
    """
    groups = list(table["group"]) if "group" in table else [""] * len(table)
    n_units = len(set(filter(None, groups))) + groups.count("")
    share = Fraction(test_size).limit_denominator(min(MAX_FOLDS, n_units))
    if not 0 < share < 1:
        what = "groups of clips" if any(groups) else "clips"
        raise DataError(f"a test part of {test_size:g} of {n_units} {what} leaves one of the two parts empty")
    targets = encode_labels(table["labels"], make_class_map(table["labels"]), "the table", table["fname"])
    is_test = np.zeros(len(table), dtype=bool)
    folds = stratified_group_folds(targets, groups, share.denominator, seed)
    for _, (_, validation) in zip(range(share.numerator), folds, strict=False):
        is_test[validation] = True
    return table[~is_test].reset_index(drop=True), table[is_test].reset_index(drop=True)


def classes_without(table: pd.DataFrame, classes: Iterable[str]) -> list[str]:
    """The classes that no clip of a table carries."""
    carried = {name for cell in table["labels"] for name in split_labels(cell)}
    return [name for name in classes if name not in carried]


def _check_names(data_dir: str, fname: str, path: Path, label: str) -> None:
    if clip_path(data_dir, fname) != Path(data_dir, os.path.relpath(path, data_dir)):
        raise DataError(f"{data_dir}: the name of {fname!r} is no UTF-8, which a table must be; rename it")
    reason = why_no_class(label)
    if reason:
        raise DataError(f"{data_dir}: the folder {label!r} cannot be a class, {reason}; rename it")


def _digests(paths: Sequence[Path]) -> list[bytes]:
    """The same for files of the same bytes; b"" for a file whose size no other has."""
    sizes = [path.stat().st_size for path in paths]
    counts = pd.Series(sizes).value_counts()
    digests = []
    for path, size in zip(paths, sizes, strict=True):
        digest = b""
        if counts[size] > 1:
            with open(path, "rb") as file:
                digest = hashlib.file_digest(file, "blake2b").digest()
        digests.append(digest)
    return digests
