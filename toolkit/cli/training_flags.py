"""Flags of the dataclasses that describe a run, and from parsed flags these dataclasses."""

from __future__ import annotations

import argparse
import dataclasses
import re
import sys
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import nn

from ops.effects.sox import missing_effects_engine
from toolkit.cli.parser import Parser, make_parser, number, parsed_by
from toolkit.cli.presets import PRESETS, add_preset_flags, take_defaults
from toolkit.clips.cache import ClipCache
from toolkit.clips.labels import load_class_map
from toolkit.runs.config import DataConfig, RunConfig, SubmissionConfig, TrainConfig
from toolkit.runs.experiment import Experiment
from toolkit.system import processes
from toolkit.system.options import defaults, kinds
from toolkit.system.runtime import Runtime, missing_compiler
from toolkit.training import backbones, warm_start
from toolkit.training.cross_validation import Session, run_folds

# Defaults of kinds of networks where they are not those of all.
RECIPES: dict[str | None, dict[str, Any]] = {
    "embedding": {
        "optimizer": "adam",
        "scheduler": "1cycle_0.0001_0.003",
        "epochs": 40,
        "switch_off_augmentations_on": 35,
        "batch_size": 16,
        "weight_decay": 1e-4,
        "p_mixup": 0.5,
    }
}


def add_flags(
    group: Any, config_type: type, names: Sequence[str] | None = None, kind: str | None = None
) -> None:
    """The flags of a dataclass, or of some of its fields, in an argparse group or in groups by heading.

    Each field with a help text in its metadata is a flag, see toolkit.system.options.

    Args:
        group: a group; or {heading: group}, where a field's own `group` or else "" names its heading.
        kind: of network, whose flags and defaults they are; None: of any kind.
    """
    types_of, defaults_of = kinds(config_type), defaults(config_type) | RECIPES.get(kind, {})
    for field in dataclasses.fields(config_type):
        if "help" not in field.metadata or (names is not None and field.name not in names):
            continue
        if kind and kind not in field.metadata.get("kinds", (kind,)):
            continue
        heading = group[field.metadata.get("group", "")] if isinstance(group, dict) else group
        add_flag(heading, field, types_of[field.name], defaults_of)


def add_flag(group: Any, field: dataclasses.Field, kind: type, defaults_of: dict[str, Any]) -> None:
    """One field's flag."""
    about, options = field.metadata, {"help": field.metadata["help"]}
    if kind is bool:
        is_on = defaults_of[field.name]
        flag = f"--no_{field.name}" if is_on else f"--{field.name}"
        group.add_argument(flag, dest=field.name, action="store_false" if is_on else "store_true", **options)
        return
    if "choices" in about:
        choices = about["choices"]
        options["choices"] = choices() if callable(choices) else choices
    elif "parse" in about:
        options["type"] = parsed_by(about["parse"])
    elif kind is list:
        options["nargs"] = "+"
    elif kind in (int, float):
        limits = {name: about[name] for name in ("low", "high", "below") if name in about}
        options["type"] = number(kind, **limits)
    if about.get("required", field.name not in defaults_of):
        options["required"] = True
    else:
        options["default"] = defaults_of[field.name]
    group.add_argument(f"--{field.name}", **options)


def values_of(args: argparse.Namespace, config_type: type, **given: Any) -> dict[str, Any]:
    """Of the parsed flags those that are fields of a dataclass; `given` adds to them, or overrules."""
    names = [field.name for field in dataclasses.fields(config_type)]
    return {name: getattr(args, name) for name in names if hasattr(args, name)} | given


def add_run_flags(
    parser: Parser, network_type: type, label: str, kind: str | None = None, one_run: bool = True
) -> None:
    """All flags of the training scripts, in groups.

    Args:
        network_type: the dataclass of networks, whose fields with a help text are flags.
        kind: of the networks; None: of any kind.
        label: default first part of the experiment's name.
        one_run: without it, those of a series of runs: what places or continues a single run is the series'
            business.
    """
    add_preset_flags(parser, kind)
    titles = ("data", "folds", "network", "optimisation", "augmentation", "run", "machine")
    groups = {title: parser.add_argument_group(title) for title in titles}
    add_flags({**groups, "": groups["data"]}, DataConfig, kind=kind)
    add_flags(groups["data"], SubmissionConfig)
    groups["folds"].add_argument(
        "--folds",
        type=number(int, 0),
        nargs="+",
        help="folds to train now, from 0 to n_folds - 1; without it all",
    )
    add_flags(groups["network"], network_type, kind=kind)
    add_flags({**groups, "": groups["optimisation"]}, TrainConfig, kind=kind)
    group = groups["run"]
    add_experiment_flags(group, label, one_run)
    what = "experiment of the same network and folds, or of pretraining, whose models the folds start from"
    group.add_argument("--init_from", help=what)
    reports = ("log_interval", "save_every")
    add_flags(group, Runtime, reports)
    others = [field.name for field in dataclasses.fields(Runtime) if field.name not in reports]
    add_runtime_flags(groups["machine"], others, kind)
    if kind != "embedding":
        parser.offer("--preset NAME", PRESETS["published"])


def add_experiment_flags(group: Any, label: str, one_run: bool = True) -> None:
    """--label and, of one_run, where it goes and whether it may be there already; see add_run_flags."""
    group.add_argument("--label", type=_label, default=label, help="start of the experiment's name")
    if one_run:
        group.add_argument("--experiments_dir", default="experiments", help="folder of all experiments")
        group.add_argument(
            "--resume",
            action="store_true",
            help="continue or join the experiment of these flags; "
            "clips, labels, folds and sounds are compared",
        )


def add_runtime_flags(
    group: Any,
    names: Sequence[str] = ("num_workers", "amp", "compile", "cache"),
    kind: str | None = None,
) -> None:
    """--device and some of the flags of toolkit.system.runtime."""
    group.add_argument(
        "--device", default="auto", help="auto, cpu, cuda or cuda:<n>; auto takes a GPU where there is one"
    )
    add_flags(group, Runtime, names, kind)


def runtime_of(parser: Parser, args: argparse.Namespace) -> Runtime:
    """Where and how to compute; parser.error where this machine cannot."""
    missing = missing_compiler() if getattr(args, "compile", False) else None
    if missing:
        parser.error(missing)
    gradients = getattr(args, "parallel", None) == "batches"
    device = resolve_device(parser, args.device, gradients)
    if getattr(args, "graphs", False) and device.type != "cuda":
        parser.error(f"--graphs: CUDA graphs need a GPU, and the device is {device}; leave the flag out")
    cache = ClipCache(args.cache) if args.cache else None
    return Runtime(**values_of(args, Runtime, device=device, cache=cache))


def check_run_flags(parser: Parser, args: argparse.Namespace, network_type: type, kind: str) -> None:
    """Ends in parser.error where flags of a run do not go together; without --folds all are meant."""
    if args.folds is None:
        args.folds = list(range(args.n_folds))
    check_sections(parser, args, network_type, kind)
    if args.soft_labels and args.loss == "focal":
        parser.error("--soft_labels goes with the losses lsep, zlpr and bce, not with focal")
    outside = [fold for fold in args.folds if fold >= args.n_folds]
    if outside:
        parser.error(
            f"--folds: expected 0 to {args.n_folds - 1} (--n_folds={args.n_folds}), got {outside[0]}"
        )
    if len(set(args.folds)) != len(args.folds):
        parser.error(f"--folds: expected each fold once, got {' '.join(map(str, args.folds))}")
    started = processes.launch()
    if args.parallel == "batches":
        check_batch_size(parser, args)
    if getattr(args, "graphs", False):
        _check_graphs(parser, args, started is not None and started.world_size > 1)
    missing = missing_effects_engine(args.effects) if getattr(args, "p_aug", 0) > 0 else None
    if missing:
        parser.error(missing)


def check_sections(parser: Parser, args: argparse.Namespace, network_type: type, kind: str) -> None:
    """Ends in parser.error where the flags of the network, or those of the clips, do not go together."""
    try:
        network_type(**network_section(args, network_type, kind, n_classes=1))
        SubmissionConfig(**values_of(args, SubmissionConfig))
        DataConfig(**values_of(args, DataConfig, classes=[]))
    except ValueError as error:
        parser.error(str(error))


def check_batch_size(parser: Parser, args: argparse.Namespace) -> None:
    """Ends in parser.error where processes that share batches would get no clip."""
    started = processes.launch()
    if started and args.batch_size < started.world_size:
        parser.error(
            f"--batch_size: expected at least a clip for each of the {started.world_size} processes, got "
            f"{args.batch_size}"
        )


def _check_graphs(parser: Parser, args: argparse.Namespace, has_company: bool) -> None:
    """parser.error where training passes cannot be CUDA graphs, see networks.graphs."""
    lacks = {
        "--aggregation_type=max": args.aggregation_type != "max",
        "--accumulation_steps=1": args.accumulation_steps != 1,
        "--parallel=folds": has_company and args.parallel != "folds",
        "a network that is not compiled: leave --compile out": args.compile,
    }
    for wanted, is_lacking in lacks.items():
        if is_lacking:
            parser.error(f"--graphs goes with {wanted}")


def network_section(
    args: argparse.Namespace, network_type: type, kind: str, n_classes: int
) -> dict[str, Any]:
    """The config's section `network`: the fields of the network's dataclass that have flags."""
    section = {"kind": kind, "n_classes": n_classes}
    for field in dataclasses.fields(network_type):
        if "help" not in field.metadata or not hasattr(args, field.name):
            continue
        value = getattr(args, field.name)
        if kind in field.metadata.get("kinds", (kind,)):
            section[field.name] = value
        elif value != field.default:
            wanted = " or ".join(field.metadata["kinds"])
            raise ValueError(f"--no_{field.name} goes with --network {wanted}; a {kind} network has none")
    return section


def run_config_of(
    args: argparse.Namespace, network_type: type, kind: str, classes: list[str] | None = None
) -> RunConfig:
    """The config of a training run: all that its result depends on; classes None: those of --classmap."""
    if classes is None:
        classes = list(load_class_map(args.classmap))
    init_from = warm_start.describe(args.init_from) if getattr(args, "init_from", None) else None
    network = network_section(args, network_type, kind, len(classes))
    if kind == "embedding":
        network |= backbones.describe(args.backbone)
    mixup = {"mixup": "paste"} if kind == "embedding" else {}  # half the sum of two embeddings
    return RunConfig(
        network,
        DataConfig(**values_of(args, DataConfig, classes=classes)),
        TrainConfig(**values_of(args, TrainConfig, init_from=init_from, **mixup)),
        args.label,
        network_defaults=defaults(network_type),
    )


class TrainingScript:
    """What the training scripts share: flags, checks, and the run of one kind of network.

    Args:
        docstring: the script's.
        kind: of network, as its dataclass names it.
        network_type: that dataclass.
        build: a network's config -> a network.
    """

    def __init__(self, docstring: str, kind: str, network_type: type, build: Callable[[Any], nn.Module]):
        self.docstring, self.kind, self.network_type, self.build = docstring, kind, network_type, build
        self.label = kind if kind == "embedding" else f"{kind}_cnn"

    def parse_args(self, argv: Sequence[str] | None = None) -> argparse.Namespace:
        parser = make_parser(self.docstring)
        add_run_flags(parser, self.network_type, label=self.label, kind=self.kind)
        preset = take_defaults(parser, sys.argv[1:] if argv is None else argv, self.kind)
        args = parser.parse_args(argv)
        check_run_flags(parser, args, self.network_type, self.kind)
        args.notes = [preset] if preset else []
        args.runtime = runtime_of(parser, args)
        return args

    def run(self, args: argparse.Namespace, argv: Sequence[str]) -> Experiment:
        """Trains the folds that the flags name; argv is the command line."""
        session = Session(
            args.folds,
            argv,
            args.experiments_dir,
            args.resume,
            SubmissionConfig(**values_of(args, SubmissionConfig)),
            notes=args.notes,
        )
        config = run_config_of(args, self.network_type, self.kind)
        return run_folds(config, session, self.build_network, args.runtime)

    def build_network(self, network: dict[str, Any]) -> nn.Module:
        """A network of a config's section `network`."""
        return self.build(self.network_type(**network))


def resolve_device(parser: argparse.ArgumentParser, name: str, gradients: bool = True) -> torch.device:
    """--device as a torch device; parser.error where this machine has no such device.

    Of several processes on a machine each takes the GPU of its local rank, counted round where there are
    fewer: not so where gradients travel between them (see toolkit.system.processes.joined), since nccl
    takes one process a GPU.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    started, n_gpus = processes.launch(), torch.cuda.device_count()
    if started and n_gpus and name.startswith("cuda"):
        n_processes = started.local_world_size
        if gradients and n_processes > 1 and (name != "cuda" or n_processes > n_gpus):
            parser.error(
                f"--device: expected cuda and a GPU for each of the {n_processes} processes on this machine, "
                f"got {name!r} and {n_gpus} GPUs; lower --nproc_per_node, or give --parallel=folds, with "
                "which processes share GPUs"
            )
        if name == "cuda":
            name = f"cuda:{started.local_rank % n_gpus}"
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        found = "" if "device string" in reason else f" ({reason})"  # a list of all of torch's device types
        parser.error(f"--device: expected auto, cpu or a GPU of this machine, got {name!r}{found}")
    return device


def _label(text: str) -> str:
    if not re.fullmatch(r"[\w.+=-]+", text) or text.startswith((".", "-")):
        raise argparse.ArgumentTypeError(
            f"expected letters, digits and . _ - + = (it names a directory), got {text!r}"
        )
    return text
