"""The command line: flags shared by the scripts, flags -> nested config, errors -> one line."""

from __future__ import annotations

import argparse
import math
import os
import re
import shlex
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from ops.errors import DataError
from ops.features import GRAMMAR as FEATURES_GRAMMAR
from ops.features import parse_features
from ops.interruption import Interrupted
from ops.losses import LOSSES
from ops.optimization import GRAMMAR as SCHEDULER_GRAMMAR
from ops.optimization import OPTIMIZERS, parse_scheduler
from ops.transforms import EFFECTS, missing_effects_engine

EXIT_DATA, EXIT_BAD_CLIPS, EXIT_INTERRUPTED = 1, 3, 130


class HelpFormatter(argparse.ArgumentDefaultsHelpFormatter):
    """Defaults behind each help text, but for flags that have none to show."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        if action.required or action.default in (None, False, []):
            return action.help
        return super()._get_help_string(action)


def make_parser(docstring: str) -> argparse.ArgumentParser:
    """A parser described by a script's docstring; abbreviated flags are refused."""
    summary, _, rest = docstring.partition("\n")
    return argparse.ArgumentParser(
        description=summary, epilog=rest.strip("\n"), formatter_class=_RawEpilog, allow_abbrev=False
    )


class _RawEpilog(HelpFormatter, argparse.RawDescriptionHelpFormatter):
    pass


# Types of single flags: argparse shows the message of an ArgumentTypeError.


def parsed_by(parse: Callable[[str], Any]) -> Callable[[str], str]:
    """A flag's type that keeps the text but has `parse` check it."""

    def check(text: str) -> str:
        try:
            parse(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from error
        return text

    return check


def number(kind: type, low: float, high: float = math.inf, below: float = math.inf) -> Callable[[str], Any]:
    """An int or float flag from low to high (both included), and less than `below`."""
    expected = f"a {'whole ' if kind is int else ''}number of at least {low:g}"
    if math.isfinite(high):
        expected = f"a {'whole ' if kind is int else ''}number from {low:g} to {high:g}"
    if math.isfinite(below):
        expected += f" and less than {below:g}"

    def check(text: str) -> Any:
        try:
            value = kind(text)
        except ValueError:
            value = math.nan
        if not (low <= value <= high and value < below):
            raise argparse.ArgumentTypeError(f"expected {expected}, got {text!r}")
        return value

    return check


def _label(text: str) -> str:
    if not re.fullmatch(r"[\w.+=-]+", text) or text.startswith((".", "-")):
        raise argparse.ArgumentTypeError(
            f"expected letters, digits and . _ - + = (it names a directory), got {text!r}"
        )
    return text


PROBABILITY = number(float, 0, high=1)
COUNT = number(int, 1)


def add_device_arguments(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--device", default="auto", help="auto, cpu, cuda or cuda:<n>; auto takes a GPU where there is one"
    )
    group.add_argument(
        "--num_workers", type=number(int, 0), default=4, help="loader processes; 0 loads in the main one"
    )


def add_training_arguments(parser: argparse.ArgumentParser, label: str, frequency_encoding: bool) -> None:
    """All flags of the two training scripts, in groups; --no_frequency_encoding where it applies."""
    group = parser.add_argument_group("data")
    group.add_argument("--train_df", required=True, help="curated table, CSV fname,labels")
    group.add_argument("--train_data_dir", required=True, help="folder of its clips")
    group.add_argument("--noisy_train_df", help="noisy table, CSV fname,labels")
    group.add_argument("--noisy_train_data_dir", help="folder of its clips")
    group.add_argument(
        "--share_noisy",
        action="store_true",
        help="train every fold on all noisy clips instead of on its own share of 1/n_folds",
    )
    group.add_argument("--classmap", required=True, help="JSON {class: index}, see create_class_map.py")
    group.add_argument("--test_data_dir", help="folder of the test clips")
    group.add_argument(
        "--sample_submission", help="test table, any CSV with fname; without it no test prediction"
    )
    group.add_argument(
        "--max_audio_length",
        type=number(float, 0.01, high=3600),
        default=10,
        help="seconds; longer clips give a random segment in training",
    )
    group.add_argument("--max_samples", type=COUNT, help="at most so many clips a table, to try things out")
    group.add_argument(
        "--holdout_size",
        type=number(float, 0, below=1),
        default=0,
        help="share of the curated clips kept out",
    )

    group = parser.add_argument_group("folds")
    group.add_argument(
        "--folds",
        type=number(int, 0),
        nargs="+",
        required=True,
        help="folds to train now, from 0 to n_folds - 1",
    )
    group.add_argument("--n_folds", type=number(int, 2), default=4, help="folds in all")
    group.add_argument(
        "--kfold_seed", type=number(int, 0, high=2**32 - 1), default=42, help="seed of the folds"
    )

    group = parser.add_argument_group("network")
    group.add_argument(
        "--features", required=True, type=parsed_by(parse_features), help=f"front end: {FEATURES_GRAMMAR}"
    )
    group.add_argument("--aggregation_type", required=True, choices=("max", "rnn"), help="head on each block")
    group.add_argument("--num_conv_blocks", type=number(int, 1, high=16), default=5, help="blocks")
    group.add_argument(
        "--start_deep_supervision_on", type=number(int, 0), default=2, help="first block with a head, from 0"
    )
    group.add_argument("--conv_base_depth", type=COUNT, default=64, help="channels of block 0")
    group.add_argument(
        "--growth_rate",
        type=number(float, 0.01, high=16),
        default=2,
        help="channels times this, block by block",
    )
    group.add_argument(
        "--output_dropout",
        type=number(float, 0, below=1),
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
    group.add_argument("--lr", type=number(float, 0), default=0.01, help="learning rate (1cycle has its own)")
    group.add_argument(
        "--scheduler",
        type=parsed_by(parse_scheduler),
        default="steplr_1_0.5",
        help=f"rates: {SCHEDULER_GRAMMAR}",
    )
    group.add_argument("--weight_decay", type=number(float, 0), default=1e-5, help="L2 penalty")
    group.add_argument("--epochs", type=COUNT, default=100, help="passes over the training clips")
    group.add_argument("--batch_size", type=COUNT, default=64, help="clips per batch")
    group.add_argument(
        "--accumulation_steps", type=COUNT, default=1, help="batches averaged for one optimizer step"
    )
    group.add_argument("--seed", type=number(int, 0, high=2**32 - 1), default=0, help="of every random draw")

    group = parser.add_argument_group("augmentation (probabilities a clip)")
    group.add_argument("--p_mixup", type=PROBABILITY, default=0.0, help="OR-MixUp")
    group.add_argument("--p_aug", type=PROBABILITY, default=0.0, help="reverb, pitch, overdrive, tempo")
    group.add_argument(
        "--effects", choices=sorted(EFFECTS), default="sox", help="what computes these effects"
    )
    group.add_argument("--p_shuffle", type=PROBABILITY, default=0.0, help="shuffling of chunks of 0.5 s")
    group.add_argument("--p_silence", type=PROBABILITY, default=0.0, help="silencing of a quarter")
    group.add_argument(
        "--switch_off_augmentations_on",
        type=number(int, 0),
        default=20,
        help="epoch, counted from 0, from which on there is none of these",
    )

    group = parser.add_argument_group("run")
    group.add_argument("--label", type=_label, default=label, help="first part of the experiment's name")
    group.add_argument("--experiments_dir", default="experiments", help="where experiments are kept")
    group.add_argument(
        "--resume", action="store_true", help="continue, or join, the experiment of these flags"
    )
    group.add_argument("--log_interval", type=COUNT, default=10, help="batches between reports")
    group.add_argument("--save_every", type=COUNT, default=1, help="epochs between kept models")
    add_device_arguments(group)


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
    if args.share_noisy and args.noisy_train_df is None:
        parser.error("--share_noisy shares noisy clips: give --noisy_train_df and --noisy_train_data_dir")
    if (args.test_data_dir is None) != (args.sample_submission is None):
        parser.error("--test_data_dir and --sample_submission go together: give both or none")
    outside = [fold for fold in args.folds if fold >= args.n_folds]
    if outside:
        parser.error(
            f"--folds: expected 0 to {args.n_folds - 1} (--n_folds={args.n_folds}), got {outside[0]}"
        )
    if len(set(args.folds)) != len(args.folds):
        parser.error(f"--folds: expected each fold once, got {' '.join(map(str, args.folds))}")
    if args.p_aug > 0:
        missing = missing_effects_engine(args.effects)
        if missing:
            parser.error(missing)
    args.device = resolve_device(parser, args.device)


def resolve_device(parser: argparse.ArgumentParser, name: str) -> torch.device:
    """--device as a torch device; parser.error where this machine has no such device."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        parser.error(f"--device: expected auto, cpu or a GPU of this machine, got {name!r} ({reason})")
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
        "max_samples holdout_size n_folds kfold_seed"
    )
    train_keys = (
        "loss optimizer lr scheduler weight_decay epochs batch_size accumulation_steps seed p_mixup p_aug "
        "effects p_shuffle p_silence switch_off_augmentations_on"
    )
    return {
        "network": network_section(args, kind, len(class_map)),
        "data": {**{key: getattr(args, key) for key in data_keys.split()}, "classes": list(class_map)},
        "train": {key: getattr(args, key) for key in train_keys.split()},
        "label": args.label,
    }


def output_path(text: str) -> Path:
    """A file to write: its folder is there (made where missing) and it is no folder itself."""
    path = Path(text)
    if path.is_dir():
        raise DataError(f"{path}: expected a file to write, found a folder; add a file name")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"{path}: its folder cannot be made ({error.strerror})") from error
    if not os.access(path.parent, os.W_OK):
        raise DataError(f"{path}: its folder cannot be written to; choose another")
    return path


def run_script(main: Callable[[], int | None]) -> None:
    """Runs a script's main and ends the process: a user's mistake gives one line, no traceback."""
    try:
        code = main() or 0
    except DataError as error:
        print(f"error: {' '.join(str(error).splitlines())}", file=sys.stderr)
        code = EXIT_DATA
    except (Interrupted, KeyboardInterrupt):
        command = shlex.join(["python", *sys.argv, *([] if "--resume" in sys.argv else ["--resume"])])
        hint = f"continue with: {command}" if "train" in Path(sys.argv[0]).name else "nothing was written"
        print(f"interrupted; {hint}", file=sys.stderr)
        code = EXIT_INTERRUPTED
    except torch.cuda.OutOfMemoryError as error:
        reason = str(error).splitlines()[0]
        print(
            f"error: the GPU ran out of memory ({reason}); lower --batch_size or --max_audio_length",
            file=sys.stderr,
        )
        code = EXIT_DATA
    sys.exit(code)


def print_table(rows: Sequence[Sequence[str]]) -> None:
    """Prints rows of cells in aligned columns."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
