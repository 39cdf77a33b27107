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

from ops.errors import DataError, nearest
from toolkit.cli.help import HelpAction, HelpFormatter
from toolkit.system import console, processes
from toolkit.system.interruption import Interrupted, keep_interrupts

EXIT_DATA, EXIT_USAGE, EXIT_BAD_CLIPS, EXIT_INTERRUPTED = 1, 2, 3, 130
OUTPUT_FLAGS = {"output", "output_df", "output_file", "output_csv", "csv"}


class Parser(argparse.ArgumentParser):
    """A parser whose errors are one line and name the nearest flag; abbreviated flags are refused.

    Parsing also sets what --quiet means to toolkit.system.console, and answers a shell that completes a line.
    """

    _given: Sequence[str] = ()

    def parse_args(self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None):
        """As argparse's parse_args."""
        if "_ARGCOMPLETE" in os.environ:
            _complete(self)
        self._given = list(sys.argv[1:] if args is None else args)
        parsed = super().parse_args(args, namespace)
        self._refuse_to_overwrite_inputs(parsed)
        console.set_quiet(parsed.quiet)
        return parsed

    def _refuse_to_overwrite_inputs(self, parsed: argparse.Namespace) -> None:
        files: dict[str, list[str]] = {}  # flag -> existing files that it names
        for name, value in vars(parsed).items():
            values = value if isinstance(value, list) else [value]
            files[name] = [text for text in values if isinstance(text, str) and os.path.isfile(text)]
        for name in files.keys() & OUTPUT_FLAGS:
            for other in files.keys() - OUTPUT_FLAGS:
                if any(os.path.samefile(a, b) for a in files[name] for b in files[other]):
                    self.error(
                        f"--{name}: {files[name][0]} is what --{other} reads, and would be overwritten; give "
                        "another file"
                    )

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is not None and value not in action.choices:
            choices = [str(choice) for choice in action.choices]
            hint = nearest(str(value), choices)
            raise argparse.ArgumentError(
                action, f"expected one of {', '.join(map(repr, choices))}, got {value!r}{hint}"
            )

    def error(self, message: str) -> NoReturn:
        flags = self._option_string_actions
        unknown = [flag for word in self._given if (flag := word.split("=")[0]).startswith("--")]
        hints = [f"{flag}{nearest(flag, flags)}" for flag in unknown if len(flag) > 2 and flag not in flags]
        if hints and message.startswith(("unrecognized", "the following")):
            required = "" if message.startswith("unrec") else f"; {message}"
            message = f"unknown {'flag' if len(hints) == 1 else 'flags'} {', '.join(hints)}{required}"
        message = " ".join(message.splitlines())
        if processes.is_first_to_say(message):
            _print_error(f"{message} (see {self.prog} --help)")
        sys.exit(EXIT_USAGE)


def _complete(parser: Parser) -> None:
    """Prints what may follow in the shell's line and exits, where argcomplete is installed."""
    try:
        import argcomplete
    except ImportError:
        sys.exit(EXIT_DATA)  # a completing shell shows no errors
    argcomplete.autocomplete(parser)


def make_parser(docstring: str) -> Parser:
    """A parser described by a script's docstring, with --help and --quiet."""
    summary, _, rest = docstring.partition("\n")
    parser = Parser(
        description=summary, epilog=rest, formatter_class=HelpFormatter, allow_abbrev=False, add_help=False
    )
    parser.add_argument(
        "-h", "--help", action=HelpAction, help="show all flags, or those of one GROUP, and exit"
    )
    parser.add_argument("--quiet", action="store_true", help="print results and errors only, no progress")
    return parser


# Types of single flags: argparse shows the message of an ArgumentTypeError.


def parsed_by(parse: Callable[[str], Any]) -> Callable[[str], str]:
    """A flag's type that keeps the text but has `parse` check it."""

    def check(text: str) -> str:
        try:
            parse(text)
        except ValueError as error:
            # "features: expected ...", where argparse says "argument --features: " before it.
            head, _, rest = str(error).partition(": ")
            raise argparse.ArgumentTypeError(rest if head.isidentifier() else str(error)) from error
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

    check.metavar = "N" if kind is int else "X"  # what --help calls the value
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
        found = "a file has its name" if path.parent.is_file() else error.strerror
        raise DataError(f"{path}: its folder cannot be made ({found}); give another path") from error
    if not os.access(path.parent, os.W_OK):
        raise DataError(f"{path}: its folder cannot be written to; choose another")
    return path


def run_script(main: Callable[[], int | None]) -> None:
    """Runs a script's main and ends the process: a user's mistake gives one line, no traceback."""
    keep_interrupts()
    try:
        code = main() or 0
    except DataError as error:
        for line in getattr(error, "lines", [str(error)]):
            if processes.is_first_to_say(line):
                _print_error(line)
        code = EXIT_DATA
    except (Interrupted, KeyboardInterrupt):
        if processes.is_first_to_say("interrupted"):
            print(f"interrupted; {_how_to_go_on()}", file=sys.stderr)
        code = EXIT_INTERRUPTED
    except BrokenPipeError:  # what read the output, as `head`, has enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = EXIT_DATA
    except RuntimeError as error:
        lines = str(error).splitlines() or [""]
        on_gpu = type(error).__name__ == "OutOfMemoryError"  # torch's; scripts without torch do not load it
        if not on_gpu and "can't allocate memory" not in lines[0]:
            raise
        where = "the GPU" if on_gpu else "this machine"
        _print_error(f"{where} ran out of memory ({lines[0]}); {_what_takes_memory()}")
        code = EXIT_DATA
    processes.leave(code)
    sys.exit(code)


def _how_to_go_on() -> str:
    name = Path(sys.argv[0]).name
    is_training, started = "train" in name, processes.launch()
    if not any(word in name for word in ("train", "download", "rounds")) and started is None:
        return "nothing was written"
    script = [*sys.argv, *([] if "--resume" in sys.argv or not is_training else ["--resume"])]
    if started is None:
        return f"continue with: {shlex.join(['python', *script])}"
    if started.world_size == started.local_world_size:
        torchrun = ["torchrun", "--standalone", f"--nproc_per_node={started.world_size}"]
        return f"continue with: {shlex.join([*torchrun, *script])}"
    return f"continue on every node with: torchrun <its flags as before> {shlex.join(script)}"


def _what_takes_memory() -> str:
    if "predict" in Path(sys.argv[0]).name:
        return "lower --batch_size, or score long clips in parts with --window_seconds"
    return "lower --batch_size or --max_audio_length; validation and test clips count in their full length"


def _print_error(message: str) -> None:
    if not processes.shows_progress():
        print(file=sys.stderr)  # rank 0's progress bar may stand in the line
    print(f"{console.paint('error:', 'red', sys.stderr)} {' '.join(message.splitlines())}", file=sys.stderr)


def print_table(rows: Sequence[Sequence[str]]) -> None:
    """Prints rows of cells in aligned columns, the first row as their heading."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for number, row in enumerate(rows):
        line = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        print(line if number else console.paint(line, "bold", sys.stdout))
