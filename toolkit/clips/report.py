"""All that is wrong with the clips of a run's tables, found at once and before training.

`check_sources` finds everything, as check_data.py does; `check_headers` what would stop a run.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path, PurePath

from ops.errors import DataError
from toolkit.clips.cells import named_labels, split_labels, unknown_labels
from toolkit.clips.clip_problems import Examined, clip_problems, doubles, examine, unlisted_files
from toolkit.clips.doubtful_labels import doubtful_labels
from toolkit.clips.identity import sound_digest
from toolkit.clips.labels import load_class_map
from toolkit.clips.problems import (
    DOUBTS,
    KINDS,
    KNOWN_BAD,
    NO_LABELS,
    SMALL_CLASS,
    UNUSABLE,
    MalformedRow,
    Problem,
    in_order,
)
from toolkit.clips.sound_files import (
    check_header,
    read_audio,
)
from toolkit.clips.sources import Source
from toolkit.clips.spellings import KnownLabels
from toolkit.clips.tables import column_of, has_column, is_weight, read_table, scan_table
from toolkit.system.console import counted
from toolkit.system.suggestions import nearest_path

# Curated clips that are known to be wrong: five of FSDKaggle2019 with others' labels, one without signal.
KNOWN_BAD_CLIPS = Path(__file__).resolve().parents[2] / "data" / "known_bad_clips.csv"


def check_sources(
    sources: Sequence[Source],
    classmap: str | None,
    n_folds: int,
    n_fft: int | None,
    n_threads: int,
) -> list[Problem]:
    """Reads all tables, every clip and the folders' listings; gives the problems in the order of KINDS.

    Args:
        sources: the tables of a run.
        classmap: path of the class map; None: labels are not compared with one.
        n_folds: classes with fewer curated clips are reported.
        n_fft: window of the front end in samples; None: no clip counts as too short.
        n_threads: clips read at a time.
    """
    problems, class_map = [], None
    if classmap is not None:
        try:
            class_map = load_class_map(classmap)
        except DataError as error:
            problems.append(_unusable(classmap, str(error)))
    problems += _table_problems(sources, class_map, n_folds)
    problems += _label_doubts(sources, class_map, n_folds)
    problems += clip_problems(sources, lambda path: examine(path, n_fft), n_threads)
    problems += doubles(sources)
    problems += unlisted_files(sources, {os.path.realpath(classmap)} if classmap else set())
    return in_order(problems)


def check_headers(
    sources: Sequence[Source], class_map: dict[str, int], decode: bool = False, n_folds: int = 1000
) -> list[Problem]:
    """The quick part of check_sources: from tables, headers and pieces of clips alone.

    Gives what would stop a run, and the warnings of DOUBTS, which are of labels.

    Fills in the sources' rows, usable clips, groups and given folds, which are less than n_folds. With
    `decode` every sample is read, which takes as long as an epoch's reading.
    """

    def probe(path: Path) -> Examined:
        n_samples = len(read_audio(path)) if decode else check_header(path)
        return Examined([], path, n_samples, sound_digest(partial(read_audio, path), n_samples))

    problems = _table_problems(sources, class_map, n_folds)
    problems += _label_doubts(sources, class_map, n_folds)
    problems += clip_problems(sources, probe, min(16, 4 * (os.cpu_count() or 1)))
    return in_order([one for one in problems if KINDS[one.kind].stops_training or one.kind in DOUBTS])


def _table_problems(
    sources: Sequence[Source], class_map: dict[str, int] | None, n_folds: int
) -> list[Problem]:
    problems: list[Problem] = []
    for source in sources:
        problems += _read_rows(source)
        if source.is_whole:
            problems += _read_groups(source)
            problems += _read_folds(source, n_folds) if source.role == "curated" else []
        if source.role == "curated":
            problems += _known_bad(source)
        if source.role != "test":
            problems += _label_problems(source, class_map)
        if source.role == "noisy" and source.is_whole and has_column(source.table, "weight"):
            problems += _weight_problems(source)
    return problems


def _read_rows(source: Source) -> Iterator[Problem]:
    columns = ["fname"] if source.role == "test" else ["fname", "labels"]
    rows: dict[str, list[int]] = {}
    try:
        for number, cells in scan_table(source.table, columns):
            if isinstance(cells, MalformedRow):
                yield Problem("malformed row", source.table, "", cells.found)
            elif not cells[0].strip():
                yield Problem("malformed row", source.table, "", f"row {number} has an empty fname")
            else:
                rows.setdefault(cells[0], []).append(number)
                source.labels.setdefault(cells[0], cells[-1])
        source.is_whole = True
        if not rows:
            yield _unusable(source.table, f"{source.table}: expected rows, found none")
    except DataError as error:
        yield _unusable(source.table, str(error))
    if not os.path.isdir(source.data_dir):
        near = nearest_path(source.data_dir)
        yield _unusable(
            source.table, f"{source.data_dir}: expected the folder with the clips, found none{near}"
        )
    for fname, numbers in rows.items():
        if len(numbers) > 1:
            yield Problem("duplicate fname", source.table, fname, f"in the rows {str(numbers)[1:-1]}")


def _read_groups(source: Source) -> Iterator[Problem]:
    name = source.group_column or "group"
    if source.group_column and source.role == "curated" and not has_column(source.table, name):
        yield _unusable(source.table, f"{source.table}: expected a column {name!r} of groups, found none")
    if source.group_column and source.role == "noisy" and not has_column(source.table, name):
        yield Problem("group column missing", source.table, "", f"{name!r}: its clips belong to no group")
    source.groups = {fname: group for fname, group in column_of(source.table, name).items() if group}


def _read_folds(source: Source, n_folds: int) -> Iterator[Problem]:
    name = source.fold_column or "fold"
    if source.fold_column and not has_column(source.table, name):
        yield _unusable(source.table, f"{source.table}: expected a column {name!r} of folds, found none")
    cells = column_of(source.table, name)
    of_group: dict[str, int] = {}
    for fname, cell in cells.items() if any(cells.values()) else ():
        found, group = "", source.groups.get(fname)
        if not cell.isdecimal() or int(cell) >= n_folds:
            found = f"{cell!r}, expected 0 to {n_folds - 1}"
        elif group and of_group.setdefault(group, int(cell)) != int(cell):
            found = f"fold {cell}, others of its group {group!r} in fold {of_group[group]}"
        else:
            source.folds[fname] = int(cell)
        if found:
            yield Problem("wrong fold", source.table, fname, found)


def _weight_problems(source: Source) -> Iterator[Problem]:
    for _, cells in scan_table(source.table, ["fname", "weight"]):
        if not isinstance(cells, MalformedRow) and not is_weight(cells[1]):
            yield Problem("wrong weight", source.table, cells[0], repr(cells[1]))


def _known_bad(source: Source) -> list[Problem]:
    known_bad = known_bad_clips(source.labels, must_exist=source.drop_known_bad)
    if not source.drop_known_bad:
        return [Problem(KNOWN_BAD, source.table, fname, error) for fname, error in known_bad.items()]
    source.dropped = known_bad
    for fname in known_bad:
        del source.labels[fname]
    return []


def _unusable(path: str, detail: str) -> Problem:
    return Problem(UNUSABLE, path, "", detail)


def _label_problems(source: Source, class_map: dict[str, int] | None) -> Iterator[Problem]:
    known = KnownLabels(class_map) if class_map is not None else None
    for fname, cell in source.labels.items():
        unknown = known.unknown(cell) if known else []
        if unknown:
            detail = f"{', '.join(unknown)} not in the class map"
            yield Problem("unknown label", source.table, fname, detail)
        for name in {*split_labels(cell)} & {*unknown_labels(cell)}:
            yield Problem("label with and without ?", source.table, fname, repr(name))
        if not split_labels(cell):
            yield Problem(NO_LABELS, source.table, fname, "its label cell names none that it carries")


def _label_doubts(
    sources: Sequence[Source], class_map: dict[str, int] | None, n_folds: int
) -> Iterator[Problem]:
    yield from _doubtful_labels([source for source in sources if source.role != "test"], class_map)
    for source in sources:
        if source.role == "curated" and source.is_whole:
            yield from _small_classes(source, class_map, n_folds)


def _doubtful_labels(sources: Sequence[Source], class_map: dict[str, int] | None) -> Iterator[Problem]:
    """Of all training tables together: a label may be rare in one and frequent in the other."""
    rows = [row for source in sources for row in source.labels.items()]
    names = {
        source.table: {name for cell in set(source.labels.values()) for name in named_labels(cell)}
        for source in sources
    }
    for kind, label, text in doubtful_labels(rows, class_map):
        tables = [table for table, of_table in names.items() if label in of_table] or list(names)
        yield Problem(kind, ", ".join(tables), "", text)


def _small_classes(source: Source, class_map: dict[str, int] | None, n_folds: int) -> Iterator[Problem]:
    of_class: dict[str, set[str]] = {}  # groups, or clips that are in none
    for fname, cell in source.labels.items():
        for name in split_labels(cell):
            of_class.setdefault(name, set()).add(source.groups.get(fname) or f"\0{fname}")
    what = "group" if source.groups else "clip"
    for name in class_map or sorted(of_class):
        count = len(of_class.get(name, ()))
        if count < n_folds:
            detail = f"{name!r} has {counted(what, count)} for {n_folds} folds"
            yield Problem(SMALL_CLASS, source.table, "", detail)


def known_bad_clips(fnames: Iterable[str], must_exist: bool = False) -> dict[str, str]:
    """Those of `fnames` that KNOWN_BAD_CLIPS names, in any folder and format -> what is wrong with them.

    Without that table there are none, unless it must exist: then DataError.
    """
    if not must_exist and not KNOWN_BAD_CLIPS.exists():
        return {}
    frame = read_table(KNOWN_BAD_CLIPS, ["fname", "error"])
    errors = {_stem(fname): error for fname, error in zip(frame["fname"], frame["error"], strict=True)}
    return {fname: errors[_stem(fname)] for fname in fnames if _stem(fname) in errors}


def _stem(fname: str) -> str:
    return PurePath(fname).stem
