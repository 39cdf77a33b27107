"""The command line: parsers and types of flags, and errors that end a script in one line."""

from __future__ import annotations

import argparse
import math
import os
import shlex
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from ops import distributed
from ops.errors import DataError
from ops.interruption import Interrupted

EXIT_DATA, EXIT_USAGE, EXIT_BAD_CLIPS, EXIT_INTERRUPTED = 1, 2, 3, 130


class HelpFormatter(argparse.ArgumentDefaultsHelpFormatter):
    """Defaults behind each help text, but for flags that have none to show."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        if action.required or action.default is None or action.default is False:
            return action.help
        return super()._get_help_string(action)


class _Formatter(HelpFormatter, argparse.RawDescriptionHelpFormatter):
    pass


class Parser(argparse.ArgumentParser):
    """A parser whose errors are one line; abbreviated flags are refused."""

    def error(self, message: str) -> NoReturn:
        first = distributed.is_first_to_say(message)
        self.exit(EXIT_USAGE, f"error: {message} (see {self.prog} --help)\n" if first else None)


def make_parser(docstring: str) -> Parser:
    """A parser described by a script's docstring."""
    summary, _, rest = docstring.partition("\n")
    return Parser(
        description=summary, epilog=rest.strip("\n"), formatter_class=_Formatter, allow_abbrev=False
    )


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


PROBABILITY = number(float, 0, high=1)
COUNT = number(int, 1)


def output_path(text: str, make: bool = True) -> Path:
    """A file to write: its folder is there (made where missing) and it is no folder itself.

    Without `make` only the name is looked at.
    """
    path = Path(text)
    if path.is_dir():
        raise DataError(f"{path}: expected a file to write, found a folder; add a file name")
    if not make:
        return path
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
        for line in getattr(error, "lines", [str(error)]):
            message = f"error: {' '.join(line.splitlines())}"
            if distributed.is_first_to_say(message):
                # Rank 0's progress bar may stand in the line.
                print(message if distributed.shows_progress() else f"\n{message}", file=sys.stderr)
        code = EXIT_DATA
    except (Interrupted, KeyboardInterrupt):
        if distributed.is_first_to_say("interrupted"):
            print(f"interrupted; {_how_to_go_on()}", file=sys.stderr)
        code = EXIT_INTERRUPTED
    except RuntimeError as error:
        if type(error).__name__ != "OutOfMemoryError":  # torch's; scripts without torch do not load it
            raise
        reason = str(error).splitlines()[0]
        hint = "lower --batch_size or --max_audio_length"
        print(f"error: the GPU ran out of memory ({reason}); {hint}", file=sys.stderr)
        code = EXIT_DATA
    distributed.leave(code)
    sys.exit(code)


def _how_to_go_on() -> str:
    name = Path(sys.argv[0]).name
    is_training, started = "train" in name, distributed.launch()
    if not any(word in name for word in ("train", "download", "rounds")) and started is None:
        return "nothing was written"
    script = [*sys.argv, *([] if "--resume" in sys.argv or not is_training else ["--resume"])]
    if started is None:
        return f"continue with: {shlex.join(['python', *script])}"
    if started.world_size == started.local_world_size:
        torchrun = ["torchrun", "--standalone", f"--nproc_per_node={started.world_size}"]
        return f"continue with: {shlex.join([*torchrun, *script])}"
    return f"continue on every node with: torchrun <its flags as before> {shlex.join(script)}"


def print_table(rows: Sequence[Sequence[str]]) -> None:
    """Prints rows of cells in aligned columns."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
