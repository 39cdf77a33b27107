"""What a review shows of a relabeling: clips kept, dropped and changed, by disagreement."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import pandas as pd

from ops.errors import DataError
from ops.relabeling import label_margins
from toolkit.clips.cells import split_labels
from toolkit.clips.labels import class_index, encode_labels
from toolkit.clips.sources import clip_path
from toolkit.clips.tables import has_column, read_table
from toolkit.pages.clip_media import ClipMedia
from toolkit.pages.report import top_scores
from toolkit.pages.template import build_page
from toolkit.runs.predictions import read_predictions
from toolkit.system.console import progress, warn

STATUSES = ("kept", "dropped", "changed")
DECISIONS = ("keep", "drop", "fix")
# Endings of the sound files that today's browsers play.
PLAYABLE = set(".aac .flac .m4a .m4b .mp3 .mp4 .oga .ogg .opus .wav .wave .webm".split())


@dataclass(frozen=True)
class ReviewTables:
    """Paths: the noisy table, what a relabeling made of it, predictions, and earlier decisions if any."""

    noisy: str
    relabeled: str
    predictions: str
    decisions: str | None


def review_data(tables: ReviewTables) -> tuple[dict[str, Any], list[int]]:
    """The whole tables and the disagreement of each clip, as JSON's types, and the rows to choose from.

    Returns:
        data with classes, key (the same for the same content), counts of each status, table (one row per
        noisy clip: fname, labels before, labels after or None where it was dropped), weights (one text per
        row; None where relabeled has none), further (names of the noisy table's other columns, and the
        cells of each row), clips (parallel to table: status, margin, scores) and decided
        (rows of earlier decisions); order: the rows that are not decided, by disagreement, highest first.
    """
    weight = ["weight"] if has_column(tables.relabeled, "weight") else []
    noisy = read_table(tables.noisy, ["fname", "labels"], all_columns=True)
    relabeled = read_table(tables.relabeled, ["fname", "labels", *weight])
    predictions = read_predictions(tables.predictions)
    classes, class_map = predictions.classes, class_index(predictions.classes)
    fnames = noisy["fname"].tolist()
    before = encode_labels(noisy["labels"], class_map, tables.noisy, fnames) > 0.5
    new = encode_labels(relabeled["labels"], class_map, tables.relabeled, relabeled["fname"]) > 0.5
    rows = pd.Index(relabeled["fname"]).get_indexer(noisy["fname"])
    foreign = set(relabeled["fname"]) - set(fnames)
    if foreign:
        raise DataError(
            f"{tables.relabeled}: expected clips of {tables.noisy} only, found {min(foreign)!r} "
            f"({len(foreign)} in all); give the table that it was made from"
        )
    scores = predictions.rows_of(fnames, tables.predictions)
    new_labels = relabeled["labels"].tolist()
    after = [None if row < 0 else new_labels[row] for row in rows]
    changed = [row >= 0 and bool((new[row] != given).any()) for row, given in zip(rows, before, strict=True)]
    status = [
        "dropped" if a is None else "changed" if c else "kept" for a, c in zip(after, changed, strict=True)
    ]
    # How far the best other class stands above the labels that the clip came with.
    margins = label_margins(before, scores)
    table = [list(row) for row in zip(fnames, noisy["labels"].tolist(), after, strict=True)]
    digest = hashlib.sha256(json.dumps([classes, table]).encode()).hexdigest()
    clips = [
        {"status": s, "margin": round(float(m), 4), "scores": top_scores(p, classes, b)}
        for s, m, p, b in zip(status, margins, scores, before, strict=True)
    ]
    order = np.lexsort((np.asarray(fnames, dtype=object), margins))
    counts = {name: status.count(name) for name in STATUSES}
    weights = None
    if "weight" in relabeled:
        new_weights = relabeled["weight"].tolist()
        weights = ["" if row < 0 else new_weights[row] for row in rows]
    data = {"classes": classes, "key": digest[:16], "table": table, "weights": weights}
    columns = noisy.drop(columns=["fname", "labels", "weight"], errors="ignore")
    data["further"] = {"names": list(columns), "rows": columns.to_numpy().tolist()}
    data |= {"counts": counts, "clips": clips, "decided": []}
    if tables.decisions:
        data["decided"] = read_decisions(tables.decisions, data)
    decided = {fname for fname, *_ in data["decided"]}
    return data, [int(row) for row in order if fnames[row] not in decided]


def read_decisions(path: str | Path, data: dict[str, Any]) -> list[list[str]]:
    """Rows fname, decision, labels that a page saved; DataError where one is not of this table."""
    table = read_table(path, ["fname", "decision", "labels"])
    foreign = set(table["fname"]) - {fname for fname, *_ in data["table"]}
    if foreign:
        raise DataError(
            f"{path}: expected decisions on clips of the noisy table, found {min(foreign)!r} "
            f"({len(foreign)} in all); give the decisions of this relabeling"
        )
    unknown = table[~table["decision"].isin(DECISIONS)]
    if len(unknown):
        decision, fname = unknown[["decision", "fname"]].iloc[0]
        raise DataError(
            f"{path}: expected the decisions {', '.join(DECISIONS)}, found {decision!r} of {fname!r}"
        )
    empty = table[(table["decision"] == "fix") & (table["labels"].map(split_labels).map(len) == 0)]
    if len(empty):
        raise DataError(f"{path}: expected labels for every fix, found none for {empty['fname'].iloc[0]!r}")
    encode_labels(table["labels"], class_index(data["classes"]), path, table["fname"])
    return table.to_numpy().tolist()


def choose_clips(order: Sequence[int], statuses: Sequence[str], max_clips: int) -> list[int]:
    """At most max_clips rows in the given order, equally many of each status as far as there are."""
    groups = {name: [row for row in order if statuses[row] == name] for name in STATUSES}
    chosen: set[int] = set()
    left = max_clips
    for number, group in enumerate(sorted(groups.values(), key=len)):
        n_clips = left // (len(STATUSES) - number)
        chosen |= set(group[:n_clips])
        left -= min(n_clips, len(group))
    return [row for row in order if row in chosen]


def add_media(
    data: dict[str, Any], rows: Sequence[int], data_dir: str | Path, page: Path, media: ClipMedia | None
) -> None:
    """Gives the data the rows to show, each with its sound and picture, or without media a link."""
    if not Path(data_dir).is_dir():
        raise DataError(f"{data_dir}: expected the folder with the noisy clips, found none; check the path")
    clips = []
    for row in progress(rows, desc="clips", unit="clip", delay=2):
        path = clip_path(data_dir, data["table"][row][0])
        content = {"sound": relative_url(path, page)} if media is None else media.of(path)
        clips.append({"row": row, **data["clips"][row], **content})
    data["clips"] = clips
    endings = [Path(data["table"][row][0]).suffix.lower() for row in rows]
    silent = [ending for ending in endings if media is None and ending not in PLAYABLE]
    if silent:
        named = ", ".join(sorted(set(silent))) or "none"
        warn(
            f"{len(silent)} linked files have endings ({named}) that browsers may not play; without "
            "--link_audio the page holds their sound as MP3"
        )


def review_page(data: dict[str, Any], name: str) -> str:
    """The HTML to review the data in; it saves <name>_reviewed.csv and <name>_decisions.csv."""
    data = {**data, "saved_table": f"{name}_reviewed.csv", "saved_decisions": f"{name}_decisions.csv"}
    scripts = ["dom", "player", "cards", "csv", "decisions", "editor", "review_card", "review"]
    return build_page(f"{name}: review", "review", ["base", "review"], scripts, data)


def relative_url(path: Path, page: Path) -> str:
    """The file as seen from the page, percent-encoded: works from a file manager and from a server."""
    relative = os.path.relpath(os.path.abspath(path), os.path.abspath(page.parent))
    url = quote(Path(relative).as_posix())
    return url if url.startswith(("../", "./")) else f"./{url}"
