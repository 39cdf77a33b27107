"""What a run begins with: written once by `begin`, and compared when the run is resumed.

config.json             the configuration
clips.json              digests of the clips and labels of each table
validation_folds.csv    the fold that validates each curated clip: all others train on it
noisy_folds.csv         the folds that train on each noisy clip, or on others of its group or sound
skipped_clips.csv       clips that are left out, and why
command, commit_hash    command lines and commits that worked on it, in order
sessions.csv            when, and under which versions, on which device, processor and number of threads

Beside each CSV table that a run writes stands its digest, .<name>.sum: what reads the table notices one that
was cut short. Tables of earlier versions have none and are read as they are.
"""

from __future__ import annotations

import hashlib
import os
import platform
import shlex
import subprocess
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from ops.errors import DataError
from toolkit.clips.loading import Clip
from toolkit.clips.splits import Splits
from toolkit.clips.tables import read_table, write_table
from toolkit.runs.config import read_config
from toolkit.runs.experiment import Experiment
from toolkit.system.files import read_json, was_written, write_json, write_text

REPOSITORY = Path(__file__).resolve().parents[2]
SeenBy = dict[str, frozenset[int]]  # fname -> folds that trained on it
Mark = tuple[str, str]  # ("group", name) or ("sound", digest)
MARKS = ("group", "sound")  # what clips share that belong together; not in earlier versions' records
RESTART = "or give another --label to start anew"


def begin(
    experiment: Experiment, splits: Splits, seen: SeenBy, argv: Sequence[str], device: torch.device
) -> None:
    """Writes what the run begins with, or compares it with what its first session wrote.

    Raises DataError where a resumed run would go on with another configuration, other clips or other folds.

    Args:
        seen: the noisy clips, and those that the weights it starts from have seen.
    """
    data, path = experiment.config.data, experiment.path
    with experiment.locked():
        _write_or_compare(
            path("config.json"),
            lambda file: write_json(file, experiment.config.to_json()),
            lambda file: experiment.config.is_of(read_config(file)),
            "differs from the configuration of this command though the directory's name is the same; move "
            "the directory away, or give another --label",
        )
        _record_clips(experiment, splits)
        if seen or path("noisy_folds.csv").exists():
            _write_or_compare(
                path("noisy_folds.csv"),
                lambda file: _write_seen(file, seen, splits.noisy),
                lambda file: seen_noisy_clips(experiment) == seen,
                f"the noisy table has changed since this experiment began; restore it, {RESTART}",
            )
        rows = [
            (clip.fname, k, clip.group, clip.sound)
            for k, fold in enumerate(splits.folds)
            for clip in fold.validation
        ]
        _write_or_compare(
            path("validation_folds.csv"),
            lambda file: write_table(
                file, pd.DataFrame(rows, columns=["fname", "fold", *MARKS]), with_sum=True
            ),
            lambda file: (
                {name: fold for name, (fold, _) in _validating_folds(file).items()}
                == {name: fold for name, fold, *_ in rows}
            ),
            f"the folds have changed since this experiment began; restore {data.train_df}, {RESTART}",
        )
        if splits.skipped:
            frame = pd.DataFrame(splits.skipped, columns=["table", "fname", "error"])
            write_table(path("skipped_clips.csv"), frame, with_sum=True)
        _add_line(path("command"), shlex.join(argv))
        _record_session(experiment, device)
    if splits.skipped:
        experiment.log(
            f"warning: {len(splits.skipped)} unusable or known bad clips are left out, see skipped_clips.csv"
        )
    for note in splits.notes:
        experiment.log(f"warning: {note}")
    if splits.known_bad:
        experiment.log(
            f"warning: {len(splits.known_bad)} curated clips are known to be wrong "
            f"({', '.join(splits.known_bad)}); leave them out with --drop_known_bad"
        )


def _write_or_compare(
    path: Path, write: Callable[[Path], None], is_same: Callable[[Path], bool], complaint: str
) -> None:
    if not path.exists():
        write(path)
    elif not is_same(path):
        raise DataError(f"{path}: {complaint}")


def _record_clips(experiment: Experiment, splits: Splits) -> None:
    """clips.json: test clips may be given later than the others."""
    data = experiment.config.data
    development = [*splits.curated, *splits.holdout]
    found = {
        "curated": (data.train_df, [(clip.fname, *_told(clip.labels)) for clip in development]),
        "noisy": (
            data.noisy_train_df,
            [(clip.fname, clip.weight, *_told(clip.labels)) for clip in splits.noisy],
        ),
        "curated audio": (data.train_df, _sounds(development)),
        "noisy audio": (data.noisy_train_df, _sounds(splits.noisy)),
    }
    if splits.test_fnames:
        found["test"] = ("the test table", [(fname,) for fname in splits.test_fnames])
        found["test audio"] = ("the test table", _sounds(splits.test))
    path = experiment.path("clips.json")
    known = read_json(path, "the record of an experiment's clips") if path.exists() else {}
    if not isinstance(known, dict) or not all(isinstance(digest, str) for digest in known.values()):
        raise DataError(
            f"{path}: expected the record of an experiment's clips, a digest a table, found "
            f"{str(known)[:80]!r}; restore it, {RESTART}"
        )
    digests = {part: _digest(rows) for part, (_, rows) in found.items()}
    for part, (table, _) in found.items():
        if known.get(part, digests[part]) != digests[part]:
            what = f"{part} clips or their labels have"
            if part.endswith("audio"):
                what = f"sound of the {part.removesuffix(' audio')} clips has"
            raise DataError(
                f"{table}: the {what} changed since {experiment.directory} began; restore them, {RESTART}"
            )
    if digests | known != known:
        write_json(path, digests | known)


def _sounds(clips: Sequence[Clip]) -> list[tuple]:
    """What is compared of clips' audio: length and digest of pieces, see toolkit.clips.identity."""
    return [(clip.fname, clip.n_samples, clip.sound) for clip in clips]


def _told(labels: np.ndarray) -> list[str]:
    """Indices of the classes that a clip carries, and after "?" of those of which nobody knows.

    Of soft labels all values.
    """
    if ((labels > 0) & (labels < 1)).any():
        return [str(float(label)) for label in labels]
    return [f"?{i}" if np.isnan(labels[i]) else str(i) for i in labels.nonzero()[0]]


def _digest(rows: Iterable[tuple]) -> str:
    """16 hex digits, the same for the same rows in the same order."""
    digest = hashlib.sha256()
    for row in rows:
        digest.update(("\0".join(map(str, row)) + "\n").encode())
    return digest.hexdigest()[:16]


def _record_session(experiment: Experiment, device: torch.device) -> None:
    """Adds a row to sessions.csv; a warning where code or versions are others than those it began with."""
    commit, modified = code_version()
    commits = experiment.path("commit_hash")
    if commit not in (commits.read_text().split() if commits.exists() else ()):
        _add_line(commits, commit)
    path = experiment.path("sessions.csv")
    earlier = read_table(path, ["session"], all_columns=True) if path.exists() else pd.DataFrame()
    session = {
        "session": str(len(earlier) + 1),
        "started": datetime.now().isoformat(sep=" ", timespec="seconds"),
        "commit": commit,
        "modified": "yes" if modified else "no",
        "python": platform.python_version(),
        "torch": str(torch.__version__),
        "cuda": str(torch.version.cuda or ""),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
    }
    machine = {"threads": str(torch.get_num_threads()), "cpu": cpu_name()}
    row = pd.DataFrame([session | machine])
    write_table(path, pd.concat([earlier, row], ignore_index=True).fillna(""), with_sum=True)
    if len(earlier):
        # Other threads, or another processor's instructions, sum in another order.
        compared = session | machine if device.type == "cpu" else session
        first = {name: value for name, value in earlier.iloc[0].items() if value or name not in machine}
        differing = [name for name in list(compared)[2:] if compared[name] != first.get(name, compared[name])]
        if differing:
            found = ", ".join(f"{name} {first[name]} then, {compared[name]} now" for name in differing)
            experiment.log(
                f"warning: resumed under other versions or on another machine than it began with ({found}); "
                "results may differ in the last digits from those of a run that was never stopped"
            )


def cpu_name() -> str:
    """The processor by its name; empty where the system does not tell."""
    try:
        lines = Path("/proc/cpuinfo").read_text(errors="replace").splitlines()
    except OSError:
        return platform.processor()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def code_version() -> tuple[str, bool]:
    """The commit of this code ("unknown" outside a git checkout), and whether files were modified since."""
    commit = _git("rev-parse", "HEAD")
    return commit or "unknown", bool(commit and _git("status", "--porcelain", "--untracked-files=no"))


def _git(*arguments: str) -> str:
    """What git prints in this repository; empty where there is none."""
    try:
        return subprocess.run(
            ["git", "-C", str(REPOSITORY), *arguments],
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "GIT_OPTIONAL_LOCKS": "0"},
        ).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""


def _add_line(path: Path, line: str) -> None:
    write_text(path, (path.read_text() if path.exists() else "") + line + "\n")


def folds_that_see(splits: Splits) -> SeenBy:
    """The folds that train on each noisy clip, or on its unit, whichever of them a command trains."""
    seen: dict[str, set[int]] = {}
    for number, fold in enumerate(splits.folds):
        names = {clip.fname for clip in fold.training if clip.is_noisy}
        units = {clip.unit for clip in fold.training} - {""}
        for clip in splits.noisy:
            if clip.fname in names or clip.unit in units:
                seen.setdefault(clip.fname, set()).add(number)
    return {fname: frozenset(folds) for fname, folds in seen.items()}


def merge_seen(first: SeenBy, second: SeenBy) -> SeenBy:
    """A network that starts from another's weights has seen what that one saw."""
    return {
        fname: first.get(fname, frozenset()) | second.get(fname, frozenset())
        for fname in dict.fromkeys([*first, *second])
    }


def _write_seen(path: Path, seen: SeenBy, noisy: Sequence[Clip]) -> None:
    """noisy_folds.csv: columns fname and folds ("0" or "0,2"), group and sound."""
    marks = {clip.fname: (clip.group, clip.sound) for clip in noisy}
    rows = [
        (fname, ",".join(map(str, sorted(folds))), *marks.get(fname, ("", "")))
        for fname, folds in seen.items()
    ]
    write_table(path, pd.DataFrame(rows, columns=["fname", "folds", *MARKS]), with_sum=True)


def seen_noisy_clips(experiment: Experiment) -> SeenBy:
    """What noisy_folds.csv tells; empty for an experiment that saw no noisy clip."""
    return {fname: folds for fname, (folds, _) in _seen_noisy(experiment).items()}


def _seen_noisy(experiment: Experiment) -> dict[str, tuple[frozenset[int], list[Mark]]]:
    path = experiment.path("noisy_folds.csv")
    if not path.exists():
        if experiment.config.data.noisy_train_df:
            raise DataError(
                f"{path}: expected the folds that trained on each noisy clip, found no such file; the "
                "experiment was trained before it was recorded: train it anew, or leave out --out_of_fold"
            )
        if not was_written(path):
            return {}
    frame = read_table(path, ["fname", "folds"], all_columns=True)
    try:
        folds = [frozenset(int(part) for part in cell.split(",")) for cell in frame["folds"]]
    except ValueError as error:
        raise DataError(f'{path}: expected folds as "0" or "0,2" ({error}); train it anew') from error
    return dict(zip(frame["fname"], zip(folds, _marks_in(frame), strict=True), strict=True))


def validated_clips(experiment: Experiment) -> set[str]:
    """The curated clips that folds trained and validated on: none that is held out or left out."""
    return set(_validating_folds(experiment.path("validation_folds.csv")))


def _validating_folds(path: Path) -> dict[str, tuple[int, list[Mark]]]:
    frame = read_table(path, ["fname", "fold"], all_columns=True)
    try:
        folds = frame["fold"].astype(int)
    except ValueError as error:
        raise DataError(f"{path}: expected the number of a fold for each clip ({error})") from error
    return dict(zip(frame["fname"], zip(folds, _marks_in(frame), strict=True), strict=True))


def _marks_in(frame: pd.DataFrame) -> list[list[Mark]]:
    return [[(name, row[name]) for name in MARKS if row.get(name)] for row in frame.to_dict("records")]


def unseen_by(
    experiment: Experiment,
    folds: Sequence[int],
    fnames: Sequence[str],
    paths: Sequence[Path],
    marks: Sequence[Sequence[Mark]],
) -> np.ndarray:
    """(folds, clips) bool: whether that fold trained neither on that clip nor on one that belongs to it.

    A clip is known by its name (of a curated one also by its place: a file of the same name that lies
    elsewhere is another), by its sound whatever it is called, and by its group.

    Args:
        marks: of each clip ("group", its group) and ("sound", its digest), as far as they are known.
    """
    by_name: dict[str, frozenset[int]] = {}
    by_mark: dict[Mark, frozenset[int]] = {}

    def add(fname: str | None, own_marks: Sequence[Mark], seen: frozenset[int]) -> None:
        if fname is not None:
            by_name[fname] = by_name.get(fname, frozenset()) | seen
        for mark in own_marks:
            by_mark[mark] = by_mark.get(mark, frozenset()) | seen

    path, folder = experiment.path("validation_folds.csv"), Path(experiment.config.data.train_data_dir)
    all_folds, places = frozenset(range(experiment.n_folds)), dict(zip(fnames, paths, strict=True))
    if was_written(path):  # else trained before it was recorded
        for fname, (fold, own_marks) in _validating_folds(path).items():
            is_here = fname in places and not _are_two_files(places[fname], folder / fname)
            add(fname if is_here else None, own_marks, all_folds - {fold})
    for fname, (seen, own_marks) in _seen_noisy(experiment).items():
        add(fname, own_marks, seen)
    nothing: frozenset[int] = frozenset()
    seen_by = [
        nothing.union(by_name.get(fname, nothing), *(by_mark.get(mark, nothing) for mark in own))
        for fname, own in zip(fnames, marks, strict=True)
    ]
    return np.array([[fold not in seen for seen in seen_by] for fold in folds])


def _are_two_files(first: Path, second: Path) -> bool:
    try:
        return not first.samefile(second)
    except OSError:  # one is not there: moved, perhaps
        return False
