"""Labels of tables that look like mistakes; nothing is changed, all is told."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import combinations
from typing import NamedTuple

from toolkit.clips.cells import named_labels, split_labels
from toolkit.clips.problems import ALIKE, HIDDEN, NO_LABEL, RARE, SEVERAL, TOGETHER
from toolkit.clips.spellings import (
    MISSING_VALUES,
    SEPARATORS,
    difference,
    has_hidden_characters,
    names_of_list,
    separated,
    spelling_key,
    written,
)

WRITE = "put several labels in one quoted cell,"

MIN_FREQUENT = 3  # clips of a label that is frequent beside one of a single clip
MIN_TOGETHER = 3  # clips in which two labels occur together before that is no chance
_ALWAYS = ";|\t\n\r；、"  # no name has these; other separators are suspected between known labels only


@dataclass
class LabelCounts:
    """Of each label its clips, as numbers of rows; and the cells that are lists, with their first clips."""

    clips: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    first: dict[str, str] = field(default_factory=dict)  # label -> fname
    lists: dict[str, str] = field(default_factory=dict)  # cell -> fname
    of_lists: set[str] = field(default_factory=set)

    @classmethod
    def of(cls, rows: Iterable[tuple[str, str]], known: Collection[str] | None) -> LabelCounts:
        """Counts of (fname, cell); with `known`, of these labels alone."""
        counts = cls()
        for row, (fname, cell) in enumerate(rows):
            names = [name for name in named_labels(cell) if known is None or name in known]
            if names and cell.strip()[0] in "[{(" and names_of_list(cell):
                counts.lists.setdefault(cell, fname)
                counts.of_lists.update(names)
            for name in dict.fromkeys(names):
                counts.clips[name].append(row)
                counts.first.setdefault(name, fname)
        return counts


class Doubt(NamedTuple):
    """A label that looks like a mistake, and in words what it is and what to do."""

    kind: str
    label: str
    text: str


def doubtful_labels(rows: Iterable[tuple[str, str]], known: Collection[str] | None = None) -> list[Doubt]:
    """Labels that look like mistakes, in the order of problems.KINDS.

    Args:
        rows: fname and label cell of each clip.
        known: the classes, where there is a class map: other labels are errors, and told as such.
    """
    counts = LabelCounts.of(rows, known)
    names = list(dict.fromkeys([*(known or ()), *counts.clips]))
    found = [(SEVERAL, _several(counts, set(names))), (ALIKE, _alike(names, counts))]
    found += [(HIDDEN, _hidden(names, counts)), (RARE, _rare(counts)), (TOGETHER, _together(counts))]
    found += [(NO_LABEL, _none(counts))]
    return [Doubt(kind, label, text) for kind, doubts in found for label, text in doubts]


def _where(counts: LabelCounts, name: str) -> str:
    n_more = len(counts.clips[name]) - 1
    return f"{counts.first[name]!r}" + (f" and {n_more} more" if n_more else "")


def _hidden(names: Iterable[str], counts: LabelCounts) -> Iterator[tuple[str, str]]:
    for name in names:
        separates = any(mark in name for mark in _ALWAYS)
        if has_hidden_characters(name) and not separates and name not in counts.of_lists:
            yield name, repr(name)


def _none(counts: LabelCounts) -> Iterator[tuple[str, str]]:
    for name in counts.clips:
        if name.lower() in MISSING_VALUES:
            yield name, f"{name!r} of {_where(counts, name)} (leave the cell empty)"


def _several(counts: LabelCounts, names: set[str]) -> Iterator[tuple[str, str]]:
    for cell, fname in counts.lists.items():
        yield (
            split_labels(cell)[0],
            f"{cell!r}; {WRITE} {written(names_of_list(cell) or [])} (clip {fname!r})",
        )
    for name in counts.clips:
        if name in counts.of_lists:
            continue
        others = names - {name} if "," in name else names
        mark, parts = separated(name, others, [*SEPARATORS, ","])
        always = next((mark for mark in _ALWAYS if mark in name), "")
        if not mark and always:
            parts = [part for text in name.split(always) if (part := text.strip())]
        if len(parts) > 1 or (parts and mark == ","):
            yield name, f"{name!r}; {WRITE} {written(parts)} (clip {_where(counts, name)})"
        elif len(name) > 1 and name[0] == name[-1] and name[0] in "'\"":
            yield name, f"{name!r}; write it without its quotes (clip {_where(counts, name)})"


def _alike(names: Iterable[str], counts: LabelCounts) -> Iterator[tuple[str, str]]:
    groups: dict[str, list[str]] = defaultdict(list)
    for name in names:
        groups[spelling_key(name)].append(name)
    for group in groups.values():
        common, *others = sorted(group, key=lambda name: -len(counts.clips.get(name, ())))
        for name in others:
            yield name, f"{name!r} and {common!r} (they differ in {difference(name, common)})"


def _rare(counts: LabelCounts) -> Iterator[tuple[str, str]]:
    """One slip of the pen apart: a character more, less or other, or two that changed places."""
    frequent: dict[str, str] = {}
    for name, clips in counts.clips.items():
        if len(clips) >= MIN_FREQUENT:
            for shorter in _shortened(name):
                frequent.setdefault(shorter, name)
    for name, clips in counts.clips.items():
        if len(clips) == 1 and len(name) > 3:
            near = next((frequent[shorter] for shorter in _shortened(name) if shorter in frequent), None)
            if near and len(near) > 3 and _digits(near) == _digits(name) and not _are_alike(near, name):
                found = f"nearest: {near!r}, {len(counts.clips[near])} clips"
                yield name, f"{name!r} of {counts.first[name]!r} ({found})"


def _shortened(name: str) -> set[str]:
    """The name, and without any one character, longer ones without any two but the first; without case."""
    text = name.casefold()
    found = {text} | {text[:row] + text[row + 1 :] for row in range(len(text))}
    if 8 <= len(text) <= 40:  # of longer ones there are too many
        for row, last in combinations(range(1, len(text)), 2):
            found.add(text[:row] + text[row + 1 : last] + text[last + 1 :])
    return found


def _digits(name: str) -> str:
    """Names that differ in their numbers are meant to."""
    return "".join(character for character in name if character.isdigit())


def _are_alike(name: str, other: str) -> bool:
    return spelling_key(name) == spelling_key(other)


def _together(counts: LabelCounts) -> Iterator[tuple[str, str]]:
    groups: dict[tuple[int, ...], list[str]] = defaultdict(list)
    for name, clips in counts.clips.items():
        if len(clips) >= MIN_TOGETHER and name not in counts.of_lists:
            groups[tuple(clips)].append(name)
    for clips, group in groups.items():
        if len(group) > 1:
            names = " and ".join(map(repr, group))
            whole = written([", ".join(group)])
            yield group[0], f"{names} (in the same {len(clips)} clips; if they are one class, write {whole})"
