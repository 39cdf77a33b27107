"""The labels of a table's clips: the class map that they make, and arrays of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from ops.errors import DataError
from toolkit.clips.doubtful_labels import doubtful_labels
from toolkit.clips.labels import class_index, encode_labels, make_class_map, why_no_class
from toolkit.clips.problems import MAX_NAMED, SEVERAL
from toolkit.clips.tables import read_table
from toolkit.system import console


def class_map_of_table(table: str | Path) -> dict[str, int]:
    """The class map of all labels of a CSV table fname,labels; warns of names that are hardly meant.

    Raises DataError where there is no label, or one that cannot name a class.
    """
    return class_map_of(read_table(table, ["fname", "labels"]), table)


def class_map_of(rows: pd.DataFrame, table: str | Path) -> dict[str, int]:
    """class_map_of_table of rows that are read already, or are still to be written; table: their name."""
    class_map = make_class_map(rows["labels"])
    if not class_map:
        raise DataError(f"{table}: expected labels, found none in any row")
    for name in class_map:
        reason = why_no_class(name)
        if reason:
            raise DataError(f"{table}: {name!r} cannot be a class, {reason}; rename the label")
    if len(class_map) == 1:
        console.warn(f"{table}: one class, {next(iter(class_map))!r}, leaves nothing to rank")
    doubtful = doubtful_labels(zip(rows["fname"], rows["labels"], strict=True))
    for kind in dict.fromkeys(doubt.kind for doubt in doubtful):
        texts = [doubt.text for doubt in doubtful if doubt.kind == kind]
        more = f"; and {len(texts) - MAX_NAMED} more" if len(texts) > MAX_NAMED else ""
        of_kind = "class names look like several labels, as" if kind == SEVERAL else f"x {kind}:"
        console.warn(f"{table}: {len(texts)} {of_kind} {', '.join(texts[:MAX_NAMED])}{more}")
    return class_map


def truth_of(
    table: str | Path, fnames: Sequence[str], classes: Iterable[str], remedy: str = "restore the table"
) -> np.ndarray:
    """Multi-hot (clips, classes) float32, NaN where nobody knows: what a CSV table fname,labels tells.

    Raises DataError, with the remedy, where the table lacks one of them.
    """
    labels = read_table(table, ["fname", "labels"]).set_index("fname")["labels"]
    missing = [fname for fname in fnames if fname not in labels.index]
    if missing:
        raise DataError(
            f"{table}: expected the labels of all {len(fnames)} clips that were predicted, found none of "
            f"{missing[0]!r} ({len(missing)} missing in all); {remedy}"
        )
    return encode_labels(labels[list(fnames)], class_index(classes), table, fnames)
