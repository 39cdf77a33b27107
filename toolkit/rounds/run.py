"""Rounds of relabeling as one resumable job: train, predict the noisy clips, relabel, train again.

toolkit.rounds.plan has the directory. Every step ends with a file written whole; a step whose file is there
is not done again.
"""

from __future__ import annotations

import copy
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from ops.errors import DataError
from ops.folds import split_holdout
from ops.relabeling import parse_mode
from toolkit.clips.checks import probe_clips
from toolkit.clips.tables import read_table, write_table
from toolkit.prediction.calibration import calibration_of
from toolkit.prediction.ensemble import (
    Prepare,
    load_member,
    note_on_seen_clips,
    readable_clips,
    report_bad_clips,
    score_clips,
)
from toolkit.rounds.blend import write_blend
from toolkit.rounds.plan import Plan, RoundsDirectory
from toolkit.rounds.report import report_of_round
from toolkit.rounds.tables import relabel_table
from toolkit.runs.experiment import Experiment
from toolkit.runs.predictions import write_predictions
from toolkit.system import console
from toolkit.system.files import write_text
from toolkit.system.interruption import StopRequest
from toolkit.training import warm_start
from toolkit.training.cross_validation import run_folds
from toolkit.training.fold import BuildNetwork, Runtime


def run_rounds(
    plan: Plan,
    directory: RoundsDirectory,
    build_network: BuildNetwork,
    prepare: Prepare,
    runtime: Runtime,
    noisy_truth_df: str | None,
    blend_rounds: int,
    argv: Sequence[str],
) -> list[dict[str, Any]]:
    """Runs the plan, or what is left of it, and blends the last rounds; returns the rows of rounds.csv."""
    directory.check_plan(plan)
    with directory.claimed():
        repeated = directory.repeated(plan)
        if repeated is not None:
            console.note(
                f"round {repeated} was the last, every fold on all kept clips: it is trained again, each "
                "fold on its share, so that it can be scored out of fold"
            )
            rows_before = directory.report.read_text(encoding="utf-8").splitlines(keepends=True)
            write_text(directory.report, "".join(rows_before[: repeated + 1]))
        directory.drop_changed(plan)
        directory.start(plan, argv)
        experiments: list[Experiment] = []
        rows: list[dict[str, Any]] = []
        for number in range(plan.n_rounds):
            if number:
                _relabel(number, plan, directory, experiments)
            config = round_config(number, plan, directory, experiments)
            experiments.append(_train(number, config, plan, directory, build_network, runtime, argv))
            if number < plan.n_predicting:
                _predict_noisy(number, experiments[-1], plan, directory, build_network, prepare, runtime)
            rows.append(report_of_round(number, plan, directory, experiments[-1], noisy_truth_df))
            _write_report(directory.report, rows)
        _blend(experiments[-blend_rounds:], directory.submission, plan)
    return rows


def round_config(
    number: int, plan: Plan, directory: RoundsDirectory, earlier: Sequence[Experiment]
) -> dict[str, Any]:
    """The config of a round's training run."""
    config = copy.deepcopy(plan.config)
    data, train = config["data"], config["train"]
    config["label"] = f"{config['label']}_{number}"
    data["share_noisy"] = plan.shares_noisy(number)
    if number == 0 or data["share_noisy"]:
        data.pop("cross_fit_noisy", None)
    if number == 0:
        data["noisy_train_df"] = data["noisy_train_data_dir"] = None
        return config
    data["noisy_train_df"] = str(directory.as_begun.table(number))
    tables = data["train_df"], plan.noisy_df, directory.table(number)
    n_curated, *counts = (plan.n_drawn(len(read_table(table, ["fname"]))) for table in tables)
    if data["holdout_size"]:
        n_curated = len(split_holdout(n_curated, data["holdout_size"], data["kfold_seed"])[0])
    epochs = plan.epochs(number, n_curated, *counts)
    # The same share of the epochs without augmentation as in round 0.
    train["switch_off_augmentations_on"] = train["switch_off_augmentations_on"] * epochs // train["epochs"]
    train["epochs"] = epochs
    if plan.warm_start:
        experiment = directory.as_begun.experiments / earlier[-1].directory.name
        train["init_from"] = warm_start.describe(str(experiment), plan.folds)
    return config


def _train(
    number: int,
    config: dict[str, Any],
    plan: Plan,
    directory: RoundsDirectory,
    build_network: BuildNetwork,
    runtime: Runtime,
    argv: Sequence[str],
) -> Experiment:
    console.note(f"round {number}: training")
    return run_folds(
        config,
        plan.folds,
        build_network,
        runtime,
        experiments_dir=str(directory.experiments),
        resume=Experiment.directory_of(config, directory.experiments).exists(),
        sample_submission=plan.sample_submission,
        test_data_dir=plan.test_data_dir,
        argv=argv,
        others="these rounds train folds " + " ".join(map(str, plan.folds)) + " alone, not {}",
    )


def _predict_noisy(
    number: int,
    experiment: Experiment,
    plan: Plan,
    directory: RoundsDirectory,
    build_network: BuildNetwork,
    prepare: Prepare,
    runtime: Runtime,
) -> None:
    path, data, train = directory.predictions(number), plan.config["data"], plan.config["train"]
    if path.exists():
        return
    console.note(f"round {number}: predicting the noisy clips")
    fnames = read_table(plan.noisy_df, ["fname"])["fname"].tolist()
    clips = fnames, *probe_clips(fnames, data["noisy_train_data_dir"], plan.noisy_df)
    member = load_member(
        experiment,
        data["classes"],
        data["classmap"],
        build_network,
        prepare,
        runtime.device,
        train["amp"],
        train["compile"],
        readable_clips(*clips) if train.get("adapt_batch_norm") else None,
        runtime.num_workers,
    )
    with StopRequest() as stop:
        scores = score_clips(
            [member],
            *clips,
            plan.noisy_df,
            train["batch_size"],
            runtime.num_workers,
            runtime.device,
            path,
            {"amp": train["amp"], "compile": train["compile"]},
            out_of_fold=plan.out_of_fold,
            stop=stop,
        )
    note = note_on_seen_clips(scores, len(fnames))
    if note:
        console.note(note)
    report_bad_clips(path, fnames, scores.errors)  # first: relabeling leaves them out
    write_predictions(path, scores.predictions.completed(fnames))


def _relabel(number: int, plan: Plan, directory: RoundsDirectory, earlier: Sequence[Experiment]) -> None:
    path, mode = directory.table(number), plan.modes[number - 1]
    if path.exists():
        return
    # A strategy that compares predictions gets those of all rounds so far.
    history = plan.history(number, parse_mode(mode)[0].several)
    calibrations = [calibration_of(earlier[k]) for k in history] if plan.calibrate else None
    relabeled = relabel_table(plan.noisy_df, [directory.predictions(k) for k in history], mode, calibrations)
    console.note(f"round {number}: {mode}: {relabeled.summary}")
    for note in relabeled.notes:
        console.note(note)
    n_least = plan.least_clips(number)
    if len(relabeled.table) < n_least:
        needed = "" if n_least == 1 else f", fewer than the {n_least} folds that share them"
        raise DataError(
            f"round {number}: {mode} keeps {len(relabeled.table) or 'none'} of the {relabeled.n_clips} noisy "
            f"clips{needed}; give the same command another mode here, the rounds before are kept; if their "
            "predictions are still poor, train longer in another --rounds_dir"
        )
    write_table(path, relabeled.table)


def _blend(experiments: Sequence[Experiment], path: Path, plan: Plan) -> None:
    """Writes the test predictions of the rounds, as one table."""
    if all(experiment.predictions("submission").exists() for experiment in experiments):
        metric = write_blend(experiments, path)
        rounds = ", ".join(experiment.config["label"] for experiment in experiments)
        console.note(f"{path}: test predictions of {rounds}; out-of-fold lwlrap {metric:.4f}")
    elif plan.sample_submission:
        console.note(f"no {path}: it needs the test predictions of all folds, --folds names some")


def _write_report(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    """Writes rounds.csv unless it holds these rows already, and perhaps further rows and columns."""
    frame = pd.DataFrame(rows)
    here = _as_text(io.StringIO(frame.to_csv(index=False, lineterminator="\n")))
    there = _as_text(path) if path.exists() else here[:0]
    if not set(here) <= set(there) or not there[list(here)].head(len(here)).equals(here):
        write_table(path, frame)


def _as_text(file: Path | io.StringIO) -> pd.DataFrame:
    return pd.read_csv(file, dtype=str, keep_default_na=False)
