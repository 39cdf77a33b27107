"""A table of experiments: the settings in which they differ, their metrics and durations."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ops.errors import DataError, nearest
from toolkit.runs.experiment import Experiment
from toolkit.runs.history import read_history
from toolkit.system.suggestions import nearest_path

# Always shown, after the settings. Seconds are those of training, see training_seconds.
RESULTS = ["folds", "folds_mean", "metric", "seconds"]


def find_experiments(folder: str | Path) -> list[Path]:
    """The directories of the experiments in a folder, by name. Raises DataError where there is none."""
    if not Path(folder).is_dir():
        raise DataError(f"{folder}: expected a folder of experiments, found none{nearest_path(folder)}")
    paths = sorted(path.parent for path in Path(folder).glob("*/config.json"))
    if not paths:
        raise DataError(f"{folder}: expected experiments (folders with a config.json), found none")
    return paths


def table_of(directories: Sequence[Path]) -> tuple[pd.DataFrame, list[DataError]]:
    """One row per experiment: its name, the settings in which these differ, and RESULTS; and what is broken.

    An experiment that cannot be read has no row but an error, which names the file.

    folds is "<done>/<all>", None of pretraining; folds_mean the mean of the done folds' metrics and metric
    the one over all out-of-fold predictions, NaN where there is none.
    """
    settings, results, errors = [], [], []
    for directory in directories:
        try:
            experiment = Experiment.load(directory)
            results.append(_results_of(experiment))
            settings.append(experiment.config.settings())
        except DataError as error:
            errors.append(error)
    names = list(dict.fromkeys(name for row in settings for name in row))
    differing = [name for name in names if len({repr(row.get(name)) for row in settings}) > 1]
    rows = [
        {**{name: config.get(name) for name in differing}, **found}
        for config, found in zip(settings, results, strict=True)
    ]
    return pd.DataFrame(rows, columns=["experiment", *differing, *RESULTS]), errors


def _results_of(experiment: Experiment) -> dict[str, Any]:
    trained, metric = experiment.fold_results(), experiment.results().get("metric")
    metrics = [found["metric"] for found in trained.values() if found["metric"] is not None]
    return {
        "experiment": experiment.directory.name,
        "folds": None if experiment.is_pretraining else f"{len(trained)}/{experiment.n_folds}",
        "folds_mean": float(np.mean(metrics)) if metrics else np.nan,
        "metric": np.nan if metric is None else metric,
        "seconds": training_seconds(experiment),
    }


def training_seconds(experiment: Experiment) -> float:
    """Seconds of all recorded epochs, summed over folds; epochs of older versions, without a time, add 0.

    Pauses between an interruption and its --resume do not count; folds trained at the same time count each.
    """
    paths = map(experiment.history, range(experiment.n_folds))
    epochs = [epoch for path in paths if path.exists() for epoch in read_history(path)]
    return float(np.nansum([epoch.seconds for epoch in epochs]))


def sorted_by(table: pd.DataFrame, column: str) -> pd.DataFrame:
    """Rows ordered by a column: numbers highest first, text from A; what is missing comes last."""
    column = {"time": "seconds"}.get(column, column)  # as it is headed
    if column not in table:
        raise DataError(
            f"--sort: expected one of the columns {', '.join(table.columns)}, got "
            f"{column!r}{nearest(column, table.columns)}"
        )
    numbers = [isinstance(value, int | float) for value in table[column].dropna()]
    if all(numbers):
        values = pd.to_numeric(table[column])
        return table.loc[values.sort_values(ascending=False, kind="stable").index]
    return table.loc[table[column].map(str, na_action="ignore").sort_values(kind="stable").index]


def printed(table: pd.DataFrame) -> list[list[str]]:
    """Rows of a table to print, heading first: rounded metrics, seconds as hours, minutes and seconds."""
    heading = [{"seconds": "time"}.get(name, name) for name in table.columns]
    rows = table.itertuples(index=False, name=None)
    return [heading, *([_printed(*cell) for cell in zip(table, row, strict=True)] for row in rows)]


def _printed(column: str, value: object) -> str:
    if pd.isna(value):
        return "-"
    if column == "seconds":
        return as_clock(value)
    if column in ("metric", "folds_mean"):
        return f"{value:.4f}"
    return f"{value:g}" if isinstance(value, float) else str(value)


def as_clock(seconds: float) -> str:
    """0:00:07, 1:02:03, 25:00:00: hours, minutes and seconds."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}"
