"""What the scripts print beside their results: progress bars, notes, warnings; --quiet and colours."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from typing import Any, TextIO

from tqdm import tqdm as Bar

from ops import distributed

_CODES = {"bold": "1", "red": "31", "yellow": "33"}
_quiet = False


def set_quiet(quiet: bool) -> None:
    """With quiet, notes and progress bars are left out from now on; results and errors stay."""
    global _quiet
    _quiet = quiet


def note(message: str) -> None:
    """Prints a line to stdout that is no result, above any progress bar; --quiet leaves it out."""
    if not _quiet:
        Bar.write(message, file=sys.stdout)
        sys.stdout.flush()


def warn(message: str) -> None:
    """Prints a warning to stderr, with --quiet, too: something is wrong with what was given."""
    Bar.write(f"{paint('warning:', 'yellow', sys.stderr)} {message}", file=sys.stderr)


def progress(iterable: Iterable | None = None, **options: Any) -> Bar:
    """A tqdm bar that vanishes when done, on a terminal.

    --quiet leaves it out, and so do files and pipes, and all processes of a run but one.
    """
    options["disable"] = True if _quiet or not distributed.shows_progress() else None  # None: no terminal
    return Bar(iterable, **{"leave": False, **options})


def paint(text: str, style: str, stream: TextIO) -> str:
    """The text in a colour, or bold, on a terminal; plain elsewhere, and with NO_COLOR (no-color.org)."""
    plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb" or not stream.isatty()
    return text if plain else f"\033[{_CODES[style]}m{text}\033[0m"
