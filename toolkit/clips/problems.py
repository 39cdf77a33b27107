"""Kinds of problems of a run's tables, and how all that were found are told."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from ops.errors import DataError, ProblemsError
from toolkit.clips.foreign_files import INSTALL
from toolkit.system.console import counted

MAX_NAMED = 10  # problems of a kind that are named; of the others the number is told
ONE_CELL = 'put several labels in one quoted cell, "Bark,Run"'
IN_DETAIL = "see its details"  # a remedy that each problem's own text tells
UNUSABLE = "unusable table, class map or folder"
KNOWN_BAD = "known to be wrong (see --drop_known_bad)"
SKIP = ", or train with --skip_bad_clips"
REPAIR = f"repair or restore these files, remove their rows{SKIP}"
# Labels that look like mistakes.
SEVERAL = "several labels in one name"
ALIKE = "labels spelled almost alike"
HIDDEN = "label with invisible characters"
RARE = "label of one clip, almost a frequent one"
TOGETHER = "labels that only occur together"
NO_LABEL = "label that means none"
DOUBTFUL_LABELS = (SEVERAL, ALIKE, HIDDEN, RARE, TOGETHER, NO_LABEL)

SMALL_CLASS, NO_LABELS = "class with fewer clips than folds", "without labels"
DOUBTS = (NO_LABELS, *DOUBTFUL_LABELS, SMALL_CLASS)  # training warns of them, too


class MalformedRow(DataError):
    """A row that is no clip's, as one of more cells than the first line; `found` says why without table."""

    def __init__(self, path: str | Path, found: str, remedy: str = ONE_CELL):
        super().__init__(f"{path}: {found}; {remedy}")
        self.found = found


@dataclass(frozen=True)
class Kind:
    """What is said of a kind of problem: of an error (stops_training) what to do, of a note why it is fine.

    detailed: the summary tells the details. of_clip: the clip alone is unusable, and training can go on
    without it. fine: what is done about it, without anybody's doing; the summary counts details, not clips.
    """

    remedy: str = ""
    detailed: bool = False
    of_clip: bool = False
    fine: str = ""

    @property
    def stops_training(self) -> bool:
        return bool(self.remedy)


KINDS = {  # in the order of the report
    UNUSABLE: Kind(IN_DETAIL, True),
    "malformed row": Kind(f"correct these rows ({ONE_CELL})", True),
    "duplicate fname": Kind("remove the extra rows"),
    "unsafe fname": Kind("keep all clips of a table inside its folder"),
    "unknown label": Kind("correct the table, or make the class map from it with create_class_map.py", True),
    "label with and without ?": Kind("leave one of the two", True),
    "wrong weight": Kind("correct these weights, from 0 to 1, or remove the column", True),
    "wrong fold": Kind(
        "give every row a fold from 0 to n_folds - 1, the clips of a group one fold, or remove the column",
        True,
    ),
    "missing": Kind(REPAIR, of_clip=True),
    "empty": Kind(REPAIR, of_clip=True),
    "unreadable": Kind(REPAIR, of_clip=True),
    "sound that needs ffmpeg": Kind(f"{INSTALL}{SKIP}", detailed=True, of_clip=True),
    "decoded in part": Kind(REPAIR, detailed=True, of_clip=True),
    "beyond full scale": Kind(REPAIR, detailed=True, of_clip=True),
    KNOWN_BAD: Kind(detailed=True),
    "silent": Kind(),
    "holds more than is read": Kind(detailed=True),
    "shorter than one window": Kind(detailed=True),
    "other sample rate": Kind(fine="resampled to 44100 Hz"),
    "several channels": Kind(fine="mixed down to one"),
    NO_LABELS: Kind(),
    **dict.fromkeys(DOUBTFUL_LABELS, Kind(detailed=True)),
    "group column missing": Kind(detailed=True),
    SMALL_CLASS: Kind(detailed=True),
    "file that is not in the table": Kind(),
    "same audio with other labels": Kind(detailed=True),
    "same audio under several names": Kind(detailed=True),
    "same audio in training and test": Kind(detailed=True),
    "group in training and test": Kind(detailed=True),
}


@dataclass(frozen=True)
class Problem:
    """One problem of a table; fname is empty where it is no clip's; hint: what may be meant.

    remedy: what to do about it, where that is not its kind's.
    """

    kind: str
    table: str
    fname: str
    detail: str
    hint: str = ""
    remedy: str = ""

    @property
    def name(self) -> str:
        """How the summary names it."""
        if not self.fname:
            return self.detail
        fname = self.fname if self.fname.isprintable() else repr(self.fname)
        told = self.detail if KINDS[self.kind].detailed else self.hint
        return f"{fname} ({told})" if told else fname


def raise_problems(problems: Sequence[Problem]) -> None:
    """Raises a DataError that tells all problems and what to do about them, a line a kind."""
    if len(problems) == 1 and problems[0].kind == UNUSABLE:
        raise DataError(problems[0].detail)  # it says where and what to do
    if problems:
        raise ProblemsError(lines_by_kind(problems))


def in_order(problems: Sequence[Problem]) -> list[Problem]:
    order = list(KINDS)
    return sorted(problems, key=lambda problem: order.index(problem.kind))


def summary(problems: Sequence[Problem]) -> list[str]:
    """A line a kind of problem: the count, the first ten names by table, what to do; then the totals."""
    lines = [f"{_weight(kind)}: {line}" for kind, line in _lines_by_kind(problems)]
    errors = count_errors(problems)
    warnings = sum(_weight(problem.kind) == "warning" for problem in problems)
    counts = f"{counted('error', errors)}, {counted('warning', warnings)}"
    return [*lines, counts if errors or warnings else "no problems found"]


def _weight(kind: str) -> str:
    return "error" if KINDS[kind].stops_training else "note" if KINDS[kind].fine else "warning"


def table_of(problems: Sequence[Problem]) -> pd.DataFrame:
    """A row a problem, to write: kind, table, fname, detail."""
    cells = [(problem.kind, problem.table, problem.fname, problem.detail) for problem in problems]
    frame = pd.DataFrame(cells, columns=["kind", "table", "fname", "detail"], dtype=object)
    # Names of files need not be UTF-8, a table must.
    return frame.map(lambda text: text.encode(errors="backslashreplace").decode())


def lines_by_kind(problems: Sequence[Problem]) -> list[str]:
    """A line for each kind of problem: the count, the first names by table, what to do."""
    return [line for _, line in _lines_by_kind(problems)]


def _lines_by_kind(problems: Sequence[Problem]) -> Iterator[tuple[str, str]]:
    for kind, own in dict.fromkeys((problem.kind, problem.remedy) for problem in problems):
        of_kind = [problem for problem in problems if (problem.kind, problem.remedy) == (kind, own)]
        if KINDS[kind].fine:
            details = Counter(problem.detail for problem in of_kind).most_common(MAX_NAMED)
            told = ", ".join(f"{detail}: {counted('clip', count)}" for detail, count in details)
            yield kind, f"{len(of_kind)} x {kind} ({told}); {KINDS[kind].fine}, which is fine"
            continue
        tables: dict[str, list[str]] = {}
        for problem in of_kind[:MAX_NAMED]:
            tables.setdefault(problem.table, []).append(problem.name.removeprefix(f"{problem.table}: "))
        named = "; ".join(f"{table}: {', '.join(names)}" for table, names in tables.items())
        more = f"; and {len(of_kind) - MAX_NAMED} more" if len(of_kind) > MAX_NAMED else ""
        remedy = own or KINDS[kind].remedy
        remedy = f"; {remedy}" if remedy and remedy != IN_DETAIL else ""
        yield kind, " ".join(f"{len(of_kind)} x {kind}: {named}{more}{remedy}".splitlines())


def count_errors(problems: Sequence[Problem]) -> int:
    """Of the problems, those that would stop training."""
    return sum(KINDS[problem.kind].stops_training for problem in problems)
