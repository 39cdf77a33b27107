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
"""

import argparse
import sys

from networks.classifiers import NetworkConfig, build_classifier
from networks.folding import fold_batch_norms
from ops.relabeling import STRATEGIES, check_count, check_mode, parse_mode
from toolkit.cli import parser as cli
from toolkit.cli import training_flags
from toolkit.clips.labels import load_class_map
from toolkit.clips.splits import load_tables
from toolkit.rounds.plan import Plan, RoundsDirectory
from toolkit.rounds.report import label_quality, label_sets, planned_rounds, printable
from toolkit.rounds.run import run_rounds
from toolkit.system import processes
from toolkit.training.fold import Runtime


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = cli.make_parser(__doc__)
    group = parser.add_argument_group("rounds")
    group.add_argument(
        "--rounds",
        required=True,
        nargs="+",
        type=cli.parsed_by(parse_mode),
        help=f"a mode a round, <strategy>_<parameter>: {', '.join(STRATEGIES)}",
    )
    group.add_argument("--rounds_dir", required=True, help="folder of all that the rounds make")
    group.add_argument("--network", required=True, choices=("2d", "1d"), help="2D or hierarchical 1D CNN")
    group.add_argument(
        "--calibrate",
        action="store_true",
        help="make scores compare between clips first",
    )
    group.add_argument(
        "--no_out_of_fold",
        action="store_true",
        help="score noisy clips by all folds, as published, by those too that saw them",
    )
    group.add_argument(
        "--warm_start", action="store_true", help="start rounds from the weights of the one before"
    )
    group.add_argument(
        "--later_epochs", type=cli.COUNT, help="epochs of the rounds after round 0; without it --epochs"
    )
    group.add_argument(
        "--equal_steps",
        action="store_true",
        help="more epochs where a round keeps fewer clips: the steps that all would take in it",
    )
    group.add_argument(
        "--share_last_rounds",
        type=cli.number(int, 0),
        default=0,
        help="so many last rounds train every fold on all kept clips",
    )
    group.add_argument(
        "--blend_rounds",
        type=cli.COUNT,
        default=1,
        help="submission.csv: test predictions of so many rounds, the last ones, blended",
    )
    group.add_argument(
        "--noisy_truth_df", help="true labels of the noisy clips, CSV fname,labels: for measurements"
    )
    group.add_argument("--dry_run", action="store_true", help="check everything, print the plan and stop")
    training_flags.add_training_arguments(parser, label="round", frequency_encoding=True, one_run=False)
    args = parser.parse_args(argv)
    if processes.launch() is not None:
        parser.error("the rounds run in one process: start them without torchrun")
    if args.noisy_train_df is None:
        parser.error("the rounds choose among noisy clips: give --noisy_train_df and --noisy_train_data_dir")
    if args.network == "1d":
        if args.no_frequency_encoding:
            parser.error("--no_frequency_encoding goes with --network 2d; the 1D network has none")
        del args.no_frequency_encoding
    if args.blend_rounds > len(args.rounds) + 1:
        parser.error(
            f"--blend_rounds: expected at most {len(args.rounds) + 1}, round 0 and those of --rounds, got "
            f"{args.blend_rounds}"
        )
    if args.share_last_rounds > len(args.rounds):
        parser.error(
            f"--share_last_rounds: expected at most {len(args.rounds)}, the rounds of --rounds, got "
            f"{args.share_last_rounds}"
        )
    if args.share_last_rounds and args.share_noisy:
        parser.error("--share_noisy shares the clips of all rounds: leave out it or --share_last_rounds")
    if args.blend_rounds > 1 and args.sample_submission is None:
        parser.error(
            "--blend_rounds blends test predictions: give --sample_submission and --test_data_dir, or leave "
            "it out"
        )
    if args.folds is None:
        args.folds = list(range(args.n_folds))
    if args.blend_rounds > 1 and len(set(args.folds)) < args.n_folds:
        parser.error("--blend_rounds takes test predictions of all folds: leave out --folds")
    training_flags.check_training_arguments(parser, args, args.network, NetworkConfig)
    return args


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    plan = Plan(
        args.rounds,
        training_flags.training_config(args, args.network, load_class_map(args.classmap)),
        args.folds,
        not args.no_out_of_fold,
        args.calibrate,
        args.warm_start,
        args.later_epochs,
        args.equal_steps,
        args.share_last_rounds,
        args.sample_submission,
        args.test_data_dir,
    )
    directory = RoundsDirectory(
        cli.output_path(f"{args.rounds_dir}/rounds.csv", make=not args.dry_run).parent
    )
    directory.check_plan(plan)
    for number, mode in enumerate(plan.modes, 1):
        check_mode(mode, len(plan.config["data"]["classes"]))
        check_count(mode, plan.least_clips(number))
    # All that a later round would stumble over, before the first one starts.
    tables = load_tables(plan.config["data"], args.sample_submission, args.test_data_dir)
    if args.noisy_truth_df:
        noisy = label_sets(plan.noisy_df)
        label_quality(noisy, noisy, label_sets(args.noisy_truth_df), args.noisy_truth_df)
    if args.dry_run:
        counts = len(tables.curated), len(label_sets(plan.noisy_df))
        cli.print_table(planned_rounds(plan, *counts, directory.finished(plan)))
        print(f"a dry run: nothing was trained or written; the rounds would go to {directory.path}")
        return
    rows = run_rounds(
        plan,
        directory,
        lambda network: build_classifier(NetworkConfig(**network)),
        fold_batch_norms,
        Runtime(args.device, args.num_workers, args.log_interval, args.save_every),
        args.noisy_truth_df,
        args.blend_rounds,
        ["run_noisy_rounds.py", *(sys.argv[1:] if argv is None else argv)],
    )
    cli.print_table(printable(rows))
    print(directory.report)


if __name__ == "__main__":
    cli.run_script(main)
