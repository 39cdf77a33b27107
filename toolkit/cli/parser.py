"""The command line: parsers and types of flags, and errors that end a script in one line."""

from __future__ import annotations

import argparse
import errno
import importlib
import math
import os
import shlex
import shutil
import sys
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any, NoReturn

from ops.errors import DataError, nearest
from toolkit.cli.help import fill, lines_of, value_name
from toolkit.system import console, processes
from toolkit.system.files import TOO_MANY_FILES
from toolkit.system.interruption import Interrupted, LoaderLost, keep_interrupts
from toolkit.system.machine import use_utf8

EXIT_DATA, EXIT_USAGE, EXIT_BAD_CLIPS, EXIT_INTERRUPTED = 1, 2, 3, 130
OUTPUT_FLAGS = {"output", "output_df", "output_file", "output_csv", "csv", "timeline", "page"}
WHEN_PREDICTING = "lower --batch_size, or score long clips in parts with --window_seconds"
WHEN_TRAINING = (
    "lower --batch_size or --max_audio_length; validation and test clips count in their full length"
)
FORMATTER = partial(argparse.RawDescriptionHelpFormatter, max_help_position=30)


class Group:
    """A heading of --help and the flags below it: one of argparse's groups, described by a Parser."""

    def __init__(self, parser: Parser, group: Any):
        self.parser, self.group = parser, group

    def __getattr__(self, name: str) -> Any:
        return getattr(self.group, name)

    def add_argument(self, *names: str, **options: Any) -> argparse.Action:
        """As argparse's, with what Parser.described adds."""
        return self.parser.known(self.group.add_argument(*names, **self.parser.described(names, options)))

    def add_mutually_exclusive_group(self, **options: Any) -> Group:
        """As argparse's."""
        return Group(self.parser, self.group.add_mutually_exclusive_group(**options))


class Parser(argparse.ArgumentParser):
    """A parser whose errors are one line and name the nearest flag; abbreviated flags are refused.

    Parsing also tells toolkit.system.console of --quiet, and answers a shell that completes a line.
    """

    def __init__(self, docstring: str):
        self.docstring, self.titles, self.flags, self.required = docstring, [], [], []
        self.actions: dict[str, argparse.Action] = {}  # by the names of their values
        self.stand_in = ""  # a flag that gives others, which are required
        self.given: list[str] = []  # the words of the command line
        super().__init__(formatter_class=FORMATTER, allow_abbrev=False, add_help=False)

    def add_argument_group(self, title: str | None = None, description: str | None = None) -> Group:
        """As argparse's."""
        self.titles.append(title)
        return Group(self, super().add_argument_group(title, description))

    def add_mutually_exclusive_group(self, **options: Any) -> Group:
        """As argparse's."""
        return Group(self, super().add_mutually_exclusive_group(**options))

    def add_argument(self, *names: str, **options: Any) -> argparse.Action:
        """As argparse's, with what `described` adds."""
        return self.known(super().add_argument(*names, **self.described(names, options)))

    def known(self, action: argparse.Action) -> argparse.Action:
        """The action, which `take` finds from now on."""
        self.actions[action.dest] = action
        return action

    def take(self, values: dict[str, Any]) -> None:
        """Makes values the defaults of flags, which need not be given then; others' values are left out."""
        for name in values.keys() & self.actions.keys():
            self.actions[name].default, self.actions[name].required = values[name], False

    def offer(self, stand_in: str, names: Collection[str]) -> None:
        """Usage and errors name a flag that gives these in place of those among them that are required."""
        self.stand_in = stand_in
        self.required = [text for text in self.required if text.split()[0].lstrip("-") not in names]
        self.required.append(stand_in)

    def described(self, names: Sequence[str], options: dict[str, Any]) -> dict[str, Any]:
        """The options with a short name of the value, the default in the help text, and hints for choices."""
        self.flags += names
        value, is_flag = value_name(names[0], options), names[0].startswith("-")
        if options.get("required") or not is_flag:
            values = f"{value} [{value} ...]" if options.get("nargs") == "+" else value
            self.required.append(f"{names[0]} {values}" if is_flag else values)
        if "choices" in options:
            options["type"] = one_of(options["choices"])
        if is_flag and "action" not in options:
            options["metavar"] = value
        if options.get("default") not in (None, argparse.SUPPRESS):
            options["help"] += " (default: %(default)s)"
        return options

    def format_help(self) -> str:
        """As argparse's: usage, the docstring's first line, all flags, the rest of the docstring."""
        width = shutil.get_terminal_size().columns - 2
        lines = lines_of([self.prog, *self.required, "[options]"], width - 7, "  ")
        self.usage = "\n       ".join(lines).replace("%", "%%")
        summary, _, rest = self.docstring.partition("\n")
        self.description, self.epilog = fill(summary, width), fill(rest, width)
        return super().format_help()

    def parse_args(self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None):
        """As argparse's."""
        if "_ARGCOMPLETE" in os.environ:
            with suppress(ImportError):
                importlib.import_module("argcomplete").autocomplete(self)
            sys.exit(EXIT_DATA)  # a completing shell shows no errors
        self.given = list(sys.argv[1:] if args is None else args)
        parsed = super().parse_args(args, namespace)
        _refuse_to_overwrite_inputs(self, parsed)
        console.set_quiet(parsed.quiet, bars=processes.shows_progress())
        return parsed

    def error(self, message: str) -> NoReturn:
        """Ends the process with the message in one line."""
        unknown = [flag for word in self.given if (flag := word.split("=")[0]).startswith("--")]
        unknown = [flag for flag in unknown if len(flag) > 2 and flag not in self.flags]
        hints = [f"{flag}{nearest(flag, self.flags)}" for flag in unknown]
        if hints and message.startswith(("unrecognized", "the following")):
            required = "" if message.startswith("unrec") else f"; {message}"
            message = f"unknown {'flag' if len(hints) == 1 else 'flags'} {', '.join(hints)}{required}"
        if self.stand_in and "the following arguments are required" in message:
            message += f"; {self.stand_in} gives those of network and schedule"
        message = " ".join(message.splitlines())
        if processes.is_first_to_say(message):
            _print_error(f"{message} (see {self.prog} --help)")
        sys.exit(EXIT_USAGE)


class Help(argparse.Action):
    """--help prints everything, `--help network` the flags of that group alone."""

    def __call__(self, parser, namespace, values, option_string=None) -> NoReturn:
        text = parser.format_help()
        if values is not None:
            sections = {part.split(":")[0]: part for part in text.split("\n\n")}
            groups = {title.split()[0]: sections[title] for title in parser.titles if title in sections}
            if values not in groups:
                parser.error(f"--help: expected one of the groups {', '.join(groups)}, got {values!r}")
            text = f"{groups[values].rstrip()}\n"
        print(text, end="")
        parser.exit()


def make_parser(docstring: str) -> Parser:
    """A parser described by a script's docstring, with --help and --quiet."""
    parser = Parser(docstring)
    shown = "show all flags, or those of one GROUP, and exit"
    parser.add_argument(
        "-h", "--help", action=Help, nargs="?", metavar="GROUP", default=argparse.SUPPRESS, help=shown
    )
    parser.add_argument("--quiet", action="store_true", help="print results and errors only, no progress")
    return parser


def _refuse_to_overwrite_inputs(parser: Parser, parsed: argparse.Namespace) -> None:
    files: dict[str, list[str]] = {}  # flag -> existing files that it names
    for name, value in vars(parsed).items():
        values = value if isinstance(value, list) else [value]
        files[name] = [text for text in values if isinstance(text, str) and os.path.isfile(text)]
    for name, other in product(files.keys() & OUTPUT_FLAGS, files.keys() - OUTPUT_FLAGS):
        if any(os.path.samefile(a, b) for a in files[name] for b in files[other]):
            reads = f"{files[name][0]} is what --{other} reads"
            parser.error(f"--{name}: {reads}, and would be overwritten; give another file")


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


def one_of(choices: Sequence[str]) -> Callable[[str], str]:
    """A flag's type that takes one of a few words."""

    def check(text: str) -> None:
        if text not in choices:
            expected = ", ".join(map(repr, choices))
            raise ValueError(f"expected one of {expected}, got {text!r}{nearest(text, choices)}")

    return parsed_by(check)


def number(kind: type, low: float, high: float = math.inf, below: float = math.inf) -> Callable[[str], Any]:
    """An int or float flag from low to high (both included), and less than `below`."""
    expected = "a whole number" if kind is int else "a number"
    expected += f" from {low:g} to {high:g}" if math.isfinite(high) else f" of at least {low:g}"
    expected += f" and less than {below:g}" if math.isfinite(below) else ""

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
    use_utf8()
    console.prepare_streams()
    keep_interrupts()
    try:
        code = main() or 0
        sys.stdout.flush()  # here a full disk below it is told of
    except DataError as error:
        for line in getattr(error, "lines", [str(error)]):
            if processes.is_first_to_say(line):
                _print_error(line)
        code = EXIT_DATA
    except LoaderLost as error:
        if processes.is_first_to_say(str(error)):
            _print_error(f"{error}; {_how_to_go_on()}")
        code = EXIT_DATA
    except (Interrupted, KeyboardInterrupt):
        if processes.is_first_to_say("interrupted"):
            with suppress(OSError):
                print(f"interrupted; {_how_to_go_on()}", file=sys.stderr)
        code = EXIT_INTERRUPTED
    except BrokenPipeError:  # what read the output, as `head`, has enough
        code = EXIT_DATA
    except (OSError, MemoryError, RuntimeError) as error:
        message = _limit_of_the_machine(error)
        if message is None:
            raise
        _print_error(message)
        code = EXIT_DATA
    try:
        sys.stdout.flush()
    except OSError:  # Python would try again when it ends, and complain
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    processes.leave(code)
    sys.exit(code)


def _limit_of_the_machine(error: Exception) -> str | None:
    """What a machine lacks, by an error that is no fault of the program, and what to do; or None."""
    lines = [line.strip() for line in str(error).splitlines()] or [""]
    on_gpu = type(error).__name__ == "OutOfMemoryError"  # torch's; scripts without torch do not load it
    # An error in a loader process comes as a text: the traceback there, and below it what matters.
    said = next((line for line in reversed(lines) if "can't allocate memory" in line), None)
    if isinstance(error, MemoryError) or on_gpu or said or getattr(error, "errno", None) == errno.ENOMEM:
        where = "the GPU" if on_gpu else "this machine"
        told = said or (lines[0] if on_gpu else lines[-1])
        advice = WHEN_PREDICTING if "predict" in Path(sys.argv[0]).name else WHEN_TRAINING
        return f"{where} ran out of memory{f' ({told})' if told else ''}; {advice}"
    if "Too many open files" in str(error):
        return f"too many open files; {TOO_MANY_FILES}"
    if "can't start new thread" in str(error):
        return "no further thread can be started; raise the limit (ulimit -u) or lower --num_workers"
    if isinstance(error, OSError):
        where = error.filename if isinstance(error.filename, str) else "standard output or a file"
        found = error.strerror or error
        return f"{where}: cannot be read or written ({found}); make room or mend this, then run again"
    return None


def _how_to_go_on() -> str:
    name, started = Path(sys.argv[0]).name, processes.launch()
    if started is None and not any(word in name for word in ("train", "download", "rounds")):
        return "nothing was written"
    script = [*sys.argv, *(["--resume"] if "train" in name and "--resume" not in sys.argv else [])]
    command = ["python"]
    if started is not None:
        if started.world_size > started.local_world_size:
            return f"continue on every node with: torchrun <its flags as before> {shlex.join(script)}"
        command = ["torchrun", "--standalone", f"--nproc_per_node={started.world_size}"]
    return f"continue with: {shlex.join([*command, *script])}"


def _print_error(message: str) -> None:
    with suppress(OSError):
        if not processes.shows_progress():
            print(file=sys.stderr)  # rank 0's progress bar may stand in the line
        text = f"{console.paint('error:', 'red', sys.stderr)} {' '.join(message.splitlines())}"
        print(text, file=sys.stderr, flush=True)


def print_table(rows: Sequence[Sequence[str]]) -> None:
    """Prints rows of cells in aligned columns, the first row as their heading."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for number, row in enumerate(rows):
        line = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        print(line if number else console.paint(line, "bold", sys.stdout))
