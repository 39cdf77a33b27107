"""Rounds of relabeling as one resumable job: train, predict the noisy clips, relabel, train again.

toolkit.rounds.plan has the directory. Every step ends with a file written whole; a step whose file is there
is not done again. Under torchrun all processes train and predict, and rank 0 does the rest.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from ops.errors import DataError
from ops.relabeling import parse_mode
from toolkit.clips.tables import write_table
from toolkit.prediction.blending import write_blend
from toolkit.prediction.calibration import calibration_of
from toolkit.prediction.clips import ClipsToPredict, PredictionOptions
from toolkit.prediction.ensemble import NetworkBuilder
from toolkit.prediction.neighbours import NeighbourVoter
from toolkit.prediction.predict import Predictor
from toolkit.rounds.plan import RoundsConfig, RoundsDirectory
from toolkit.rounds.report import report_of_round
from toolkit.rounds.tables import relabel_table
from toolkit.runs.config import RunConfig
from toolkit.runs.experiment import Experiment
from toolkit.system import console, processes
from toolkit.system.files import check_sum
from toolkit.system.interruption import StopRequest
from toolkit.system.runtime import Runtime
from toolkit.training import warm_start
from toolkit.training.cross_validation import Session, train_folds


@dataclass(frozen=True)
class RoundsJob:
    """One command that runs a plan, or what is left of it.

    Attributes:
        argv: the command line.
        noisy_truth_df: true labels of the noisy clips, for measurements; or None.
    """

    plan: RoundsConfig
    directory: RoundsDirectory
    builder: NetworkBuilder
    runtime: Runtime
    argv: Sequence[str]
    noisy_truth_df: str | None = None

    def run(self) -> list[dict[str, Any]]:
        """Runs the rounds and blends the last ones; returns the rows of rounds.csv."""
        plan, runtime = self.plan, self.runtime
        experiments: list[Experiment] = []
        rows: list[dict[str, Any]] = []
        together = processes.joined(runtime.device, gradients=runtime.parallel == "batches")
        with together, StopRequest() as stop, ExitStack() as claim:
            processes.from_main(lambda: self._begin(claim))
            for number in range(plan.n_rounds):
                config, session = processes.from_main(partial(self._prepare, number, experiments), stop)
                experiments.append(train_folds(config, session, self.builder.build, runtime, stop))
                processes.wait_for_all(stop)
                if number < plan.n_predicting:
                    self._predict_noisy(number, experiments[-1], stop)
                rows = processes.from_main(partial(self._report, rows, experiments[-1]), stop)
            processes.from_main(lambda: self._blend(experiments[-plan.blend_rounds :]), stop)
        return rows

    def _begin(self, claim: ExitStack) -> None:
        self.directory.check_plan(self.plan)
        claim.enter_context(self.directory.claimed())
        self.directory.start(self.plan, self.argv)

    def _prepare(self, number: int, earlier: Sequence[Experiment]) -> tuple[RunConfig, Session]:
        """Relabels for a round; what it trains."""
        if number:
            self._relabel(number, earlier)
        console.note(f"round {number}: training")
        plan, directory, init_from = self.plan, self.directory, self.plan.run.train.init_from
        if plan.warm_start and number:
            experiment = directory.as_begun.experiments / earlier[-1].directory.name
            init_from = warm_start.describe(str(experiment), plan.folds)
        config = plan.run_config(number, directory, init_from)
        folds = " ".join(map(str, plan.folds))
        session = Session(
            plan.folds,
            self.argv,
            experiments_dir=str(directory.experiments),
            resume=Experiment.directory_of(config, directory.experiments).exists(),
            submission=plan.submission,
            how_to_train_the_rest=f"these rounds train folds {folds} alone, not {{}}",
        )
        return config, session

    def _predict_noisy(self, number: int, experiment: Experiment, stop: StopRequest) -> None:
        """Writes what the networks of a round say of the noisy clips, and what the clips' neighbours say."""
        outputs = [self.directory.predictions(number)]
        if self.plan.neighbours:
            outputs.append(self.directory.neighbours(number))
        is_there = processes.from_main(lambda: [path.exists() for path in outputs])
        if all(is_there):
            return
        if processes.is_main():
            console.note(f"round {number}: predicting the noisy clips")
        data, train = self.plan.run.data, self.plan.run.train
        options = PredictionOptions(
            batch_size=train.batch_size,
            out_of_fold=self.plan.out_of_fold,
            adapt_batch_norm=train.adapt_batch_norm,
        )
        clips = ClipsToPredict.of_table(data.noisy_train_df, data.noisy_train_data_dir)
        for path, is_done in zip(outputs, is_there, strict=True):
            how = (self.builder, options, self.runtime, path, stop)
            by = Predictor(*how) if path == outputs[0] else NeighbourVoter(self.plan.neighbours, *how)
            if not is_done:
                by.predict([experiment], clips)

    def _report(self, rows: Sequence[dict[str, Any]], experiment: Experiment) -> list[dict[str, Any]]:
        """The rows of rounds.csv, written, with that of the next round, which this experiment trained."""
        row = report_of_round(len(rows), self.plan, self.directory, experiment, self.noisy_truth_df)
        _write_report(self.directory.report, [*rows, row])
        return [*rows, row]

    def _relabel(self, number: int, earlier: Sequence[Experiment]) -> None:
        plan, path, mode = self.plan, self.directory.table(number), self.plan.modes[number - 1]
        if path.exists():
            return
        # A strategy that compares predictions gets those of all rounds so far, and all other tables.
        several = parse_mode(mode)[0].several
        history = plan.history(number, several)
        tables: list[str | Path] = [self.directory.predictions(k) for k in history]
        calibrations = [calibration_of(earlier[k]) if plan.calibrate else None for k in history]
        if several:
            tables += [self.directory.neighbours(k) for k in history if plan.neighbours]
            tables += plan.votes or []
        calibrations += [None] * (len(tables) - len(calibrations))
        relabeled = relabel_table(plan.noisy_df, tables, mode, calibrations)
        console.note(f"round {number}: {mode}: {relabeled.summary}")
        for note in relabeled.notes:
            console.note(note)
        min_clips = plan.min_clips(number)
        if len(relabeled.table) < min_clips:
            needed = "" if min_clips == 1 else f", fewer than the {min_clips} folds that share them"
            raise DataError(
                f"round {number}: {mode} keeps {len(relabeled.table) or 'none'} of the {relabeled.n_clips} "
                f"noisy clips{needed}; give another mode and --rounds_dir (moved to its experiments/, "
                "the experiment of round 0 is not trained again), or train longer where predictions are poor"
            )
        write_table(path, relabeled.table, with_sum=True)

    def _blend(self, experiments: Sequence[Experiment]) -> None:
        """Writes the test predictions of the rounds, as one table."""
        path = self.directory.submission
        if all(experiment.predictions("submission").exists() for experiment in experiments):
            metric = write_blend(experiments, path)
            rounds = ", ".join(experiment.config.label for experiment in experiments)
            console.note(f"{path}: test predictions of {rounds}; out-of-fold lwlrap {metric:.4f}")
        elif self.plan.submission.sample_submission:
            console.note(f"no {path}: it needs the test predictions of all folds, --folds names some")


def _write_report(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    """Writes rounds.csv unless it holds these rows already, and perhaps further rows and columns."""
    frame = pd.DataFrame(rows)
    here = _as_text(io.StringIO(frame.to_csv(index=False, lineterminator="\n")))
    there = here[:0]
    if path.exists():
        try:
            check_sum(path)
            there = _as_text(path)
        except ValueError as error:
            console.warn(f"{path}: it was changed or cut short and is written anew ({error})")
    if not set(here) <= set(there) or not there[list(here)].head(len(here)).equals(here):
        write_table(path, frame, with_sum=True)


def _as_text(file: Path | io.StringIO) -> pd.DataFrame:
    return pd.read_csv(file, dtype=str, keep_default_na=False)
