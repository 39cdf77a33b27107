"""The order of steps of a cross-validated run: one fold after the other, then the summary.

Each fold is toolkit.training.fold's.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import ExitStack, nullcontext
from typing import Any

import numpy as np
import pandas as pd

from ops.metrics import lwlrap
from toolkit.clips.splits import Tables, load_tables, split_fold
from toolkit.clips.tables import write_table
from toolkit.runs.clip_record import record_clips
from toolkit.runs.experiment import Experiment, settings_of
from toolkit.runs.noisy_folds import folds_of_noisy_clips, record_noisy_folds, record_validation_folds, united
from toolkit.runs.predictions import average, read_predictions, write_predictions
from toolkit.runs.summaries import write_hparams
from toolkit.system import console, processes
from toolkit.system.interruption import StopRequest
from toolkit.training import warm_start
from toolkit.training.fold import BuildNetwork, Runtime, finite, fold_is_finished, run_fold, show


def run_folds(
    config: dict[str, Any],
    folds: Sequence[int],
    build_network: BuildNetwork,
    runtime: Runtime,
    *,
    experiments_dir: str,
    resume: bool,
    sample_submission: str | None,
    test_data_dir: str | None,
    argv: Sequence[str],
    others: str = "the same command with --folds {} --resume trains them",
) -> Experiment:
    """A whole training command: the given folds of a config's experiment, then the summary.

    others: what to tell of the folds that are not among these; {} stands for their numbers.

    Under torchrun all processes return the experiment; rank 0 alone reads and writes it, but with
    parallel "folds", where every process takes some of the folds and none waits for another.
    """
    with processes.joined(runtime.device), StopRequest() as stop:
        processes.from_main(lambda: Experiment.check_startable(config, experiments_dir, resume))
        tables = load_tables(config["data"], sample_submission, test_data_dir)
        split_fold(tables, config["data"], folds[0])  # too few clips: said before anything begins
        seen = united(folds_of_noisy_clips(tables, config["data"]), warm_start.check(config, tables, folds))

        def start() -> Experiment:
            elsewhere = Experiment.nearest_to(config, experiments_dir) if resume else None
            if elsewhere:
                console.warn(f"--resume: nothing to continue, a new experiment begins; {elsewhere}")
            experiment = Experiment.start(config, experiments_dir, argv, resume)
            experiment.log(f"experiment {experiment.directory}, device {runtime.device}{_company(runtime)}")
            _record_skipped(experiment, tables.skipped)
            record_noisy_folds(experiment, seen)
            record_clips(experiment, tables)
            record_validation_folds(experiment, tables)
            if tables.known_bad:
                experiment.log(
                    f"warning: {len(tables.known_bad)} curated clips are known to be wrong "
                    f"({', '.join(tables.known_bad)}); leave them out with --drop_known_bad"
                )
            return experiment

        experiment = processes.from_main(start)
        apart = runtime.parallel == "folds"
        own = folds[processes.rank() :: processes.world_size()] if apart else folds
        with processes.alone() if apart else nullcontext():
            for fold in own:
                with ExitStack() as claim:
                    processes.from_main(lambda: claim.enter_context(experiment.fold_claimed(fold)))  # noqa: B023
                    run_fold(fold, tables, experiment, build_network, runtime, stop)
            elsewhere = set(folds) - set(own)
            processes.from_main(lambda: summarise_folds(tables, experiment, others, elsewhere))
    return experiment


def _company(runtime: Runtime) -> str:
    n = processes.world_size()
    return f", {n} processes share the {runtime.parallel}" if n > 1 else ""


def _record_skipped(experiment: Experiment, skipped: list[tuple[str, str, str]]) -> None:
    if skipped:
        frame = pd.DataFrame(skipped, columns=["table", "fname", "error"])
        with experiment.locked():
            write_table(experiment.path("skipped_clips.csv"), frame)
        experiment.log(
            f"warning: {len(skipped)} unusable or known bad clips are left out, see skipped_clips.csv"
        )


def summarise_folds(
    tables: Tables, experiment: Experiment, others: str, elsewhere: Collection[int] = ()
) -> None:
    """Once every fold is there: lwlrap over all out-of-fold predictions, and submission.csv.

    others as in run_folds; elsewhere: folds that other processes of this command train, the last of which
    does this.
    """
    n_folds = experiment.config["data"]["n_folds"]
    with experiment.locked():
        done = [fold for fold in range(n_folds) if fold_is_finished(experiment, tables, fold)]
    if len(done) < n_folds:
        _show_settings(experiment, len(done))
        missing = sorted(set(range(n_folds)) - set(done))
        listed = " ".join(map(str, missing))
        how = others.format(listed)
        if set(missing) <= set(elsewhere):
            how = "other processes train them"
        what = "the overall metric and submission.csv follow" if tables.test else "the overall metric follows"
        experiment.log(f"still to come: folds {listed} ({how}); {what} with the last of them")
        return
    tables_of = {
        part: [
            read_predictions(experiment.predictions(f"{part}_preds_fold_{k}"), tables.classes) for k in done
        ]
        for part in (["val", "test"] if tables.test else ["val"])
    }
    labels = {clip.fname: clip.labels for clip in tables.curated}
    fnames = [fname for table in tables_of["val"] for fname in table.fnames]
    truth = np.stack([labels[fname] for fname in fnames])
    metric = lwlrap(truth, np.concatenate([table.probabilities for table in tables_of["val"]]))
    if tables.test:
        submission = average(tables_of["test"])
        with experiment.locked():
            write_predictions(experiment.predictions("submission"), submission)
    experiment.record(metric=finite(metric))
    _show_settings(experiment, len(done))
    experiment.log(f"all {n_folds} folds: lwlrap {show(finite(metric))} over out-of-fold predictions")


def _show_settings(experiment: Experiment, n_done: int) -> None:
    """Settings and metrics so far, for TensorBoard's HParams."""
    results = experiment.results()
    # TensorBoard orders metrics by name: the final one comes first.
    metrics = {f"metric_{name}": results[name]["metric"] for name in results if name.startswith("fold")}
    shown = {"metric": results.get("metric"), **metrics}
    shown = {name: value for name, value in shown.items() if value is not None}
    with experiment.locked():
        write_hparams(experiment.path("summaries", "hparams"), settings_of(experiment.config), shown, n_done)
