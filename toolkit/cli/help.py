"""The look of `--help`: a short usage line, short names of values, text that fits the terminal."""

from __future__ import annotations

import argparse
import re
import textwrap
from collections.abc import Sequence
from typing import Any, NoReturn

# What a flag takes, told by the end of its name.
_VALUES = {"df": "CSV", "csv": "CSV", "dir": "DIR", "file": "FILE", "classmap": "JSON", "experiment": "DIR"}


class HelpFormatter(argparse.HelpFormatter):
    """Defaults behind each help text but for flags that have none to show; required flags in the usage."""

    def __init__(self, prog: str, **options: Any):
        super().__init__(prog, **{"max_help_position": 34, **options})

    def add_usage(self, usage, actions: Sequence[argparse.Action], groups, prefix: str | None = None) -> None:
        """Names what must be given; the rest is `[options]`."""
        if usage is None:
            parts, optional = [self._prog], False
            for action in actions:
                if action.option_strings and not action.required:
                    optional = True
                elif not action.option_strings:
                    parts.append(self._format_args(action, action.dest))
                else:
                    values = self._format_args(action, self._get_default_metavar_for_optional(action))
                    parts.append(f"{action.option_strings[0]} {values}".rstrip())
            parts += ["[options]"] if optional else []
            hyphenless = [part.replace(" ", "\0").replace("-", "\1") for part in parts]  # break between parts
            lines = textwrap.wrap(
                " ".join(hyphenless), self._width - 9, subsequent_indent="  ", break_long_words=False
            )
            usage = "\n       ".join(lines).replace("\0", " ").replace("\1", "-").replace("%", "%%")
        super().add_usage(usage, actions, groups, prefix)

    def _get_default_metavar_for_optional(self, action: argparse.Action) -> str:
        last = action.dest.rsplit("_", 1)[-1]
        return getattr(action.type, "metavar", None) or _VALUES.get(last) or last.upper()

    def _get_help_string(self, action: argparse.Action) -> str | None:
        hidden = any(action.default is value for value in (None, False, argparse.SUPPRESS))
        if action.required or hidden or "%(default)" in (action.help or ""):
            return action.help
        return f"{action.help} (default: %(default)s)"

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        """Prose and commands broken to the width; other indented text stays as it is."""
        return "\n\n".join(_fill(part, width) for part in re.split(r"\n\s*\n", text.strip("\n")))


def _fill(paragraph: str, width: int) -> str:
    if paragraph.lstrip().startswith("python "):
        commands = re.split(r"\n\s*(?=python )", paragraph)
        return "\n".join(_fill_command(command, width) for command in commands)
    if paragraph.startswith((" ", "\t")):
        return _fill_list(paragraph, width) if max(map(len, paragraph.splitlines())) > width else paragraph
    return textwrap.fill(" ".join(paragraph.split()), width, break_on_hyphens=False)


def _fill_command(command: str, width: int) -> str:
    # Words with their quotes; a flag and its first value are one.
    word = r"""(?:"[^"]*"|'[^']*'|[^\s"'])+"""
    words = re.findall(rf"--\w+ (?!-){word}|{word}", " ".join(command.replace("\\\n", " ").split()))
    limit = width - 6  # four of indent, two of backslash
    too_long = {word for word in words if word.startswith("--") and len(word) + 4 > limit}
    words = [part for word in words for part in (word.split(" ", 1) if word in too_long else [word])]
    lines = words[:1]
    for word in words[1:]:
        if len(lines[-1]) + 1 + len(word) <= limit:
            lines[-1] += f" {word}"
        else:
            lines.append(f"    {word}")
    return textwrap.indent(" \\\n".join(lines), "    ")


def _fill_list(paragraph: str, width: int) -> str:
    """Lines `  name   text`, their texts broken to the width; lines without a name go on with the last."""
    items: list[list[str]] = []
    for line in paragraph.splitlines():
        item = re.fullmatch(r"(\s+\S+\s{2,})(\S.*)", line)
        if item is None and not items:
            return paragraph
        if item is None:
            items[-1][1] += f" {line.strip()}"
        else:
            items.append([item[1], item[2]])
    return "\n".join(
        textwrap.fill(text, width, initial_indent=name, subsequent_indent=" " * len(name))
        for name, text in items
    )


class HelpAction(argparse.Action):
    """--help prints everything, `--help network` the flags of that group alone."""

    def __init__(self, option_strings: Sequence[str], dest: str, help: str, **_: Any):
        super().__init__(option_strings, argparse.SUPPRESS, nargs="?", default=argparse.SUPPRESS, help=help)
        self.metavar = "GROUP"

    def __call__(self, parser, namespace, values, option_string=None) -> NoReturn:
        if values is None:
            parser.print_help()
            parser.exit()
        titles = {group.title.split()[0]: group for group in parser._action_groups if group._group_actions}
        if values not in titles:
            parser.error(f"--help: expected one of the groups {', '.join(titles)}, got {values!r}")
        formatter = parser._get_formatter()
        formatter.start_section(titles[values].title)
        formatter.add_arguments(titles[values]._group_actions)
        formatter.end_section()
        print(formatter.format_help(), end="")
        parser.exit()
