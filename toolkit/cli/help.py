"""The texts of `--help`: short names of values, and usage, examples and prose that fit the terminal."""

from __future__ import annotations

import re
import textwrap
from typing import Any

# What a flag takes, told by the end of its name.
_VALUES = {"df": "CSV", "csv": "CSV", "submission": "CSV", "dir": "DIR", "experiment": "DIR", "from": "DIR"}
_VALUES |= {"cache": "DIR", "file": "FILE", "classmap": "JSON"}
_UNBROKEN = re.compile(r"""--\w+ (?!-)|"[^"]*"|'[^']*'""")  # in a command: a flag and its first value, quotes


def value_name(name: str, options: dict[str, Any]) -> str:
    """What --help calls the value of an add_argument: its choices, or a word for its type or its name."""
    if "choices" in options and "metavar" not in options:
        return f"{{{','.join(options['choices'])}}}"
    last = name.rsplit("_", 1)[-1].lstrip("-")
    named = options.get("metavar") or getattr(options.get("type"), "metavar", None)
    return named or _VALUES.get(last) or last.upper()


def fill(text: str, width: int) -> str:
    """Paragraphs of prose and commands broken to the width; other indented text stays as it is."""
    return "\n\n".join(_fill(part, width) for part in re.split(r"\n\s*\n", text.strip("\n")))


def _fill(paragraph: str, width: int) -> str:
    if paragraph.lstrip().startswith("python "):
        commands = re.split(r"\n\s*(?=python )", paragraph.replace("\\\n", " "))
        return "\n".join(_fill_command(command, width) for command in commands)
    if paragraph.startswith(" "):
        return paragraph
    return textwrap.fill(" ".join(paragraph.split()), width, break_on_hyphens=False)


def _fill_command(command: str, width: int) -> str:
    words = _UNBROKEN.sub(lambda match: match[0].replace(" ", "\xa0"), " ".join(command.split())).split(" ")
    lines = lines_of(words, width - 6, "    ")  # four of indent, two of backslash
    return textwrap.indent(" \\\n".join(lines), "    ")


def lines_of(parts: list[str], width: int, indent: str) -> list[str]:
    """The parts in lines of the width, each whole; no-break spaces in them become spaces."""
    text = " ".join(part.replace(" ", "\xa0") for part in parts)
    options = {"subsequent_indent": indent, "break_long_words": False, "break_on_hyphens": False}
    return [line.replace("\xa0", " ") for line in textwrap.wrap(text, width, **options)]
