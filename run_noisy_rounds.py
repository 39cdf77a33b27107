#!/usr/bin/env python3
# PYTHON_ARGCOMPLETE_OK
"""Rounds of relabeling in one command: train, predict the noisy clips, choose, train again.

    python run_noisy_rounds.py --rounds trust_0.95 trust-soft_0.3 correct-soft_0.3 trust-soft_0.3 \\
        correct-soft_0.3 --share_last_rounds 2 --blend_rounds 2 --rounds_dir rounds/first --network 2d \\
        --train_df data/train_curated.csv --train_data_dir data/train_curated/ \\
        --noisy_train_df data/train_noisy.csv --noisy_train_data_dir data/train_noisy/ \\
        --classmap data/classmap.json --n_folds=5 --features=mel_2048_1024_128 --aggregation_type=max \\
        --optimizer=adam --sample_submission data/sample_submission.csv --test_data_dir data/test/

Round 0 trains on the curated clips alone. Stopped or killed, the same command goes on where it was, with
the same result. The folder gets every round's tables, predictions and experiment, rounds.csv, and
submission.csv where there are test clips.

Under torchrun all processes train and predict; the same command may go on with another number of them.
"""

import argparse
import sys
from dataclasses import replace
from pathlib import Path

from toolkit.system.machine import prepare_process

prepare_process()  # before torch is imported

from networks.build import build_network, prepare_to_predict
from networks.classifiers import NetworkConfig
from networks.embeddings import EmbeddingConfig
from ops.errors import DataError
from ops.relabeling import parse_mode
from toolkit.cli.parser import Parser, make_parser, output_path, parsed_by, print_table, run_script
from toolkit.cli.presets import take_defaults
from toolkit.cli.training_flags import (
    add_flags,
    add_run_flags,
    check_run_flags,
    run_config_of,
    runtime_of,
    values_of,
)
from toolkit.clips.splits import Splits
from toolkit.clips.tables import read_table
from toolkit.prediction.ensemble import NetworkBuilder
from toolkit.rounds.plan import RoundsConfig, RoundsDirectory
from toolkit.rounds.report import check_truth, planned_rounds, printable
from toolkit.rounds.run import RoundsJob
from toolkit.rounds.tables import check_votes
from toolkit.runs.clips import load_splits
from toolkit.runs.config import RunConfig, SubmissionConfig
from toolkit.system import console, processes

NETWORKS = NetworkBuilder(build_network, prepare_to_predict)


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = make_parser(__doc__)
    group = parser.add_argument_group("rounds")
    group.add_argument(
        "--rounds",
        required=True,
        nargs="+",
        type=parsed_by(parse_mode),
        help="a mode for each round, see docs/rounds.md",
    )
    group.add_argument("--rounds_dir", required=True, help="folder of all that the rounds make")
    group.add_argument(
        "--network",
        required=True,
        choices=("2d", "1d", "embedding"),
        help="2D or hierarchical 1D CNN, or the head of train_embedding_head.py, with its flags",
    )
    add_flags(group, RoundsConfig)
    group.add_argument(
        "--noisy_truth_df", help="true labels of the noisy clips, CSV fname,labels: for measurements"
    )
    group.add_argument("--dry_run", action="store_true", help="check everything, print the plan and stop")
    words = sys.argv[1:] if argv is None else argv
    kind = kind_named(words)
    add_run_flags(parser, network_type(kind), label="round", kind=kind, one_run=False)
    preset = take_defaults(parser, words, kind)
    args = parser.parse_args(argv)
    if preset and processes.shows_progress():
        console.note(preset)
    if not any(word.split("=")[0] == "--label" for word in parser.given):
        args.label = RoundsDirectory(Path(args.rounds_dir)).label or args.label
    check_args(parser, args)
    args.runtime = runtime_of(parser, args)
    return args


def kind_named(argv: list[str]) -> str | None:
    """The kind of network whose flags a command line takes: `embedding`, or None for those of both CNNs."""
    words = " ".join(argv).replace("=", " ").split()
    pairs = zip(words, words[1:], strict=False)
    return "embedding" if ("--network", "embedding") in pairs else None


def network_type(kind: str | None) -> type:
    """The dataclass of a kind of network."""
    return EmbeddingConfig if kind == "embedding" else NetworkConfig


def check_args(parser: Parser, args: argparse.Namespace) -> None:
    """parser.error where flags do not go together."""
    check_run_flags(parser, args, network_type(args.network), args.network)
    try:
        plan_of(args, run_config_of(args, network_type(args.network), args.network, classes=[]))
    except DataError:
        raise
    except ValueError as error:
        parser.error(str(error))


def plan_of(args: argparse.Namespace, run: RunConfig) -> RoundsConfig:
    """The plan of the rounds that the flags ask for."""
    submission = SubmissionConfig(**values_of(args, SubmissionConfig))
    values = values_of(args, RoundsConfig, modes=args.rounds, run=run, submission=submission)
    return RoundsConfig(**values)


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    plan = plan_of(args, run_config_of(args, network_type(args.network), args.network))
    report = output_path(f"{args.rounds_dir}/rounds.csv", make=not args.dry_run)
    directory = RoundsDirectory(report.parent)
    splits = check_all(plan, directory, args.noisy_truth_df)
    if args.dry_run:
        if processes.shows_progress():
            n_noisy = len(read_table(plan.noisy_df, ["fname"]))
            print_table(planned_rounds(plan, len(splits.curated), n_noisy, directory.n_finished(plan)))
            print(f"a dry run: nothing was trained or written; the rounds would go to {directory.path}")
        return
    command = ["run_noisy_rounds.py", *(sys.argv[1:] if argv is None else argv)]
    rows = RoundsJob(plan, directory, NETWORKS, args.runtime, command, args.noisy_truth_df).run()
    if processes.shows_progress():
        print_table(printable(rows))
        print(directory.report)


def check_all(plan: RoundsConfig, directory: RoundsDirectory, noisy_truth_df: str | None) -> Splits:
    """All that a later round would stumble over, before the first one starts; the clips of all rounds."""
    check_votes(plan.votes or [], plan.noisy_df, plan.run.data.classes)
    directory.check_plan(plan)
    plan.check_modes()
    undivided = replace(plan.run.data, share_noisy=True, cross_fit_noisy=False)  # each round divides its own
    splits = load_splits(undivided, plan.submission)
    if noisy_truth_df:
        check_truth(plan.noisy_df, noisy_truth_df)
    return splits


if __name__ == "__main__":
    run_script(main)
