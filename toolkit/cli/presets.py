"""Many flags by one: --preset NAME and --like EXPERIMENT; flags that are given as well count first."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from ops.errors import DataError
from toolkit.cli.parser import Parser
from toolkit.runs.experiment import Experiment

SMALL = {
    "features": "mel_1024_512_64",
    "aggregation_type": "max",
    "num_conv_blocks": 4,
    "conv_base_depth": 16,
    "growth_rate": 1.5,
    "start_deep_supervision_on": 1,
    "optimizer": "adam",
    "scheduler": "1cycle_0.0001_0.01",
    "weight_decay": 0.0,
    "epochs": 24,
    "switch_off_augmentations_on": 20,
    "batch_size": 8,
    "max_audio_length": 10.0,
    "p_mixup": 0.5,
}
PRESETS: dict[str, dict[str, Any]] = {
    "small": SMALL,
    "published": {
        **SMALL,
        "features": "mel_2048_1024_128",
        "num_conv_blocks": 5,
        "conv_base_depth": 100,
        "scheduler": "1cycle_0.0001_0.005",
        "epochs": 150,
        "switch_off_augmentations_on": 130,
        "batch_size": 16,
        "max_audio_length": 15.0,
        "mixup": "paste",
        "p_aug": 0.75,
        "n_folds": 5,
    },
    "noisy": {**SMALL, "epochs": 16, "switch_off_augmentations_on": 14, "batch_size": 16},
}
WHAT_FOR = {
    "small": "minutes on a CPU: a first try, or some hundred clips",
    "published": "the network of the solution that this rebuilds, hours on a GPU",
    "noisy": "as small, for some thousand clips of a noisy table",
}
# What a preset has otherwise for the networks of a kind.
OF_KIND: dict[str, dict[str, Any]] = {"1d": {"features": "stft_256_128"}}
# Settings of an experiment that are the machine's, or another experiment's weights.
NOT_TAKEN = {"amp", "compile", "graphs", "init_from", "kind", "n_classes", "pretraining"}


def add_preset_flags(parser: Parser, kind: str | None, what: str = "network and schedule") -> None:
    """--preset, for networks that take waveforms, and --like; in --help what they are for.

    what: of a preset's settings counts, see take_defaults.
    """
    group = parser.add_argument_group("preset").add_mutually_exclusive_group()
    told = "; ".join(f"{name}: {what}" for name, what in WHAT_FOR.items())
    if kind != "embedding":
        group.add_argument(
            "--preset",
            choices=list(PRESETS),
            help=f"{what}, where no flag says otherwise; {told}",
        )
    group.add_argument(
        "--like",
        metavar="DIR",
        help="experiment whose settings and tables count where no flag says otherwise",
    )


def take_defaults(
    parser: Parser, argv: Sequence[str], kind: str | None, only: Collection[str] | None = None
) -> str:
    """Makes what --preset or --like says the defaults of the flags; returns it in words for the log, or "".

    Args:
        kind: of the networks that the script trains; None: that of --network.
        only: the settings that count, by name; None: all.
    """
    ahead = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    for name in ("--preset", "--like", "--network"):
        ahead.add_argument(name)
    try:
        given = ahead.parse_known_args(argv)[0]
    except argparse.ArgumentError:  # the parser itself will say it
        return ""
    if given.preset in PRESETS:
        values = PRESETS[given.preset] | OF_KIND.get(kind or given.network, {})
        source = f"preset {given.preset}"
    elif given.like:
        values, source = _settings_of(parser, given.like, kind or given.network), f"like {given.like}"
    else:
        return ""
    if only is not None:
        values = {name: value for name, value in values.items() if name in only}
    told = f"{source}: {shlex.join(_spelled(parser, values))}; flags given as well count first"
    parser.take(values)
    return told


def _settings_of(parser: Parser, directory: str, kind: str | None) -> dict[str, Any]:
    """The settings of an experiment that are flags, but for the machine's."""
    try:
        settings = Experiment.load(directory).config.settings()
    except DataError as error:
        parser.error(f"--like: {error}")
    if kind not in (None, settings["kind"]):
        parser.error(f"--like: expected an experiment of a {kind} network, {directory} is of another kind")
    return {name: value for name, value in settings.items() if value is not None and name not in NOT_TAKEN}


def _spelled(parser: Parser, values: Mapping[str, Any]) -> list[str]:
    """The values that are not their flags' own defaults, as words of a command line."""
    words = []
    for name, value in values.items():
        action = parser.actions.get(name)
        if action is not None and action.default != value:
            flag = action.option_strings[0]
            words.append(flag if isinstance(value, bool) else f"{flag}={value}")
    return words
