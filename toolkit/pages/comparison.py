"""What a page shows of several experiments, or of the rounds of a relabeling, side by side."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ops.errors import DataError
from ops.metrics import lwlrap_per_class
from toolkit.clips.tables import read_table
from toolkit.pages.report import figures, origin, plain_text, validated_clips
from toolkit.pages.template import build_page
from toolkit.rounds.plan import RoundsDirectory
from toolkit.runs.comparison import RESULTS, table_of
from toolkit.runs.experiment import Experiment
from toolkit.runs.history import read_history
from toolkit.runs.out_of_fold import OutOfFold
from toolkit.system.suggestions import nearest_path


def experiments_of_rounds(rounds_dir: str | Path) -> tuple[list[Experiment], list[list[str]]]:
    """The experiments of the finished rounds, and rounds.csv as rows, header first, without empty columns."""
    directory = RoundsDirectory(Path(rounds_dir))
    if not directory.report.is_file():
        near = "" if directory.path.exists() else nearest_path(rounds_dir)
        raise DataError(
            f"{directory.report}: expected the record of finished rounds, found none{near}; "
            "give the --rounds_dir of run_noisy_rounds.py"
        )
    table = read_table(directory.report, ["round", "experiment"], all_columns=True)
    experiments = [Experiment.load(directory.experiments / name) for name in table["experiment"]]
    table = table[[name for name in table if table[name].ne("").any()]]
    return experiments, [list(table), *table.to_numpy().tolist()]


def comparison_data(
    name: str, experiments: Sequence[Experiment], rounds: list[list[str]], train_df: str | None
) -> dict[str, Any]:
    """All that the page shows, as JSON's types.

    Args:
        rounds: rows of rounds.csv, header first; [] where the experiments are no rounds.
        train_df: the curated table, where it is no longer where training found it.
    """
    names = _distinct_names(experiments)
    validated = [
        validated_clips(experiment, train_df or experiment.config.data.train_df) for experiment in experiments
    ]
    known = [set(clips.fnames) for clips in validated if clips is not None]
    settings, broken = table_of([experiment.directory for experiment in experiments])
    if broken:
        raise broken[0]
    differing = [name for name in settings.columns if name not in ("experiment", *RESULTS)]
    return {
        "name": name,
        "rounds": rounds,
        "experiments": [
            {
                "name": own,
                "figures": None if clips is None else figures(clips),
                "folds": [len(experiment.fold_results()), experiment.n_folds],
                "curve": mean_curve(experiment),
                **origin(experiment),
            }
            for own, experiment, clips in zip(names, experiments, validated, strict=True)
        ],
        "same_clips": all(fnames == known[0] for fnames in known),
        "classes": class_rows(validated),
        "settings": [
            [name, *(plain_text(None if pd.isna(value) else value) for value in settings[name])]
            for name in differing
        ],
    }


def comparison_page(data: dict[str, Any]) -> str:
    """The HTML that shows comparison_data's."""
    scripts = ["dom", "chart", "tables", "comparison"]
    return build_page(f"{data['name']}: report", "comparison", ["base", "report"], scripts, data)


def mean_curve(experiment: Experiment) -> list[list[float]]:
    """[epoch, validation lwlrap], the mean over the folds whose record has the epoch."""
    values: dict[int, list[float]] = {}
    for fold in range(experiment.n_folds):
        path = experiment.history(fold)
        for row in read_history(path) if path.exists() else []:
            values.setdefault(row.epoch, []).append(row.valid_lwlrap)
    return [[epoch, float(np.mean(values[epoch]))] for epoch in sorted(values)]


def class_rows(validated: Sequence[OutOfFold | None]) -> list[list[Any]]:
    """[class, lwlrap in each experiment (None: no clips of it)], by name."""
    rows: dict[str, list[float | None]] = {}
    for column, clips in enumerate(validated):
        if clips is None:
            continue
        values = lwlrap_per_class(clips.truth, clips.scores)
        for name, value in zip(clips.classes, values, strict=True):
            rows.setdefault(name, [None] * len(validated))[column] = float(value)
    return [[name, *rows[name]] for name in sorted(rows)]


def _distinct_names(experiments: Sequence[Experiment]) -> list[str]:
    """The directories' names; where two are the same, their paths."""
    names = [experiment.directory.resolve().name for experiment in experiments]
    if len(set(names)) < len(names):
        names = [str(experiment.directory) for experiment in experiments]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise DataError(f"--experiment: expected different experiments, found {twice} twice")
    return names
