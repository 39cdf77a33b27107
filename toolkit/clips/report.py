"""All that is wrong with the clips of a run's tables, found at once and before training.

`check_sources` finds everything, as check_data.py does; `check_headers` what would stop a run.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePath

import numpy as np

from ops.errors import DataError, raise_lack
from ops.sampling import SAMPLE_RATE
from toolkit.clips.cells import split_labels, unknown_labels
from toolkit.clips.checks import clip_path
from toolkit.clips.doubtful_labels import doubtful_labels
from toolkit.clips.identity import SILENCE, sound_digest
from toolkit.clips.labels import load_class_map
from toolkit.clips.near_files import FolderNames
from toolkit.clips.problems import KINDS, KNOWN_BAD, UNUSABLE, MalformedRow, Problem, in_order
from toolkit.clips.sound_files import (
    EmptyAudioError,
    MissingAudioError,
    OverscaleAudioError,
    PartialAudioError,
    check_header,
    read_audio,
    read_clip,
)
from toolkit.clips.spellings import KnownLabels
from toolkit.clips.tables import column_of, has_column, is_weight, read_table, scan_table
from toolkit.system.console import progress
from toolkit.system.suggestions import nearest_path

# Curated clips that are known to be wrong: five of FSDKaggle2019 with others' labels, one without signal.
KNOWN_BAD_CLIPS = Path(__file__).resolve().parents[2] / "data" / "known_bad_clips.csv"
KIND_OF_ERROR = {
    MissingAudioError: "missing",
    EmptyAudioError: "empty",
    PartialAudioError: "decoded in part",
    OverscaleAudioError: "beyond full scale",
}


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
    problems += _doubtful_labels([source for source in sources if source.role != "test"], class_map)
    for source in sources:
        if source.role == "curated" and source.is_whole:
            problems += _small_classes(source, class_map, n_folds)
    problems += _clip_problems(sources, lambda path: _examine(path, n_fft), n_threads)
    problems += doubles(sources)
    problems += _unlisted_files(sources, {os.path.realpath(classmap)} if classmap else set())
    return in_order(problems)


def check_headers(
    sources: Sequence[Source], class_map: dict[str, int], decode: bool = False, n_folds: int = 1000
) -> list[Problem]:
    """The quick part of check_sources: what would stop a run, from tables, headers and pieces of clips alone.

    Fills in the sources' rows, usable clips, groups and given folds, which are less than n_folds. With
    `decode` every sample is read, which takes as long as an epoch's reading.
    """

    def probe(path: Path) -> _Examined:
        n_samples = len(read_audio(path)) if decode else check_header(path)
        return _Examined([], path, n_samples, sound_digest(path, n_samples))

    problems = _table_problems(sources, class_map, n_folds)
    problems += _clip_problems(sources, probe, min(16, 4 * (os.cpu_count() or 1)))
    return in_order([problem for problem in problems if KINDS[problem.kind].stops_training])


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
            yield Problem("without labels", source.table, fname, "its label cell names none that it carries")


def _doubtful_labels(sources: Sequence[Source], class_map: dict[str, int] | None) -> Iterator[Problem]:
    """Of all training tables together: a label may be rare in one and frequent in the other."""
    rows = [row for source in sources for row in source.labels.items()]
    names = {
        source.table: {
            name
            for cell in set(source.labels.values())
            for name in [*split_labels(cell), *unknown_labels(cell)]
        }
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
    what = "groups of clips" if source.groups else "clips"
    for name in class_map or sorted(of_class):
        count = len(of_class.get(name, ()))
        if count < n_folds:
            detail = f"{name!r} has {count} {what} for {n_folds} folds"
            yield Problem("class with fewer clips than folds", source.table, "", detail)


@dataclass(frozen=True)
class _Examined:
    """What a clip's file shows: (kind, detail) of its problems, its samples' number and digest."""

    found: list[tuple[str, str]]
    path: Path | None = None
    n_samples: int = 0
    sound: str = ""


def _clip_problems(
    sources: Sequence[Source], examine: Callable[[Path], _Examined], n_threads: int
) -> list[Problem]:
    """Problems of every clip's file."""
    readable = [source for source in sources if os.path.isdir(source.data_dir)]
    jobs = [(source, fname) for source in readable for fname in source.labels]
    problems: list[Problem] = []

    def run(job: tuple[Source, str]) -> _Examined:
        source, fname = job
        try:
            path = clip_path(source.data_dir, fname)
        except DataError as error:
            return _Examined([("unsafe fname", str(error))])
        try:
            return examine(path)
        except DataError as error:
            raise_lack(error)
            kind = KIND_OF_ERROR.get(type(error), "unreadable")
            detail = str(error).removeprefix(f"{path}: ") if KINDS[kind].detailed else str(error)
            return _Examined([(kind, detail)])

    with ThreadPoolExecutor(n_threads) as pool:
        results = progress(pool.map(run, jobs), total=len(jobs), desc="checking clips", unit="clip", delay=2)
        for (source, fname), examined in zip(jobs, results, strict=True):
            problems += [Problem(kind, source.table, fname, detail) for kind, detail in examined.found]
            if examined.path is not None:
                source.clips[fname] = examined.path, examined.n_samples
                source.sounds[fname] = examined.sound
    return _with_hints(problems, readable)


def doubles(sources: Sequence[Source]) -> Iterator[Problem]:
    """Clips that sound the same as one before them, and groups that training and test clips share."""
    first: dict[str, tuple[Source, str]] = {}
    for source in sorted(sources, key=lambda source: source.role == "test"):
        for fname, sound in source.sounds.items():
            if not sound:
                continue
            twin, name = first.setdefault(sound, (source, fname))
            if (twin, name) == (source, fname):
                continue
            kind = "same audio under several names"
            if source.role == "test" and twin.role != "test":
                kind = "same audio in training and test"
            elif source.role != "test" and {*split_labels(source.labels[fname])} != {
                *split_labels(twin.labels[name])
            }:
                kind = "same audio with other labels"
            yield Problem(kind, source.table, fname, f"as {name!r} of {twin.table}")
    trained = {group for source in sources if source.role != "test" for group in source.groups.values()}
    for source in sources:
        if source.role == "test":
            for group in sorted(trained & set(source.groups.values())):
                yield Problem("group in training and test", source.table, "", f"{group!r}")


def _with_hints(problems: Sequence[Problem], sources: Sequence[Source]) -> list[Problem]:
    """The problems, those of missing clips with what file may be meant; folders are listed only for these."""
    folders = {source.table: os.path.realpath(source.data_dir) for source in sources}
    names: dict[str, FolderNames] = {}
    told = []
    for problem in problems:
        if problem.kind == "missing":
            folder = folders[problem.table]
            names[folder] = names.get(folder) or FolderNames(folder)
            hint = names[folder].hint(problem.fname)
            detail = f"{problem.detail} ({hint})" if hint else problem.detail
            problem = replace(problem, hint=hint, detail=detail)
        told.append(problem)
    return told


def _examine(path: Path, n_fft: int | None) -> _Examined:
    """Everything about a clip."""
    header, audio = read_clip(path)
    found = []
    silent = bool(np.ptp(audio) < SILENCE)
    if silent:
        found.append(("silent", f"all its {len(audio)} samples are {audio[0]:.4g}"))
    if n_fft is not None and len(audio) < n_fft:
        found.append(("shorter than one window", f"{len(audio)} of {n_fft} samples"))
    if header.sample_rate != SAMPLE_RATE:
        found.append(("other sample rate", f"{header.sample_rate} Hz"))
    if header.channels > 1:
        found.append(("several channels", f"{header.channels} channels"))
    if header.surplus:
        found.append(("holds more than is read", header.surplus))
    # Silent clips of one length are all the same: they have no digest.
    sound = "" if silent else hashlib.blake2b(audio.data).hexdigest()
    return _Examined(found, path, len(audio), sound)


def _unlisted_files(sources: Sequence[Source], listed: set[str]) -> Iterator[Problem]:
    """Files of the folders that no table lists; folders may be shared, or lie within each other."""
    folders: dict[str, list[Source]] = {}
    for source in sources:
        folders.setdefault(os.path.realpath(source.data_dir), []).append(source)
        paths = [os.path.join(source.data_dir, fname) for fname in source.labels if "\0" not in fname]
        listed |= {os.path.realpath(path) for path in [source.table, *paths]}
    for folder, owners in folders.items():
        if not all(source.is_whole for source in owners):
            continue
        tables = ", ".join(source.table for source in owners)
        for parent, folders_below, names in os.walk(folder):
            folders_below[:] = [name for name in folders_below if not name.startswith(".")]
            for name in sorted(names):
                path = os.path.join(parent, name)
                real = os.path.realpath(path)
                if not name.startswith(".") and real not in listed:  # hidden files are the system's
                    listed.add(real)
                    fname = os.path.relpath(path, folder)
                    yield Problem("file that is not in the table", tables, fname, f"in {folder}")


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
