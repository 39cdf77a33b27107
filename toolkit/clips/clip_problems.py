"""What is wrong with the clips of tables: files examined side by side, doubles, files that no table lists."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ops.errors import DataError, raise_lack
from ops.sampling import SAMPLE_RATE
from toolkit.clips.cells import split_labels
from toolkit.clips.identity import SILENCE
from toolkit.clips.near_files import FolderNames
from toolkit.clips.problems import KINDS, Problem
from toolkit.clips.sound_files import (
    EmptyAudioError,
    ForeignAudioError,
    MissingAudioError,
    OverscaleAudioError,
    PartialAudioError,
    read_clip,
)
from toolkit.clips.sources import Source, clip_path
from toolkit.system.console import progress

KIND_OF_ERROR = {
    MissingAudioError: "missing",
    EmptyAudioError: "empty",
    ForeignAudioError: "sound that needs ffmpeg",
    PartialAudioError: "decoded in part",
    OverscaleAudioError: "beyond full scale",
}


@dataclass(frozen=True)
class Examined:
    """What a clip's file shows: (kind, detail) of its problems, its samples' number and digest."""

    found: list[tuple[str, str]]
    path: Path | None = None
    n_samples: int = 0
    sound: str = ""


def clip_problems(
    sources: Sequence[Source], examine: Callable[[Path], Examined], n_threads: int
) -> list[Problem]:
    """Problems of every clip's file."""
    readable = [source for source in sources if os.path.isdir(source.data_dir)]
    jobs = [(source, fname) for source in readable for fname in source.labels]
    problems: list[Problem] = []

    def run(job: tuple[Source, str]) -> Examined:
        source, fname = job
        try:
            path = clip_path(source.data_dir, fname)
        except DataError as error:
            return Examined([("unsafe fname", str(error))])
        try:
            return examine(path)
        except DataError as error:
            raise_lack(error)
            kind = KIND_OF_ERROR.get(type(error), "unreadable")
            detail = str(error).removeprefix(f"{path}: ") if KINDS[kind].detailed else str(error)
            detail = getattr(error, "found", detail)  # the remedy, the same for all, is the kind's
            return Examined([(kind, detail)])

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
    """The problems, those of missing clips with what file may be meant; folders are listed only for these.

    Where all clips of a table are missing, training without them is no way out.
    """
    n_missing = Counter(problem.table for problem in problems if problem.kind == "missing")
    lost = {s.table: s.data_dir for s in sources if n_missing[s.table] == len(s.labels) > 1}
    folders = {source.table: os.path.realpath(source.data_dir) for source in sources}
    names: dict[str, FolderNames] = {}
    told = []
    for problem in problems:
        if problem.kind == "missing":
            folder = folders[problem.table]
            names[folder] = names.get(folder) or FolderNames(folder)
            hint = names[folder].hint(problem.fname)
            detail = f"{problem.detail} ({hint})" if hint else problem.detail
            if problem.table in lost:
                remedy = f"none of its clips is there: check the folder, {lost[problem.table]}, and the names"
                problem = replace(problem, remedy=remedy)
            problem = replace(problem, hint=hint, detail=detail)
        told.append(problem)
    return told


def examine(path: Path, n_fft: int | None) -> Examined:
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
    return Examined(found, path, len(audio), sound)


def unlisted_files(sources: Sequence[Source], listed: set[str]) -> Iterator[Problem]:
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
