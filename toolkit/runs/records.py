"""What a run begins with: written once by `begin`, and compared when the run is resumed.

config.json             the configuration
clips.json              digests of the clips and labels of each table
validation_folds.csv    the fold that validates each curated clip: all others train on it
noisy_folds.csv         the folds that train on each noisy clip
skipped_clips.csv       clips that are left out, and why
command, commit_hash    command lines and commits that worked on it, in order
sessions.csv            when, and under which versions, on which device, processor and number of threads
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
from toolkit.clips.splits import Splits
from toolkit.clips.tables import read_table, write_table
from toolkit.runs.config import read_config
from toolkit.runs.experiment import Experiment
from toolkit.system.files import read_json, write_json, write_text

REPOSITORY = Path(__file__).resolve().parents[2]
SeenBy = dict[str, frozenset[int]]  # fname -> folds that trained on it
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
                lambda file: _write_seen(file, seen),
                lambda file: seen_noisy_clips(experiment) == seen,
                f"the noisy table has changed since this experiment began; restore it, {RESTART}",
            )
        rows = [(clip.fname, k) for k, fold in enumerate(splits.folds) for clip in fold.validation]
        _write_or_compare(
            path("validation_folds.csv"),
            lambda file: write_table(file, pd.DataFrame(rows, columns=["fname", "fold"])),
            lambda file: _validating_folds(file) == dict(rows),
            f"the folds have changed since this experiment began; restore {data.train_df}, {RESTART}",
        )
        if splits.skipped:
            frame = pd.DataFrame(splits.skipped, columns=["table", "fname", "error"])
            write_table(path("skipped_clips.csv"), frame)
        _add_line(path("command"), shlex.join(argv))
        _record_session(experiment, device)
    if splits.skipped:
        experiment.log(
            f"warning: {len(splits.skipped)} unusable or known bad clips are left out, see skipped_clips.csv"
        )
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
        "curated": (data.train_df, [(clip.fname, *clip.labels.nonzero()[0]) for clip in development]),
        "noisy": (
            data.noisy_train_df,
            [(clip.fname, clip.weight, *clip.labels.nonzero()[0]) for clip in splits.noisy],
        ),
    }
    if splits.test_fnames:
        found["test"] = ("the test table", [(fname,) for fname in splits.test_fnames])
    path = experiment.path("clips.json")
    known = read_json(path, "the record of an experiment's clips") if path.exists() else {}
    digests = {part: _digest(rows) for part, (_, rows) in found.items()}
    for part, (table, _) in found.items():
        if known.get(part, digests[part]) != digests[part]:
            raise DataError(
                f"{table}: the {part} clips or their labels have changed since {experiment.directory} "
                f"began; restore them, {RESTART}"
            )
    if digests | known != known:
        write_json(path, digests | known)


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
    write_table(path, pd.concat([earlier, row], ignore_index=True).fillna(""))
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
    """The folds that train on each noisy clip, whichever of them a command trains."""
    seen: dict[str, set[int]] = {}
    for number, fold in enumerate(splits.folds):
        for clip in fold.training:
            if clip.is_noisy:
                seen.setdefault(clip.fname, set()).add(number)
    return {fname: frozenset(folds) for fname, folds in seen.items()}


def merge_seen(first: SeenBy, second: SeenBy) -> SeenBy:
    """A network that starts from another's weights has seen what that one saw."""
    return {
        fname: first.get(fname, frozenset()) | second.get(fname, frozenset())
        for fname in dict.fromkeys([*first, *second])
    }


def _write_seen(path: Path, seen: SeenBy) -> None:
    """noisy_folds.csv: columns fname and folds ("0" or "0,2")."""
    cells = [",".join(map(str, sorted(folds))) for folds in seen.values()]
    write_table(path, pd.DataFrame({"fname": list(seen), "folds": cells}))


def seen_noisy_clips(experiment: Experiment) -> SeenBy:
    """What noisy_folds.csv tells; empty for an experiment that saw no noisy clip."""
    path = experiment.path("noisy_folds.csv")
    if not path.exists():
        if experiment.config.data.noisy_train_df:
            raise DataError(
                f"{path}: expected the folds that trained on each noisy clip, found no such file; the "
                "experiment was trained before it was recorded: train it anew, or leave out --out_of_fold"
            )
        return {}
    frame = read_table(path, ["fname", "folds"])
    try:
        folds = [frozenset(int(part) for part in cell.split(",")) for cell in frame["folds"]]
    except ValueError as error:
        raise DataError(f'{path}: expected folds as "0" or "0,2" ({error}); train it anew') from error
    return dict(zip(frame["fname"], folds, strict=True))


def seen_curated_clips(experiment: Experiment, fnames: Sequence[str], paths: Sequence[Path]) -> SeenBy:
    """The folds that train on those of these clips that are curated ones of the experiment.

    A file of the same name that lies elsewhere than the curated clip is another clip.
    """
    path = experiment.path("validation_folds.csv")
    if not path.exists():
        return {}  # trained before it was recorded
    validating, folder = _validating_folds(path), Path(experiment.config.data.train_data_dir)
    all_folds = frozenset(range(experiment.n_folds))
    return {
        fname: all_folds - {validating[fname]}
        for fname, path in zip(fnames, paths, strict=True)
        if fname in validating and not _are_two_files(path, folder / fname)
    }


def _validating_folds(path: Path) -> dict[str, int]:
    frame = read_table(path, ["fname", "fold"])
    try:
        return dict(zip(frame["fname"], frame["fold"].astype(int), strict=True))
    except ValueError as error:
        raise DataError(f"{path}: expected the number of a fold for each clip ({error})") from error


def _are_two_files(first: Path, second: Path) -> bool:
    try:
        return not first.samefile(second)
    except OSError:  # one is not there: moved, perhaps
        return False


def unseen_by(seen: SeenBy, fnames: Sequence[str], folds: Sequence[int]) -> np.ndarray:
    """(folds, clips) bool: whether that fold did not train on that clip."""
    nothing: frozenset[int] = frozenset()
    return np.array([[fold not in seen.get(fname, nothing) for fname in fnames] for fold in folds])
