"""What the scripts print beside their results: progress bars, notes, warnings; --quiet and colours."""

from __future__ import annotations

import math
import os
import sys
import time
from collections.abc import Iterable
from contextlib import suppress
from typing import Any, TextIO

from tqdm import tqdm as Bar

_CODES = {"bold": "1", "red": "31", "yellow": "33"}
_LINE_SECONDS = 60
_quiet, _bars = False, True
_told: set[str] = set()  # notes and warnings that are told once


def set_quiet(quiet: bool, bars: bool = True) -> None:
    """With quiet, notes and progress bars are left out from now on, without `bars` these alone.

    Results, warnings and errors stay.
    """
    global _quiet, _bars
    _quiet, _bars = quiet, bars and not quiet


def note(message: str) -> None:
    """Prints a line to stdout that is no result, above any progress bar; --quiet leaves it out."""
    if not _quiet:
        result(message)


def result(message: str) -> None:
    """Prints a line to stdout, above any progress bar, with --quiet, too."""
    Bar.write(message, file=sys.stdout)
    sys.stdout.flush()


def warn(message: str) -> None:
    """Prints a warning to stderr, with --quiet, too: something is wrong with what was given."""
    with suppress(OSError):  # a full disk below a log of warnings is no reason to end
        Bar.write(f"{paint('warning:', 'yellow', sys.stderr)} {message}", file=sys.stderr)


def counted(what: str, count: int) -> str:
    """ "1 clip", "2 clips", "2 classes"."""
    return f"{count} {what}{'' if count == 1 else 'es' if what.endswith('s') else 's'}"


def warn_once(message: str) -> None:
    """Warns, but not of the same again in this process."""
    if message not in _told:
        _told.add(message)
        warn(message)


def note_once(message: str) -> None:
    """A note, but not the same again in this process."""
    if message not in _told:
        _told.add(message)
        note(message)


def prepare_streams() -> None:
    """Makes printing safe: what an output cannot encode is escaped, and a closed one leads nowhere.

    (Files would take the handle of a closed one, and what libraries print would go into them.)
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free handle: this one
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115
        elif hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


class _Lines(Bar):
    """Progress for files and pipes: a line a minute in place of a bar that is drawn over."""

    def __init__(self, *args: Any, **options: Any):
        # tqdm looks at the clock at every update, and draws nothing before the first line is due.
        due = {"mininterval": _LINE_SECONDS, "miniters": 1, "delay": _LINE_SECONDS}
        self._last = time.monotonic()
        super().__init__(*args, **{**options, **due})
        known = self.total is not None
        part, left = (" of {total_fmt}", ", {remaining} left") if known else ("", "")
        self.bar_format = f"{{desc}}: {{n_fmt}}{part}, {{elapsed}} gone{left}{{postfix}}"

    def display(self, *_: Any, **__: Any) -> None:
        if time.monotonic() - self._last >= _LINE_SECONDS:
            self._last = time.monotonic()
            with suppress(OSError):
                print(self, file=sys.stderr, flush=True)

    def clear(self, *_: Any, **__: Any) -> None:
        """Nothing stands in the line that notes are written to."""

    def close(self) -> None:
        self.delay = math.inf  # as for a bar that was never drawn
        super().close()


def progress(iterable: Iterable | None = None, **options: Any) -> Bar:
    """A tqdm bar that vanishes when done, on a terminal; in files and pipes, a line a minute.

    --quiet leaves it out, and so do all processes of a run but one: see set_quiet.
    """
    options["disable"] = not _bars
    kind = Bar if sys.stderr.isatty() else _Lines
    return kind(iterable, **{"leave": False, **options})


def paint(text: str, style: str, stream: TextIO) -> str:
    """The text in a colour, or bold, on a terminal; plain elsewhere, and with NO_COLOR (no-color.org)."""
    plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb" or not stream.isatty()
    return text if plain else f"\033[{_CODES[style]}m{text}\033[0m"
