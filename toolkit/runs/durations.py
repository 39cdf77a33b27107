"""How long an experiment trained, by the times of its log."""

from __future__ import annotations

import re
from datetime import datetime
from pathlib import Path

_LINE = re.compile(r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d) fold (\d+)( epoch \d+)?: (.*)")
_STARTS = re.compile(r"\d+ training and \d+ validation clips|finished before")


def training_seconds(log: str | Path) -> float:
    """Seconds of training, summed over folds and over the sessions of resumed runs.

    A fold's time runs from the line with which a session takes it up to its last line in that session,
    so pauses do not count, and neither does the unfinished epoch of a run that was killed; folds trained
    at the same time count each. 0 where there is no log.
    """
    try:
        lines = Path(log).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return 0.0
    latest: dict[str, datetime] = {}
    total = 0.0
    for line in lines:
        match = _LINE.match(line)
        if not match:
            continue
        try:
            time = datetime.fromisoformat(match[1])
        except ValueError:
            continue
        fold = match[2]
        if fold in latest and not _STARTS.match(match[4]):
            total += max(0.0, (time - latest[fold]).total_seconds())
        latest[fold] = time
    return total


def as_text(seconds: float) -> str:
    """0:00:07, 1:02:03, 25:00:00: hours, minutes and seconds."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}"
