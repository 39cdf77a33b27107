"""A cross-validated run: what it begins with, one fold after the other, then the summary."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass, field, replace

import numpy as np

from ops.errors import DataError
from ops.metrics import lwlrap
from toolkit.clips.loading import advise_cache, announce_cache, split_into_windows
from toolkit.clips.splits import Splits
from toolkit.runs.clips import load_splits
from toolkit.runs.config import RunConfig, SubmissionConfig
from toolkit.runs.experiment import Experiment
from toolkit.runs.predictions import Predictions, average, read_predictions, write_predictions
from toolkit.runs.records import SeenBy, begin, folds_that_see, merge_seen, seen_noisy_clips
from toolkit.runs.summaries import write_hparams
from toolkit.system import console, processes
from toolkit.system.interruption import StopRequest
from toolkit.system.runtime import Runtime
from toolkit.training import warm_start
from toolkit.training.embeddings import runtime_to_read
from toolkit.training.fold import BuildNetwork, finite, format_metric, run_fold
from toolkit.training.tag_fitting import FittingTools, fit_after_training


@dataclass(frozen=True)
class Session:
    """What one command asks of a run.

    Attributes:
        argv: the command line.
        notes: further lines for the log.
        how_to_train_the_rest: of the folds that are not among `folds`; {} stands for their numbers.
    """

    folds: Sequence[int]
    argv: Sequence[str]
    experiments_dir: str = "experiments"
    resume: bool = False
    submission: SubmissionConfig = field(default_factory=SubmissionConfig)
    how_to_train_the_rest: str = "the same command with --folds {} --resume trains them"
    notes: Sequence[str] = ()


def run_folds(
    config: RunConfig, session: Session, build_network: BuildNetwork, runtime: Runtime
) -> Experiment:
    """A whole training command: the folds of a session of a config's experiment, then the summary.

    Under torchrun all processes return the experiment; rank 0 alone reads and writes it, but with
    parallel "folds", where every process takes some of the folds and none waits for another.
    """
    gradients = runtime.parallel == "batches"
    with processes.joined(runtime.device, gradients=gradients), StopRequest() as stop:
        return train_folds(config, session, build_network, runtime, stop)


def train_folds(
    config: RunConfig, session: Session, build_network: BuildNetwork, runtime: Runtime, stop: StopRequest
) -> Experiment:
    """run_folds within processes.joined; with parallel "folds" another process may still be at its own."""
    where, resume = session.experiments_dir, session.resume
    processes.from_main(lambda: Experiment.check_startable(config, where, resume))
    splits = load_splits(config.data, session.submission)
    clips = [*splits.curated, *splits.noisy, *splits.holdout, *splits.test]
    if config.embedding is None:
        announce_cache(clips, runtime)
        advise_cache([*splits.curated, *splits.noisy], runtime)
    windows, _ = split_into_windows(clips, None)  # which evaluation takes of very long clips
    runtime = runtime_to_read([*clips, *windows], [config], where, runtime, stop)
    seen = folds_that_see(splits)
    if config.train.init_from:
        earlier = warm_start.check(config, splits, session.folds)
        if earlier.is_pretraining:  # of what it saw it learned no label
            note = f"starts from {earlier.directory}, pretrained without labels: every fold from its blocks, "
            note += "and with a new head"
            session = replace(session, notes=[*session.notes, note])
        else:
            seen = merge_seen(seen, seen_noisy_clips(earlier))
    experiment = start_experiment(config, session, splits, seen, runtime)
    apart = runtime.parallel == "folds"
    own = session.folds[processes.rank() :: processes.world_size()] if apart else session.folds
    with processes.alone() if apart else nullcontext():
        for fold in own:
            with ExitStack() as claim:
                processes.from_main(lambda: claim.enter_context(experiment.fold_claimed(fold)))  # noqa: B023
                run_fold(fold, splits, experiment, build_network, runtime, stop)
        elsewhere = set(session.folds) - set(own)
        tools = FittingTools(build_network, runtime, stop)
        processes.from_main(lambda: _summarise(splits, experiment, session, tools, elsewhere))
    return experiment


def start_experiment(
    config: RunConfig, session: Session, splits: Splits, seen: SeenBy, runtime: Runtime
) -> Experiment:
    """The experiment of a session, begun or gone on with; seen: see toolkit.runs.records.begin."""
    where = session.experiments_dir

    def start() -> Experiment:
        elsewhere = Experiment.nearest_to(config, where) if session.resume else None
        if elsewhere:
            console.warn(f"--resume: nothing to continue, a new experiment begins; {elsewhere}")
        experiment = Experiment.start(config, where, session.resume)
        experiment.log(f"experiment {experiment.directory}, device {runtime.device}{_company(runtime)}")
        for note in session.notes:
            experiment.log(note)
        begin(experiment, splits, seen, session.argv, runtime.device)
        return experiment

    return processes.from_main(start)


def _company(runtime: Runtime) -> str:
    n = processes.world_size()
    return f", {n} processes share the {runtime.parallel}" if n > 1 else ""


def _summarise(
    splits: Splits,
    experiment: Experiment,
    session: Session,
    tools: FittingTools,
    elsewhere: Collection[int] = (),
) -> None:
    """Once every fold is finished: lwlrap over all out-of-fold predictions, submission.csv and tags.json.

    elsewhere: folds that other processes of this command train, the last of which does this.
    """
    n_folds = experiment.n_folds
    with experiment.locked():
        finished = [fold for fold in range(n_folds) if experiment.is_finished(fold, splits.parts)]
    if len(finished) < n_folds:
        _write_hparams(experiment, len(finished))
        _tell_unfinished(splits, experiment, session, set(range(n_folds)) - set(finished), elsewhere)
        return
    tables_of = {
        part: [_fold_predictions(experiment, splits, part, fold) for fold in finished]
        for part in splits.parts
    }
    labels = {clip.fname: clip.labels for clip in splits.curated}
    truth = np.stack([labels[fname] for table in tables_of["val"] for fname in table.fnames])
    scores = np.concatenate([table.probabilities for table in tables_of["val"]])
    metric = finite(lwlrap(truth, scores))
    if splits.test:
        submission = average(tables_of["test"])
        with experiment.locked():
            write_predictions(experiment.predictions("submission"), submission, with_sum=True)
    experiment.record(metric=metric)
    validated = {fold: splits.folds[fold].validation for fold in finished}
    fit_after_training(experiment, scores, truth, validated, tools)
    _write_hparams(experiment, n_folds)
    told = f"all {n_folds} folds: lwlrap {format_metric(metric)} over out-of-fold predictions"
    experiment.log(told, is_result=True)


def _fold_predictions(experiment: Experiment, splits: Splits, part: str, fold: int) -> Predictions:
    """A fold's predictions of a part; DataError where they are not of exactly its clips."""
    path = experiment.predictions(f"{part}_preds_fold_{fold}")
    table = read_predictions(path, splits.classes)
    validation = splits.folds[fold].validation
    expected = [clip.fname for clip in validation] if part == "val" else splits.test_fnames
    if set(table.fnames) != set(expected):
        raise DataError(
            f"{path}: expected predictions of the {len(expected)} clips of this fold, found "
            f"{len(table.fnames)} rows, of others or not of all; restore it, or remove it: --resume predicts "
            "it again"
        )
    return table


def _tell_unfinished(
    splits: Splits, experiment: Experiment, session: Session, missing: set[int], elsewhere: Collection[int]
) -> None:
    listed = " ".join(map(str, sorted(missing)))
    how = session.how_to_train_the_rest.format(listed)
    if missing <= set(elsewhere):
        how = "other processes train them"
    what = "the overall metric and submission.csv follow" if splits.test else "the overall metric follows"
    experiment.log(f"still to come: folds {listed} ({how}); {what} with the last of them")


def _write_hparams(experiment: Experiment, n_finished: int) -> None:
    """Settings and metrics so far, for TensorBoard's HParams."""
    # TensorBoard orders metrics by name: the final one comes first.
    of_folds = {f"metric_fold{fold}": found["metric"] for fold, found in experiment.fold_results().items()}
    metrics = {"metric": experiment.results().get("metric"), **of_folds}
    known = {name: value for name, value in metrics.items() if value is not None}
    with experiment.locked():
        folder = experiment.path("summaries", "hparams")
        # A path's bytes need not be UTF-8, TensorBoard's texts must.
        settings = {
            name: value.encode(errors="backslashreplace").decode() if isinstance(value, str) else value
            for name, value in experiment.config.settings().items()
        }
        write_hparams(folder, settings, known, n_finished)
