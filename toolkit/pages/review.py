"""What a review shows: of a relabeling the clips kept, dropped and changed; of a curated set its doubts.

Both come by disagreement, the highest first, and clips of the same sound together.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import pandas as pd

from ops.errors import DataError, raise_lack
from ops.relabeling import label_margins
from toolkit.clips.cells import split_labels
from toolkit.clips.identity import sound_digest
from toolkit.clips.labels import class_index, encode_labels
from toolkit.clips.sound_files import read_audio, read_header
from toolkit.clips.sources import clip_path
from toolkit.clips.tables import has_column, read_table
from toolkit.pages.clip_media import ClipMedia
from toolkit.pages.report import top_scores, validated_clips
from toolkit.pages.template import build_page
from toolkit.runs.experiment import Experiment
from toolkit.runs.predictions import read_predictions
from toolkit.system import console

STATUSES = ("kept", "dropped", "changed")
DECISIONS = ("keep", "drop", "fix")
# Endings of the sound files that today's browsers play.
PLAYABLE = set(".aac .flac .m4a .m4b .mp3 .mp4 .oga .ogg .opus .wav .wave .webm".split())
MAX_TOGETHER = 4  # further clips of the same sound that are shown behind a clip


@dataclass(frozen=True)
class ReviewTables:
    """Paths: the noisy table, what a relabeling made of it, predictions, and earlier decisions if any."""

    noisy: str
    relabeled: str
    predictions: str
    decisions: str | None


Review = tuple[dict[str, Any], list[int]]
"""data, as JSON's types, and the rows to choose from.

data has task ("relabeling" or "curated"), classes, key (the same for the same content), counts of each
status, table (one row per clip of the whole table: fname, old labels, new labels or None where it was
dropped), weights (one text per row; None where the relabeled table has none), further (names of the table's
other columns, and the cells of each row), clips (parallel to table: status, margin, scores) and decided
(rows of earlier decisions). The rows are those that are not decided, by disagreement, highest first.
"""


def relabeling_review(tables: ReviewTables) -> Review:
    """Of a noisy table and what a relabeling made of it."""
    weight = ["weight"] if has_column(tables.relabeled, "weight") else []
    noisy = read_table(tables.noisy, ["fname", "labels"], all_columns=True)
    relabeled = read_table(tables.relabeled, ["fname", "labels", *weight])
    predictions = read_predictions(tables.predictions)
    classes, class_map = predictions.classes, class_index(predictions.classes)
    fnames = noisy["fname"].tolist()
    old = encode_labels(noisy["labels"], class_map, tables.noisy, fnames) > 0.5
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
    changed = [row >= 0 and bool((new[row] != given).any()) for row, given in zip(rows, old, strict=True)]
    status = [
        "dropped" if a is None else "changed" if c else "kept" for a, c in zip(after, changed, strict=True)
    ]
    weights = None
    if "weight" in relabeled:
        new_weights = relabeled["weight"].tolist()
        weights = ["" if row < 0 else new_weights[row] for row in rows]
    columns = noisy.drop(columns="weight", errors="ignore")
    data = _tables_of("relabeling", columns, after, classes) | {"weights": weights}
    data["counts"] = {name: status.count(name) for name in STATUSES}
    clips = clip_rows(status, old, scores, classes)
    return _with_decisions(data, clips, np.arange(len(fnames)), tables.decisions)


def curated_review(experiment: Experiment, train_df: str, decisions: str | None) -> Review:
    """Of the table that an experiment was trained on, by what each clip's validating fold says of it.

    Clips without such a prediction (of a holdout, left out, or of a fold that is not finished) stay in the
    table and are not among the rows to choose from; a note tells how many.
    """
    experiment.require_classes()
    clips = validated_clips(experiment, train_df)
    if clips is None:
        raise DataError(f"{experiment.directory}: expected a finished fold, found none; finish its training")
    table = read_table(train_df, ["fname", "labels"], all_columns=True)
    places = pd.Index(clips.fnames).get_indexer(table["fname"])
    predicted = np.flatnonzero(places >= 0)
    if len(predicted) < len(table):
        console.note(
            f"{len(table) - len(predicted)} of the {len(table)} clips have no out-of-fold prediction: "
            "they stay as they are and are not shown"
        )
    data = _tables_of("curated", table, table["labels"].tolist(), clips.classes) | {"weights": None}
    data["counts"] = {"kept": len(table), "dropped": 0, "changed": 0}
    rows: list[dict[str, Any]] = [{"status": "kept", "margin": None, "scores": []} for _ in range(len(table))]
    labels, scores = clips.labels[places[predicted]], clips.scores[places[predicted]]
    judged = clip_rows(["kept"] * len(predicted), labels, scores, clips.classes)
    for row, clip in zip(predicted, judged, strict=True):
        rows[row] = clip
    return _with_decisions(data, rows, predicted, decisions)


def clip_rows(
    status: Sequence[str], labels: np.ndarray, scores: np.ndarray, classes: Sequence[str]
) -> list[dict[str, Any]]:
    """What the page shows of each clip; margin: how far its labels stand above the best other class."""
    margins = label_margins(labels, scores)
    return [
        {"status": s, "margin": round(float(m), 4), "scores": top_scores(p, classes, own)}
        for s, m, p, own in zip(status, margins, scores, labels, strict=True)
    ]


def _tables_of(
    task: str, table: pd.DataFrame, after: Sequence[str | None], classes: Sequence[str]
) -> dict[str, Any]:
    rows = [list(row) for row in zip(table["fname"], table["labels"], after, strict=True)]
    # Browsers keep decisions by this key: that of a relabeling is as earlier versions had it.
    content = [classes, rows] if task == "relabeling" else [task, classes, rows]
    key = hashlib.sha256(json.dumps(content).encode()).hexdigest()[:16]
    columns = table.drop(columns=["fname", "labels"])
    further = {"names": list(columns), "rows": columns.to_numpy().tolist()}
    return {"task": task, "classes": classes, "key": key, "table": rows, "further": further}


def _with_decisions(
    data: dict[str, Any], clips: list[dict[str, Any]], rows: np.ndarray, decisions: str | None
) -> Review:
    fnames = [fname for fname, *_ in data["table"]]
    data |= {"clips": clips, "decided": read_decisions(decisions, data) if decisions else []}
    decided = {fname for fname, *_ in data["decided"]}
    order = sorted(map(int, rows), key=lambda row: (clips[row]["margin"], fnames[row]))
    return data, [row for row in order if fnames[row] not in decided]


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


def sounds_of(data: dict[str, Any], data_dir: str | Path) -> list[str]:
    """Of each clip of the table what clips of the same sound share; "" for silence and unreadable files."""
    if not Path(data_dir).is_dir():
        raise DataError(f"{data_dir}: expected the folder with the clips, found none; check the path")
    paths = [clip_path(data_dir, fname) for fname, *_ in data["table"]]
    return [_sound(path) for path in console.progress(paths, desc="same sounds", unit="clip", delay=2)]


def _sound(path: Path) -> str:
    try:
        return sound_digest(partial(read_audio, path), read_header(path).n_samples)
    except DataError as error:
        raise_lack(error)
        return ""


def with_same_sounds(rows: Sequence[int], order: Sequence[int], sounds: Sequence[str]) -> list[int]:
    """The rows, each followed by the first others of the order that are the same sound."""
    of_sound: dict[str, list[int]] = {}
    for row in order:
        if sounds[row]:
            of_sound.setdefault(sounds[row], []).append(row)
    together: dict[int, None] = {}  # in order, each once
    for row in rows:
        others = [other for other in of_sound.get(sounds[row], []) if other != row]
        together |= dict.fromkeys([row, *others[:MAX_TOGETHER]] if row not in together else [])
    return list(together)


def add_media(
    data: dict[str, Any],
    rows: Sequence[int],
    sounds: Sequence[str],
    data_dir: str | Path,
    media: ClipMedia | Path,
) -> None:
    """Gives the data the rows to show: sound and picture, or where the page's path stands for media a link.

    Each has same, the table's other rows of the same sound.
    """
    same: dict[str, list[int]] = {}
    for row, sound in enumerate(sounds):
        same.setdefault(sound, []).append(row)
    clips = []
    for row in console.progress(rows, desc="clips", unit="clip", delay=2):
        path = clip_path(data_dir, data["table"][row][0])
        content = {"sound": relative_url(path, media)} if isinstance(media, Path) else media.of(path)
        others = [other for other in same[sounds[row]] if other != row] if sounds[row] else []
        clips.append({"row": row, "same": others, **data["clips"][row], **content})
    data["clips"] = clips
    if isinstance(media, Path):
        _warn_of_unplayable([data["table"][row][0] for row in rows])


def _warn_of_unplayable(fnames: Sequence[str]) -> None:
    endings = [Path(fname).suffix.lower() for fname in fnames]
    silent = [ending for ending in endings if ending not in PLAYABLE]
    if silent:
        named = ", ".join(sorted(set(silent))) or "none"
        console.warn(
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
