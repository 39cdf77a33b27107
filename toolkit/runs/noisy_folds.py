"""Which clips each fold of an experiment has seen in training, so that others score them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ops.errors import DataError
from toolkit.clips.splits import Tables, split_fold
from toolkit.clips.tables import read_table, write_table
from toolkit.runs.experiment import Experiment

Seen = dict[str, frozenset[int]]  # fname -> folds that trained on it
NAME, VALIDATION = "noisy_folds.csv", "validation_folds.csv"


def folds_of_noisy_clips(tables: Tables, data: dict[str, Any]) -> Seen:
    """The folds that train on each noisy clip, whichever of them this command trains."""
    seen: dict[str, set[int]] = {}
    for fold in range(data["n_folds"]) if tables.noisy else ():
        for clip in split_fold(tables, data, fold)[0]:
            if clip.is_noisy:
                seen.setdefault(clip.fname, set()).add(fold)
    return {fname: frozenset(folds) for fname, folds in seen.items()}


def united(first: Seen, second: Seen) -> Seen:
    """A network that starts from another's weights has seen what that one saw."""
    return {
        fname: first.get(fname, frozenset()) | second.get(fname, frozenset())
        for fname in dict.fromkeys([*first, *second])
    }


def record_noisy_folds(experiment: Experiment, seen: Seen) -> None:
    """Writes noisy_folds.csv, columns fname and folds ("0" or "0,2"), where there are noisy clips.

    Raises DataError where a resumed run would train on other noisy clips than it began with.
    """
    with experiment.locked():
        path = experiment.path(NAME)
        if path.exists():
            if read_noisy_folds(experiment) != seen:
                raise DataError(
                    f"{path}: the noisy table has changed since this experiment began; restore it, or give "
                    "another --label to start anew"
                )
        elif seen:
            cells = [",".join(map(str, sorted(folds))) for folds in seen.values()]
            write_table(path, pd.DataFrame({"fname": list(seen), "folds": cells}))


def read_noisy_folds(experiment: Experiment) -> Seen:
    """What record_noisy_folds wrote; empty for an experiment that saw no noisy clip."""
    path = experiment.path(NAME)
    if not path.exists():
        if experiment.config["data"].get("noisy_train_df"):
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


def record_validation_folds(experiment: Experiment, tables: Tables) -> None:
    """Writes validation_folds.csv, columns fname and fold: all others train on that curated clip."""
    data, path = experiment.config["data"], experiment.path(VALIDATION)
    with experiment.locked():
        if not path.exists():
            folds = range(data["n_folds"])
            rows = [(clip.fname, fold) for fold in folds for clip in split_fold(tables, data, fold)[1]]
            write_table(path, pd.DataFrame(rows, columns=["fname", "fold"]))


def folds_of_curated_clips(experiment: Experiment, fnames: Sequence[str], paths: Sequence[Path]) -> Seen:
    """The folds that train on those of these clips that are curated ones of the experiment.

    A file of the same name that lies elsewhere than the curated clip is another clip.
    """
    data, path = experiment.config["data"], experiment.path(VALIDATION)
    if not path.exists():
        return {}  # trained before it was recorded
    frame = read_table(path, ["fname", "fold"])
    validated = dict(zip(frame["fname"], frame["fold"].astype(int), strict=True))
    everyone = frozenset(range(data["n_folds"]))
    return {
        fname: everyone - {validated[fname]}
        for fname, path in zip(fnames, paths, strict=True)
        if fname in validated and not _are_two_files(path, Path(data["train_data_dir"]) / fname)
    }


def _are_two_files(first: Path, second: Path) -> bool:
    try:
        return not first.samefile(second)
    except OSError:  # one is not there: moved, perhaps
        return False


def unseen_folds(seen: Seen, fnames: Sequence[str], folds: Sequence[int]) -> np.ndarray:
    """(folds, clips) bool: whether that fold did not train on that clip."""
    nothing: frozenset[int] = frozenset()
    return np.array([[fold not in seen.get(fname, nothing) for fname in fnames] for fold in folds])
