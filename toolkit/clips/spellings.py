"""What a label that is no class may mean: another spelling, several labels at once, a name with a comma."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Collection, Iterable

from ops.errors import nearest
from toolkit.clips.cells import join_labels, named_labels, split_labels, unknown_labels

MAX_SEARCHED = 200  # labels that the nearest class is looked for; each takes some milliseconds
SEPARATORS = {  # marks that part labels in tables of others: how to name them
    ";": "';'", "|": "'|'", "\t": "a tab", "\n": "a line break", "\r": "a line break", "，": "'，'",
    "、": "'、'",
    "；": "'；'", "/": "'/'", "+": "'+'", "&": "'&'",
}  # fmt: skip
MISSING_VALUES = {"nan", "none", "null", "n/a", "<na>", "nat", "-", "[]", "{}", '""', "''"}
_QUOTED = re.compile(r"""'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)\"""")
_JOINERS = "\u200c\u200d"  # scripts and emoji need them inside of names


def is_invisible(character: str) -> bool:
    """Whether a reader cannot see the character: controls, marks of format and of byte order."""
    return unicodedata.category(character) in ("Cc", "Cf") and not character.isspace()


def has_hidden_characters(name: str) -> bool:
    """Whether a name holds characters that are invisible, or blanks but for the plain one."""
    return any(
        (is_invisible(character) and character not in _JOINERS) or (character.isspace() and character != " ")
        for character in name
    )


def _without_case(name: str) -> str:
    return name.casefold()


def _without_invisible(name: str) -> str:
    return "".join(character for character in name if not is_invisible(character))


def _without_blanks(name: str) -> str:
    """Without blanks, underscores, and dashes between letters."""
    return re.sub(r"[\s_]+|(?<=[^\W\d])\s*[-\u2010-\u2015]\s*(?=[^\W\d])", "", name)


def _without_last_dots(name: str) -> str:
    return re.sub(r"[\s.:;_]+$", "", name)


# What two names may differ in and yet be meant as one, in words.
_STEPS: dict[str, Callable[[str], str]] = {
    "invisible characters": _without_invisible,
    "dots at the end": _without_last_dots,
    "blanks, underscores or dashes": _without_blanks,
    "case": _without_case,
    "Unicode form": lambda name: unicodedata.normalize("NFC", name),
}


def spelling_key(name: str, but_for: str = "") -> str:
    """The same for all names that are spelled alike, but for one of the differences."""
    key = name
    for words, step in _STEPS.items():
        if words != but_for:
            key = step(key)
    return key or name


def difference(name: str, other: str) -> str:
    """In words, what two names of the same key differ in."""
    found = [words for words in _STEPS if spelling_key(name, words) != spelling_key(other, words)]
    return " and ".join(found) or "spelling"


def names_of_list(cell: str) -> list[str] | None:
    """The names of a cell that is a list as Python, numpy, JSON or a data base write it; None: it is none."""
    text = cell.strip()
    inner, quoted = text[1:-1], [single or double for single, double in _QUOTED.findall(text)]
    if len(text) < 2 or text[0] + text[-1] not in (("[]", "{}", "()") if quoted else ("[]", "{}")):
        return None
    if quoted and not _QUOTED.sub("", inner).strip(", \n"):
        return [re.sub(r"\\(.)", r"\1", name).strip() for name in quoted]
    return [name for part in inner.split(",") if (name := part.strip(" '\""))]


def separated(name: str, known: Collection[str], marks: Iterable[str] = SEPARATORS) -> tuple[str, list[str]]:
    """The mark that parts a label into known ones, and these; ("", []) where none does."""
    for mark in marks:
        parts = [part for text in name.split(mark) if (part := text.strip())] if mark in name else []
        if parts and all(part in known for part in parts):
            return mark, parts
    return "", []


def written(names: Iterable[str]) -> str:
    """How labels are written into a CSV table: "Bark,Run" with its quotes."""
    cell = join_labels(names).replace('"', '""')
    shown = "".join(mark if mark.isprintable() else repr(mark)[1:-1] for mark in cell)
    return f'"{shown}"'


class KnownLabels:
    """The classes that labels may name; tells of a cell's other labels what they may mean."""

    def __init__(self, classes: Collection[str]):
        self.classes = classes
        self._of_key = {spelling_key(name): name for name in classes}
        # By all their parts, for names whose commas were not doubled.
        self._with_commas = {_parts(name): name for name in classes if "," in name}
        self._explained: dict[str, str] = {}

    def unknown(self, cell: str) -> list[str]:
        """Every label of the cell that is no class, quoted, with what it may mean."""
        if all(name in self.classes for name in named_labels(cell)):
            return []
        listed = names_of_list(cell)
        if listed is not None:
            remedy = f"write {written(listed)}" if listed else "leave the cell empty"
            return [f"{cell!r} (a list in one cell; {remedy})"]
        mark, parts = separated(cell, self.classes)
        if mark:
            return [f"{cell!r} (labels separated by {SEPARATORS[mark]}; write {written(parts)})"]
        names, texts, row = split_labels(cell), [], 0
        while row < len(names):
            n_parts, meant = self._class_of_parts(names, row)
            if meant:
                parts = ", ".join(map(repr, names[row : row + n_parts]))
                texts.append(
                    f"{parts} (the class {meant!r} has a comma, write it doubled: {written([meant])})"
                )
            elif names[row] not in self.classes:
                texts.append(self.explained(names[row]))
            row += n_parts
        texts += [self.explained(name) for name in unknown_labels(cell) if name not in self.classes]
        return list(dict.fromkeys(texts))

    def explained(self, name: str) -> str:
        """A label that is no class, quoted, with what it may mean."""
        if name not in self._explained:
            self._explained[name] = repr(name) + self._explanation(name)
        return self._explained[name]

    def _class_of_parts(self, names: list[str], row: int) -> tuple[int, str]:
        """How many labels from a row on are the parts of one class with commas, and that class."""
        for end in range(len(names), row + 1, -1):
            parts = names[row:end]
            meant = self._with_commas.get(tuple(map(spelling_key, parts)), "")
            if meant and not all(part in self.classes for part in parts):
                return end - row, meant
        return 1, ""

    def _explanation(self, name: str) -> str:
        if name.lower() in MISSING_VALUES:
            return " (a value that is missing; leave the cell empty)"
        alike = self._of_key.get(spelling_key(name))
        bare = name.strip("'\"").strip()
        if alike:
            return f" (nearest: {alike!r}, which differs in {difference(name, alike)})"
        if bare != name and bare in self.classes:
            return f" (quotes belong around the whole cell; write {bare})"
        if re.fullmatch(r"\d+\.0+", name) and name.split(".")[0] in self.classes:
            return f" (a whole number that became a decimal one; write {name.split('.')[0]})"
        mark, parts = separated(name, self.classes, [",", *SEPARATORS, " and ", " "])
        if mark == ",":
            return f" (a doubled comma is a comma of a name; write {written(parts)})"
        if mark:
            found = SEPARATORS.get(mark, repr(mark))
            return f" (labels separated by {found}; write {written(parts)})"
        return nearest(name, self.classes) if len(self._explained) < MAX_SEARCHED else ""


def _parts(name: str) -> tuple[str, ...]:
    """Keys of what stands between a name's commas."""
    return tuple(spelling_key(part) for part in name.split(",") if part.strip())
