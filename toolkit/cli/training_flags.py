"""The flags of the two training scripts, and flags -> the nested config of an experiment."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable
from typing import Any

import torch

from ops.features import GRAMMAR as FEATURES_GRAMMAR
from ops.features import parse_features
from ops.losses import LOSSES
from ops.optimization import GRAMMAR as SCHEDULER_GRAMMAR
from ops.optimization import OPTIMIZERS, parse_scheduler
from ops.transforms import DEFAULT_EFFECTS, EFFECTS, missing_effects_engine
from toolkit.cli import parser as cli
from toolkit.system import processes
from toolkit.system.runtime import missing_compiler
from toolkit.training import warm_start

SEED = cli.number(int, 0, high=2**32 - 1)


def _label(text: str) -> str:
    if not re.fullmatch(r"[\w.+=-]+", text) or text.startswith((".", "-")):
        raise argparse.ArgumentTypeError(
            f"expected letters, digits and . _ - + = (it names a directory), got {text!r}"
        )
    return text


def add_device_arguments(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--device", default="auto", help="auto, cpu, cuda or cuda:<n>; auto takes a GPU where there is one"
    )
    group.add_argument(
        "--num_workers", type=cli.number(int, 0), default=4, help="loader processes; 0 loads in the main one"
    )


def add_acceleration_arguments(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--amp",
        action="store_true",
        help="compute in bfloat16 where that is safe; front end, heads and loss stay float32",
    )
    group.add_argument(
        "--compile",
        action="store_true",
        help="torch.compile: a minute or two to begin with, then faster; needs a C++ compiler",
    )


def add_adaptation_argument(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--adapt_batch_norm",
        action="store_true",
        help="predict with BatchNorm statistics of the clips predicted, all of a table together: for clips "
        "recorded unlike those of training",
    )


def check_compiler(parser: argparse.ArgumentParser, args: argparse.Namespace) -> None:
    """parser.error where --compile has no compiler."""
    missing = missing_compiler() if args.compile else None
    if missing:
        parser.error(missing)


def add_training_arguments(
    parser: argparse.ArgumentParser, label: str, frequency_encoding: bool, one_run: bool = True
) -> None:
    """All flags of the training scripts, in groups; --no_frequency_encoding where it applies.

    Without one_run those of a series of runs: --folds may be left out, and what places or continues a
    single run is the series' business.
    """
    group = parser.add_argument_group("data")
    group.add_argument("--train_df", required=True, help="curated table, CSV fname,labels")
    group.add_argument("--train_data_dir", required=True, help="folder of its clips")
    group.add_argument("--noisy_train_df", help="noisy table, CSV fname,labels")
    group.add_argument("--noisy_train_data_dir", help="folder of its clips")
    division = group.add_mutually_exclusive_group()
    division.add_argument(
        "--share_noisy",
        action="store_true",
        help="train every fold on all noisy clips instead of on its own share of 1/n_folds",
    )
    division.add_argument(
        "--cross_fit_noisy",
        action="store_true",
        help="train every fold on all noisy clips but its own share",
    )
    group.add_argument("--classmap", required=True, help="JSON {class: index}, see create_class_map.py")
    group.add_argument("--test_data_dir", help="folder of the test clips")
    group.add_argument(
        "--sample_submission", help="test table, any CSV with fname; without it no test prediction"
    )
    group.add_argument(
        "--max_audio_length",
        type=cli.number(float, 0.01, high=3600),
        default=10,
        help="seconds; longer clips give a random segment in training",
    )
    group.add_argument("--max_samples", type=cli.COUNT, help="at most so many clips a table")
    group.add_argument(
        "--holdout_size",
        type=cli.number(float, 0, below=1),
        default=0,
        help="share of the curated clips kept out",
    )
    group.add_argument(
        "--skip_bad_clips",
        action="store_true",
        help="decode every clip first and go on without the unusable ones, listed in skipped_clips.csv",
    )
    group.add_argument(
        "--drop_known_bad",
        action="store_true",
        help="leave out the curated clips of data/known_bad_clips.csv, listed in skipped_clips.csv",
    )

    group = parser.add_argument_group("folds")
    group.add_argument(
        "--folds",
        type=cli.number(int, 0),
        nargs="+",
        required=one_run,
        help="folds to train now, from 0 to n_folds - 1" if one_run else "folds to train; without it all",
    )
    group.add_argument("--n_folds", type=cli.number(int, 2), default=4, help="folds in all")
    group.add_argument("--kfold_seed", type=SEED, default=42, help="seed of the folds")

    group = parser.add_argument_group("network")
    group.add_argument(
        "--features", required=True, type=cli.parsed_by(parse_features), help=f"front end: {FEATURES_GRAMMAR}"
    )
    group.add_argument("--aggregation_type", required=True, choices=("max", "rnn"), help="head on each block")
    group.add_argument("--num_conv_blocks", type=cli.number(int, 1, high=16), default=5, help="blocks")
    group.add_argument(
        "--start_deep_supervision_on",
        type=cli.number(int, 0),
        default=2,
        help="first block with a head",
    )
    group.add_argument("--conv_base_depth", type=cli.COUNT, default=64, help="channels of block 0")
    group.add_argument(
        "--growth_rate",
        type=cli.number(float, 0.01, high=16),
        default=2,
        help="channels times this, block by block",
    )
    group.add_argument(
        "--output_dropout",
        type=cli.number(float, 0, below=1),
        default=0,
        help="probability before the last layer",
    )
    if frequency_encoding:
        group.add_argument(
            "--no_frequency_encoding",
            action="store_true",
            help="leave out the input channel that tells the height of each feature",
        )

    group = parser.add_argument_group("optimisation")
    group.add_argument("--loss", choices=sorted(LOSSES), default="lsep", help="loss")
    group.add_argument("--optimizer", required=True, choices=sorted(OPTIMIZERS), help="optimizer")
    group.add_argument(
        "--lr", type=cli.number(float, 0), default=0.01, help="learning rate; 1cycle has its own"
    )
    group.add_argument(
        "--scheduler",
        type=cli.parsed_by(parse_scheduler),
        default="steplr_1_0.5",
        help=f"rates: {SCHEDULER_GRAMMAR}",
    )
    group.add_argument("--weight_decay", type=cli.number(float, 0), default=1e-5, help="L2 penalty")
    group.add_argument("--epochs", type=cli.COUNT, default=100, help="passes over the training clips")
    group.add_argument(
        "--batch_size", type=cli.COUNT, default=64, help="clips per batch, over all processes of torchrun"
    )
    group.add_argument(
        "--accumulation_steps", type=cli.COUNT, default=1, help="batches averaged for one optimizer step"
    )
    group.add_argument("--seed", type=SEED, default=0, help="of every random draw")

    group = parser.add_argument_group("augmentation (probabilities a clip)")
    group.add_argument("--p_mixup", type=cli.PROBABILITY, default=0.0, help="OR-MixUp")
    group.add_argument("--p_aug", type=cli.PROBABILITY, default=0.0, help="reverb, pitch, overdrive, tempo")
    group.add_argument(
        "--effects",
        choices=sorted(EFFECTS),
        default=DEFAULT_EFFECTS,
        help="what computes these: torch, whole batches on the device, or the SoX binary, clip by clip in "
        "the loader's processes",
    )
    group.add_argument("--p_shuffle", type=cli.PROBABILITY, default=0.0, help="shuffling of chunks of 0.5 s")
    group.add_argument("--p_silence", type=cli.PROBABILITY, default=0.0, help="silencing of a quarter")
    group.add_argument(
        "--switch_off_augmentations_on",
        type=cli.number(int, 0),
        default=20,
        help="epoch, counted from 0, from which on there is none of these",
    )

    group = parser.add_argument_group("run")
    group.add_argument("--label", type=_label, default=label, help="first part of the experiment's name")
    if one_run:
        group.add_argument("--experiments_dir", default="experiments", help="where experiments are kept")
        group.add_argument(
            "--resume", action="store_true", help="continue, or join, the experiment of these flags"
        )
        group.add_argument(
            "--init_from",
            help="experiment of the same network and folds whose best models the folds start from",
        )
        group.add_argument(
            "--parallel",
            choices=("batches", "folds"),
            default="batches",
            help="what the processes of torchrun share: the batches of each fold, or the folds",
        )
    group.add_argument("--log_interval", type=cli.COUNT, default=10, help="batches between reports")
    group.add_argument("--save_every", type=cli.COUNT, default=1, help="epochs between kept models")
    add_device_arguments(group)
    add_acceleration_arguments(group)
    add_adaptation_argument(group)


def check_training_arguments(
    parser: argparse.ArgumentParser,
    args: argparse.Namespace,
    kind: str,
    check_network: Callable[..., Any],
) -> None:
    """Ends in parser.error where flags do not go together; check_network takes the network's."""
    try:
        check_network(**network_section(args, kind, n_classes=1))
    except ValueError as error:
        parser.error(str(error))
    if (args.noisy_train_df is None) != (args.noisy_train_data_dir is None):
        parser.error("--noisy_train_df and --noisy_train_data_dir go together: give both or none")
    for flag in ("share_noisy", "cross_fit_noisy"):
        if getattr(args, flag) and args.noisy_train_df is None:
            parser.error(f"--{flag} divides noisy clips: give --noisy_train_df and --noisy_train_data_dir")
    if (args.test_data_dir is None) != (args.sample_submission is None):
        parser.error("--test_data_dir and --sample_submission go together: give both or none")
    outside = [fold for fold in args.folds if fold >= args.n_folds]
    if outside:
        parser.error(
            f"--folds: expected 0 to {args.n_folds - 1} (--n_folds={args.n_folds}), got {outside[0]}"
        )
    if len(set(args.folds)) != len(args.folds):
        parser.error(f"--folds: expected each fold once, got {' '.join(map(str, args.folds))}")
    started = processes.launch()
    if started and args.parallel == "batches" and args.batch_size < started.world_size:
        parser.error(
            f"--batch_size: expected at least a clip for each of the {started.world_size} processes, got "
            f"{args.batch_size}"
        )
    if args.p_aug > 0:
        missing = missing_effects_engine(args.effects)
        if missing:
            parser.error(missing)
    check_compiler(parser, args)
    args.device = resolve_device(parser, args.device)


def resolve_device(parser: argparse.ArgumentParser, name: str) -> torch.device:
    """--device as a torch device; parser.error where this machine has no such device.

    Of several processes on a machine each takes the GPU of its local rank.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    started = processes.launch()
    if started and started.local_world_size > 1 and name.startswith("cuda"):
        n_gpus = torch.cuda.device_count()
        if name != "cuda" or started.local_world_size > n_gpus:
            parser.error(
                f"--device: expected cuda and a GPU for each of the {started.local_world_size} processes on "
                f"this machine, got {name!r} and {n_gpus} GPUs; lower --nproc_per_node or give --device=cpu"
            )
        name = f"cuda:{started.local_rank}"
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        shown = "" if "device string" in reason else f" ({reason})"  # a list of all of torch's device types
        parser.error(f"--device: expected auto, cpu or a GPU of this machine, got {name!r}{shown}")
    return device


def network_section(args: argparse.Namespace, kind: str, n_classes: int) -> dict[str, Any]:
    """The config's `network` section: the fields of a NetworkConfig."""
    keys = (
        "features num_conv_blocks conv_base_depth growth_rate start_deep_supervision_on aggregation_type "
        "output_dropout"
    )
    section = {"kind": kind, "n_classes": n_classes, **{key: getattr(args, key) for key in keys.split()}}
    if hasattr(args, "no_frequency_encoding"):
        section["frequency_encoding"] = not args.no_frequency_encoding
    return section


def training_config(args: argparse.Namespace, kind: str, class_map: dict[str, int]) -> dict[str, Any]:
    """The nested config of a training run: all that its result depends on."""
    data_keys = (
        "train_df train_data_dir noisy_train_df noisy_train_data_dir share_noisy classmap max_audio_length "
        "skip_bad_clips drop_known_bad max_samples holdout_size n_folds kfold_seed"
    )
    train_keys = (
        "loss optimizer lr scheduler weight_decay epochs batch_size accumulation_steps seed p_mixup p_aug "
        "effects p_shuffle p_silence switch_off_augmentations_on amp compile"
    )
    config = {
        "network": network_section(args, kind, len(class_map)),
        "data": {**{key: getattr(args, key) for key in data_keys.split()}, "classes": list(class_map)},
        "train": {key: getattr(args, key) for key in train_keys.split()},
        "label": args.label,
    }
    # Entries of such runs alone: others keep the names they have always had.
    if args.cross_fit_noisy:
        config["data"]["cross_fit_noisy"] = True
    if args.adapt_batch_norm:
        config["train"]["adapt_batch_norm"] = True
    if getattr(args, "init_from", None):
        config["train"]["init_from"] = warm_start.describe(args.init_from)
    return config
