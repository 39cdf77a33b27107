"""The predictions that are blended: read from tables or experiments, joined by name; their weights."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from ops.blending import Fit, fit_with_guard, logit_mean
from ops.errors import DataError
from ops.metrics import lwlrap
from toolkit.clips.truth import truth_of
from toolkit.runs.experiment import Experiment
from toolkit.runs.out_of_fold import out_of_fold_predictions
from toolkit.runs.predictions import Predictions, read_predictions, write_predictions
from toolkit.system import console


def read_member(path: str | Path) -> Predictions:
    """A predictions table; of an experiment's directory its submission.csv."""
    if not Path(path).is_dir():
        return read_predictions(path)
    experiment = Experiment.load(path)
    experiment.require_classes()
    submission = experiment.predictions("submission")
    if not submission.exists():
        raise DataError(
            f"{submission}: expected the test predictions of all folds, found none; finish its folds with "
            "--sample_submission and --test_data_dir, or give the table that predict_2d_cnn.py wrote"
        )
    return read_predictions(submission, experiment.classes)


def read_member_out_of_fold(path: str | Path) -> Predictions:
    """A table of out-of-fold predictions; of an experiment's directory those of all its folds."""
    if not Path(path).is_dir():
        return read_predictions(path)
    experiment = Experiment.load(path)
    tables = out_of_fold_predictions(experiment, range(experiment.n_folds))
    fnames = [fname for table in tables for fname in table.fnames]
    return Predictions(fnames, tables[0].classes, np.concatenate([t.probabilities for t in tables]))


def stacked(tables: Sequence[Predictions], names: Sequence[str]) -> np.ndarray:
    """(models, clips, classes) of the first one's clips and classes, joined by name.

    Raises DataError where another has fewer or further clips or classes.
    """
    first, rows = tables[0], []
    for table, name in zip(tables, names, strict=True):
        for what, ours, theirs in (
            ("classes", table.classes, first.classes),
            ("clips", table.fnames, first.fnames),
        ):
            lacking, further = set(theirs) - set(ours), set(ours) - set(theirs)
            if lacking or further:
                found = f"lacks {min(lacking)!r}" if lacking else f"has {min(further)!r}, too"
                raise DataError(
                    f"{name}: expected the {len(theirs)} {what} of {names[0]}, but it {found} "
                    f"({len(lacking)} lacking, {len(further)} further); predict the same table with the "
                    "same class map"
                )
        columns = [table.classes.index(label) for label in first.classes]
        rows.append(table.rows_of(first.fnames, name)[:, columns])
    return np.stack(rows)


def write_blend(experiments: Sequence[Experiment], path: Path) -> float:
    """Writes the blend of the experiments' test predictions; returns lwlrap of that of out-of-fold ones.

    Both are means of logits, so that no shift of all of a clip's scores counts, which LSEP leaves free. No
    fold of any of them may have trained on the curated clips that the same fold of another validates: then
    the blend of these is out of fold, too.
    """
    write_predictions(path, _blend(experiments, read_member), with_sum=True)
    blend = _blend(experiments, read_member_out_of_fold)
    truth = truth_of(experiments[0].config.data.train_df, blend.fnames, blend.classes)
    return lwlrap(truth, blend.probabilities)


def _blend(experiments: Sequence[Experiment], read: Callable[[str], Predictions]) -> Predictions:
    paths = [str(experiment.directory) for experiment in experiments]
    tables = [read(path) for path in paths]
    if len(tables) == 1:
        return tables[0]  # to the last bit
    return Predictions(tables[0].fnames, tables[0].classes, logit_mean(stacked(tables, paths)))


def fit_members(
    paths: Sequence[str], names: Sequence[str], classes: Sequence[str], truth_df: str, n_folds: int, seed: int
) -> Fit:
    """Weights fitted to out-of-fold predictions: tables, or experiments' directories.

    Args:
        paths: a member each.
        names, classes: of the predictions that the weights are for.
        truth_df: labels of the clips, CSV fname,labels. Only clips that all members have count.
        n_folds, seed: parts of the guard, and seed of these.
    """
    tables = [read_member_out_of_fold(path) for path in paths]
    common = set.intersection(*(set(table.fnames) for table in tables))
    fnames = [fname for fname in tables[0].fnames if fname in common]
    if not fnames:
        raise DataError(f"{paths[0]}: expected clips that all of --out_of_fold have, found none")
    most = max(len(table.fnames) for table in tables)
    if len(fnames) < most:
        console.note(f"note: weights are fitted on the {len(fnames)} clips that all have (of up to {most})")
    if set(tables[0].classes) != set(classes):
        raise DataError(
            f"{paths[0]}: expected the classes of {names[0]}, found others; give the same models to "
            "--predictions and --out_of_fold"
        )
    tables = [Predictions(fnames, table.classes, table.rows_of(fnames, "")) for table in tables]
    scores = stacked(tables, paths)
    remedy = "give the table that the models were trained on"
    truth = truth_of(truth_df, fnames, tables[0].classes, remedy)
    labelled = (truth > 0.5).any(axis=1)
    if not labelled.any():
        raise DataError(f"{truth_df}: expected labels of the out-of-fold clips, found none")
    return fit_with_guard(truth[labelled], scores[:, labelled], n_folds, seed)


def weights_table(fit: Fit, names: Sequence[str]) -> list[list[str]]:
    """Rows of a table to print: what each member weighs."""
    return [
        ["weight", "predictions"],
        *([f"{w:.2f}", name] for w, name in zip(fit.weights, names, strict=True)),
    ]


def guard_table(fit: Fit) -> list[list[str]]:
    """Rows of a table to print: what the weights are worth."""
    return [
        ["out-of-fold lwlrap", ""],
        ["plain mean", f"{fit.mean:.4f}"],
        ["weights, nested", f"{fit.nested:.4f}  fitted without the clips that are scored"],
        ["weights, fitted on all", f"{fit.fitted:.4f}  on the same clips, so too high"],
    ]


def verdict(fit: Fit, forced: bool) -> str:
    """Whether the weights are used, and why, in a line; forced: whatever they are worth."""
    interval = f"nested - mean {fit.nested - fit.mean:+.4f}, 95 % interval {fit.low:+.4f} to {fit.high:+.4f}"
    if fit.is_worth_it:
        return f"the weights are worth it: {interval}"
    outcome = "used nonetheless (--force_weights)" if forced else "the plain mean is kept"
    return f"the weights are not worth it: {interval}; {outcome}"
