"""What tables hold: clips and seconds of each class."""

from __future__ import annotations

from collections.abc import Sequence

from ops.sampling import SAMPLE_RATE
from toolkit.clips.cells import split_labels
from toolkit.clips.sources import Source
from toolkit.system.console import counted


def overview(sources: Sequence[Source]) -> list[list[str]]:
    """Rows to print, heading first: clips and seconds of each class in the tables with labels, most first.

    sources: as toolkit.clips.report.check_sources filled them in; clips that cannot be read have no seconds.
    """
    labelled = [source for source in sources if source.role != "test"]
    counts: dict[str, list[list[int]]] = {}  # class -> clips and samples in each table
    for column, source in enumerate(labelled):
        for fname, cell in source.labels.items():
            for name in dict.fromkeys(split_labels(cell)):
                found = counts.setdefault(name, [[0, 0] for _ in labelled])[column]
                found[0] += 1
                found[1] += source.clips[fname][1] if fname in source.clips else 0
    heading = ["class", *(text for source in labelled for text in (f"{source.role} clips", "seconds"))]
    rows = sorted(counts.items(), key=lambda item: ([-table[0] for table in item[1]], item[0]))
    return [heading] + [
        [name, *(text for clips, samples in tables for text in (str(clips), f"{samples / SAMPLE_RATE:.1f}"))]
        for name, tables in rows
    ]


def totals(source: Source) -> str:
    """ "12 clips, 30.5 s" of a table."""
    seconds = sum(n_samples for _, n_samples in source.clips.values()) / SAMPLE_RATE
    return f"{counted('clip', len(source.labels))}, {seconds:.1f} s"
