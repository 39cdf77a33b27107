"""Rounds of relabeling as one resumable job: train, predict the noisy clips, relabel, train again.

<rounds_dir>/
  plan.json              what the result depends on
  command                the command lines that worked on it
  experiments/<label>_<round>-<digest>/
  predictions/round_<k>.csv   of all noisy clips, by round k's networks
  tables/round_<k>.csv   the noisy table that round k trains on
  rounds.csv             a row a round
Every step ends with a file written whole; a step whose file is there is not done again.
"""

from __future__ import annotations

import copy
import fcntl
import io
import math
import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from ops import console, warm_start
from ops.calibration import calibration_of
from ops.clip_checks import probe_clips
from ops.cross_validation import run_folds
from ops.ensembles import (
    Prepare,
    load_member,
    note_on_seen_clips,
    readable_clips,
    report_bad_clips,
    score_clips,
)
from ops.errors import DataError
from ops.experiment import Experiment, lock_file
from ops.files import disk_errors, read_json, remove_leftovers, write_json, write_text
from ops.fold_run import BuildNetwork, Runtime
from ops.interruption import StopRequest
from ops.predictions import write_predictions
from ops.relabeled_tables import relabel_table
from ops.relabeling import parse_mode
from ops.round_report import report_of_round
from ops.tables import read_table, write_table


@dataclass(frozen=True)
class Plan:
    """What the result of all rounds depends on.

    Attributes:
        modes: how round 1, 2, ... get their noisy clips from the predictions of the round before.
        config: of a training run on all noisy clips; each round changes what is its own.
        folds: those that every round trains.
        out_of_fold: noisy clips are scored by the folds that did not train on them.
        calibrate: probabilities are calibrated before relabeling.
        warm_start: rounds from 1 on start from the weights of the round before.
        later_epochs: epochs of rounds from 1 on; None: as many as round 0.
        equal_steps: these on all noisy clips; on fewer clips more, so that each round trains as long.
        share_last_round: every fold of the last round trains on all kept clips.
        sample_submission, test_data_dir: the test clips, or None.
    """

    modes: list[str]
    config: dict[str, Any]
    folds: list[int]
    out_of_fold: bool
    calibrate: bool
    warm_start: bool
    later_epochs: int | None
    equal_steps: bool
    share_last_round: bool
    sample_submission: str | None
    test_data_dir: str | None

    @property
    def noisy_df(self) -> str:
        return self.config["data"]["noisy_train_df"]

    @property
    def n_rounds(self) -> int:
        return len(self.modes) + 1

    def clips_a_fold(self, number: int, n_curated: int, n_kept: int) -> tuple[float, float]:
        """Curated and noisy ones, on average, of n_kept noisy clips."""
        n_folds = self.config["data"]["n_folds"]
        share = 1 / n_folds
        if self.shares_noisy(number):
            share = 1.0
        elif self.config["data"].get("cross_fit_noisy"):
            share = 1 - share
        return n_curated * (n_folds - 1) / n_folds, n_kept * share

    def epochs(self, number: int, n_curated: int, n_noisy: int, n_kept: int) -> int:
        """Of a round that keeps n_kept of the n_noisy clips."""
        if number == 0:
            return self.config["train"]["epochs"]
        epochs = self.later_epochs or self.config["train"]["epochs"]
        if not self.equal_steps:
            return epochs
        counts = [sum(self.clips_a_fold(number, n_curated, n)) for n in (n_noisy, n_kept)]
        return math.ceil(epochs * counts[0] / max(counts[1], 1))

    def shares_noisy(self, number: int) -> bool:
        """Whether every fold of a round trains on all of its noisy clips."""
        is_last = number == self.n_rounds - 1
        return number > 0 and (self.config["data"]["share_noisy"] or (is_last and self.share_last_round))


@dataclass(frozen=True)
class RoundsDirectory:
    """The paths of a job of rounds."""

    path: Path

    @property
    def experiments(self) -> Path:
        return self.path / "experiments"

    def predictions(self, number: int) -> Path:
        return self.path / "predictions" / f"round_{number}.csv"

    def table(self, number: int) -> Path:
        return self.path / "tables" / f"round_{number}.csv"

    @property
    def report(self) -> Path:
        return self.path / "rounds.csv"

    @contextmanager
    def claimed(self) -> Iterator[None]:
        """Makes the folders and holds their lock; DataError where another process works here."""
        for folder in (self.path, self.experiments, self.path / "predictions", self.path / "tables"):
            with disk_errors(folder):
                folder.mkdir(parents=True, exist_ok=True)
        with lock_file(self.path / ".lock") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise DataError(
                    f"{self.path}: another process is at work on these rounds; wait for it, or give another "
                    "--rounds_dir"
                ) from error
            for folder in (self.path, self.path / "predictions", self.path / "tables"):
                remove_leftovers(folder)
            yield

    def check_plan(self, plan: Plan) -> None:
        """Raises DataError where the directory holds rounds of another plan; further rounds may follow."""
        path = self.path / "plan.json"
        if not path.exists():
            return
        there, here = read_json(path, "the plan of these rounds"), asdict(plan)
        n_begun = len(there["modes"]) if isinstance(there, dict) and "modes" in there else 0
        if isinstance(there, dict) and there.get("modes") == here["modes"][:n_begun]:
            there["modes"] = here["modes"]
        if there != here:
            raise DataError(
                f"{path}: differs from this command in {_difference(there, here)}; repeat the command these "
                "rounds began with (more --rounds may follow at its end), or give another --rounds_dir"
            )

    def finished(self, plan: Plan) -> int:
        """How many rounds of the plan, or of the beginning of it, are done."""
        if not (self.path / "plan.json").exists() or not self.report.exists():
            return 0
        n_done, repeated = len(read_table(self.report, ["round"])), self.repeated(plan)
        return n_done if repeated is None else repeated

    def repeated(self, plan: Plan) -> int | None:
        """The finished round that was the last, every fold on all clips, and no longer is."""
        if not self.report.exists() or not plan.share_last_round or plan.config["data"]["share_noisy"]:
            return None
        n_begun = len(read_json(self.path / "plan.json", "the plan of these rounds")["modes"])
        n_done = len(read_table(self.report, ["round"]))
        return n_begun if n_begun < len(plan.modes) and n_done > n_begun else None

    def start(self, plan: Plan, argv: Sequence[str]) -> None:
        """Records plan and command."""
        write_json(self.path / "plan.json", asdict(plan))
        command = self.path / "command"
        write_text(command, (command.read_text() if command.exists() else "") + shlex.join(argv) + "\n")


def _difference(there: Any, here: Any, name: str = "") -> str:
    """Names the first entry in which two plans differ."""
    if isinstance(there, dict) and isinstance(here, dict):
        for key in dict.fromkeys([*here, *there]):
            if there.get(key) != here.get(key):
                return _difference(there.get(key), here.get(key), key)
    values = [" ".join(map(str, value)) if isinstance(value, list) else value for value in (there, here)]
    return f"{name or 'its form'} ({values[0]} there, {values[1]} here)"


def run_rounds(
    plan: Plan,
    directory: RoundsDirectory,
    build_network: BuildNetwork,
    prepare: Prepare,
    runtime: Runtime,
    noisy_truth_df: str | None,
    argv: Sequence[str],
) -> list[dict[str, Any]]:
    """Runs the plan, or what is left of it; returns the rows of rounds.csv."""
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
        directory.start(plan, argv)
        experiments: list[Experiment] = []
        rows: list[dict[str, Any]] = []
        for number in range(plan.n_rounds):
            if number:
                _relabel(number, plan, directory, experiments)
            config = round_config(number, plan, directory, experiments)
            experiments.append(_train(number, config, plan, directory, build_network, runtime, argv))
            if number < len(plan.modes):
                _predict_noisy(number, experiments[-1], plan, directory, build_network, prepare, runtime)
            rows.append(report_of_round(number, plan, directory, experiments[-1], noisy_truth_df))
            _write_report(directory.report, rows)
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
    data["noisy_train_df"] = str(directory.table(number))
    tables = data["train_df"], plan.noisy_df, directory.table(number)
    epochs = plan.epochs(number, *(len(read_table(table, ["fname"])) for table in tables))
    # The same share of the epochs without augmentation as in round 0.
    train["switch_off_augmentations_on"] = train["switch_off_augmentations_on"] * epochs // train["epochs"]
    train["epochs"] = epochs
    if plan.warm_start:
        train["init_from"] = warm_start.describe(str(earlier[-1].directory))
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
    first = 0 if parse_mode(mode)[0].several else number - 1
    history = range(first, number)
    calibrations = [calibration_of(earlier[k]) for k in history] if plan.calibrate else None
    relabeled = relabel_table(plan.noisy_df, [directory.predictions(k) for k in history], mode, calibrations)
    console.note(f"round {number}: {mode}: {relabeled.summary}")
    for note in relabeled.notes:
        console.note(note)
    if relabeled.table.empty:
        raise DataError(
            f"round {number}: {mode} keeps none of the {relabeled.n_clips} noisy clips; train round 0 longer "
            "if its predictions are still poor, or choose another mode, and another --rounds_dir"
        )
    write_table(path, relabeled.table)


def _write_report(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    """Writes rounds.csv unless it holds these rows already, and perhaps further ones."""
    text = io.StringIO()
    frame = pd.DataFrame(rows)
    frame.to_csv(text, index=False, lineterminator="\n")
    if not path.exists() or not path.read_text(encoding="utf-8").startswith(text.getvalue()):
        write_table(path, frame)
