"""Calibrations of experiments, fitted on their out-of-fold predictions."""

from __future__ import annotations

from collections.abc import Sequence

from ops.calibration import Calibration, fit_calibration
from ops.errors import DataError
from toolkit.runs.experiment import Experiment
from toolkit.runs.out_of_fold import read_out_of_fold


def calibration_of(experiment: Experiment) -> Calibration:
    """Fits on the experiment's out-of-fold predictions of its curated clips."""
    clips = read_out_of_fold(experiment, experiment.trained_folds(), experiment.config.data.train_df)
    try:
        return fit_calibration(clips.scores, clips.truth)
    except DataError as error:
        raise DataError(f"{experiment.directory}: {error}") from error


def calibrations_of(directories: Sequence[str], n_tables: int) -> list[Calibration]:
    """One calibration a prediction table, of as many experiments, or of one that made all tables."""
    if len(directories) not in (1, n_tables):
        raise DataError(
            f"--calibrate expects one --experiment, or one for each of the {n_tables} prediction tables; "
            f"got {len(directories)}"
        )
    found = [calibration_of(Experiment.load(path)) for path in directories]
    return found if len(found) == n_tables else found * n_tables
