"""What a report shows of an experiment: figures, curves, classes, confusions, clips to look at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from ops.errors import DataError
from ops.metrics import confusion_costs, confusion_matrix, lrap_per_clip, lwlrap_per_class
from ops.relabeling import label_margins
from ops.scores import score
from ops.thresholds import f1_scores
from toolkit.clips.recordings import highest_first
from toolkit.clips.sources import clip_path
from toolkit.clips.tables import read_table
from toolkit.pages.clip_media import DEFAULT_FEATURES, ClipMedia
from toolkit.pages.template import build_page
from toolkit.runs.experiment import Experiment
from toolkit.runs.history import read_history
from toolkit.runs.out_of_fold import OutOfFold, read_out_of_fold
from toolkit.runs.tag_rules import read_rules
from toolkit.system.console import progress

TOP = 5  # scores shown of a clip
CONFUSIONS = 25
MIN_CLIPS = 12  # where fewer are wrong, the least certain of the others are shown, too
N_RESAMPLINGS = 1000  # for the interval of lwlrap


def validated_clips(experiment: Experiment, train_df: str) -> OutOfFold | None:
    """The clips of all finished folds, with predictions and labels; None where no fold is finished."""
    trained = list(experiment.fold_results())
    if not trained:
        return None
    if not Path(train_df).is_file():
        raise DataError(
            f"{train_df}: expected the table that the experiment was trained on, but it does not exist; "
            "give it with --train_df"
        )
    return read_out_of_fold(experiment, trained, train_df, "give the table with --train_df")


def report_data(
    experiment: Experiment, clips: OutOfFold | None, data_dir: str, media: ClipMedia, max_clips: int
) -> dict[str, Any]:
    """All that the page shows, as JSON's types."""
    config = experiment.config
    data = {
        "name": experiment.directory.resolve().name,
        "features": config.features or DEFAULT_FEATURES,
        "folds": fold_curves(experiment),
        "n_folds": experiment.n_folds,
        **origin(experiment),
        "settings": [
            [section, key, plain_text(value)]
            for section, values in config.to_json().items()
            if isinstance(values, dict)
            for key, value in values.items()
            if key != "classes"
        ],
        "figures": None,
        "tag_f1": None,
        "classes": [],
        "confusions": [],
        "matrix": [],
        "clips": [],
    }
    if clips is not None:
        data |= {
            "figures": figures(clips),
            "tag_f1": tag_f1(experiment, clips),
            "classes": class_rows(clips),
            "confusions": confusion_rows(clips),
            "matrix": matrix_cells(clips),
            "clips": doubtful_clips(clips, data_dir, media, max_clips),
        }
    return data


def tag_f1(experiment: Experiment, clips: OutOfFold) -> float | None:
    """F1 of the tags of these clips, on which the thresholds were fitted; None without tags.json."""
    rules = read_rules(experiment.path("tags.json"), experiment.classes)
    if rules is None:
        return None
    return f1_scores(rules.calibration.apply(clips.scores) >= rules.thresholds, clips.truth)[0]


def origin(experiment: Experiment) -> dict[str, Any]:
    """When its training began, by which commands, and how many noisy clips it used; as far as recorded."""
    sessions, noisy, command = (
        experiment.path(name) for name in ("sessions.csv", "noisy_folds.csv", "command")
    )
    return {
        "started": read_table(sessions, ["started"])["started"].iloc[0] if sessions.exists() else "",
        "commands": command.read_text().splitlines() if command.exists() else [],
        "n_noisy": len(read_table(noisy, ["fname"])) if noisy.exists() else 0,
    }


def figures(clips: OutOfFold) -> dict[str, Any]:
    """ops.scores' figures, clips being all that were validated on, and the classes."""
    found = asdict(score(clips.truth, clips.scores, N_RESAMPLINGS, seed=0))
    return found | {"clips": len(clips.fnames), "classes": len(clips.classes)}


def matrix_cells(clips: OutOfFold) -> list[list[Any]]:
    """[label, class heard, clips] of each pair of ops.metrics.confusion_matrix that occurs."""
    matrix = confusion_matrix(clips.truth, clips.scores)
    return [[clips.classes[i], clips.classes[j], int(matrix[i, j])] for i, j in np.argwhere(matrix)]


def report_page(data: dict[str, Any]) -> str:
    """The HTML that shows report_data's."""
    scripts = ["dom", "player", "cards", "chart", "tables", "report"]
    return build_page(f"{data['name']}: report", "report", ["base", "report"], scripts, data)


def fold_curves(experiment: Experiment) -> list[dict[str, Any]]:
    """Each fold that began: its metric, its best epoch and its epochs as rows."""
    trained, folds = experiment.fold_results(), []
    for fold in range(experiment.n_folds):
        path, is_trained = experiment.history(fold), fold in trained
        if path.exists() or is_trained:
            rows = [list(vars(row).values()) for row in read_history(path)] if path.exists() else []
            folds.append({"fold": fold, "finished": is_trained, "epochs": rows} | trained.get(fold, {}))
    return folds


def class_rows(clips: OutOfFold) -> list[dict[str, Any]]:
    """lwlrap and number of clips of each class, lowest first; classes without clips last."""
    values, counts = lwlrap_per_class(clips.truth, clips.scores), clips.labels.sum(axis=0)
    order = np.lexsort((np.asarray(clips.classes, dtype=object), np.nan_to_num(values, nan=2.0)))
    return [{"name": clips.classes[i], "clips": int(counts[i]), "lwlrap": float(values[i])} for i in order]


def confusion_rows(clips: OutOfFold) -> list[dict[str, Any]]:
    """The pairs of a true and a wrong class above it that cost most; share: of all the lwlrap lost."""
    costs, counts = confusion_costs(clips.truth, clips.scores)
    total, labels = costs.sum(), clips.labels.sum()
    by_name = np.argsort(np.argsort(np.asarray(clips.classes, dtype=object)))  # each class's place
    true_names, wrong_names = np.repeat(by_name, len(by_name)), np.tile(by_name, len(by_name))
    pairs = np.lexsort((wrong_names, true_names, -costs.ravel()))[:CONFUSIONS]
    rows = []
    for true, wrong in zip(*np.unravel_index(pairs, costs.shape), strict=True):
        cost = float(costs[true, wrong])
        if cost > 0:
            names = {"true": clips.classes[true], "wrong": clips.classes[wrong]}
            of = {"clips": int(counts[true, wrong]), "of_clips": int(clips.labels[:, true].sum())}
            rows.append(names | of | {"cost": cost / float(labels), "share": cost / float(total)})
    return rows


def doubtful_clips(clips: OutOfFold, data_dir: str, media: ClipMedia, max_clips: int) -> list[dict[str, Any]]:
    """Clips that lost lwlrap, first what lost most (of its labels' sum, not their mean), then by margin.

    Where they are few, the others of least margin follow.
    """
    precision = lrap_per_clip(clips.truth, clips.scores)
    lost = np.nan_to_num((1 - precision) * clips.labels.sum(axis=1), nan=0.0)
    margins = label_margins(clips.labels, clips.scores)
    order = np.lexsort((np.asarray(clips.fnames, dtype=object), margins, -lost))
    order = [row for row in order if not np.isnan(precision[row])]
    order = order[: min(max_clips, max(MIN_CLIPS, int((lost > 0).sum())))]
    if order and not Path(data_dir).is_dir():
        raise DataError(f"{data_dir}: expected the folder with the clips; give it with --train_data_dir")
    return [
        {
            "fname": clips.fnames[row],
            "fold": int(clips.folds[row]),
            "labels": [clips.classes[i] for i in np.flatnonzero(clips.labels[row])],
            "lrap": float(precision[row]),
            "margin": float(margins[row]),
            "scores": top_scores(clips.scores[row], clips.classes, clips.labels[row]),
            **media.of(clip_path(data_dir, clips.fnames[row])),
        }
        for row in progress(order, desc="clips", unit="clip", delay=2)
    ]


def top_scores(scores: np.ndarray, classes: Sequence[str], own: np.ndarray) -> list[list[Any]]:
    """[class, probability, rank] of a clip's highest classes and of its own: highest first, then by name."""
    ranked = highest_first(scores, classes)
    return [
        [classes[i], round(float(scores[i]), 4), rank]
        for rank, i in enumerate(ranked, start=1)
        if rank <= TOP or own[i]
    ]


def plain_text(value: Any) -> str:
    """A setting for a reader: empty for None, yes or no for a truth value."""
    return "" if value is None else "yes" if value is True else "no" if value is False else str(value)
