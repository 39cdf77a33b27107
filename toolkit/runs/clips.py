"""The clips of a run: its tables read, checked and divided."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ops.errors import DataError
from ops.folds import split_holdout
from ops.soft_labels import soft_labels
from toolkit.clips.clip_problems import doubles
from toolkit.clips.identity import joined_groups
from toolkit.clips.labels import class_index, encode_labels
from toolkit.clips.loading import Clip
from toolkit.clips.problems import DOUBTS, KINDS, MAX_NAMED, lines_by_kind, raise_problems
from toolkit.clips.report import check_headers, known_bad_clips
from toolkit.clips.sources import Source
from toolkit.clips.splits import Division, Splits, divide
from toolkit.clips.tables import has_column, read_weights
from toolkit.runs.config import DataConfig, SubmissionConfig
from toolkit.runs.predictions import read_predictions, unread_clips


def load_splits(data: DataConfig, submission: SubmissionConfig) -> Splits:
    """Loads and divides the clips of the tables that the configs name.

    Raises a DataError that tells everything that is wrong with all of them. With skip_bad_clips
    unusable clips are no error: they are left out and listed, as are those that drop_known_bad drops.
    """
    class_map = class_index(data.classes)
    sources = [Source(data.train_df, data.train_data_dir, "curated", drop_known_bad=data.drop_known_bad)]
    if data.noisy_train_df:
        sources.append(Source(data.noisy_train_df, data.noisy_train_data_dir, "noisy"))
    if submission.sample_submission:
        sources.append(Source(submission.sample_submission, submission.test_data_dir, "test"))
    for source in sources:
        source.group_column, source.fold_column = data.group_column, data.fold_column
    problems = check_headers(sources, class_map, data.skip_bad_clips, data.n_folds)
    bad = [problem for problem in problems if KINDS[problem.kind].of_clip] if data.skip_bad_clips else []
    doubts = [problem for problem in problems if problem.kind in DOUBTS]
    raise_problems([problem for problem in problems if problem not in bad and problem not in doubts])

    clips: dict[str, list[Clip]] = {"curated": [], "noisy": [], "test": []}
    for source in sources:
        clips[source.role] = _clips_of(source, class_map)
    if data.soft_labels:
        clips["noisy"] = _with_soft_labels(clips["noisy"], data)
    curated, noisy = (_draw(clips[role], data.max_samples, data.kfold_seed) for role in ("curated", "noisy"))
    curated, noisy = _with_units(curated, noisy)
    holdout: list[Clip] = []
    if data.holdout_size:
        units = [clip.unit for clip in curated]
        development, held_out = split_holdout(units, data.holdout_size, data.kfold_seed)
        curated, holdout = [curated[i] for i in development], [curated[i] for i in held_out]
    skipped = [(s.table, fname, f"known bad: {error}") for s in sources for fname, error in s.dropped.items()]
    return Splits(
        list(class_map),
        curated,
        noisy,
        holdout,
        clips["test"],
        divide(
            curated,
            noisy,
            {clip.unit for clip in holdout} - {""},
            division_of(data, sources[0].folds),
            (data.train_df, data.noisy_train_df),
        ),
        test_fnames=[fname for source in sources if source.role == "test" for fname in source.labels],
        skipped=skipped + [(problem.table, problem.fname, problem.detail) for problem in bad],
        known_bad=list(known_bad_clips(clip.fname for clip in curated)),
        notes=[*lines_by_kind(doubts), *_notes(sources, noisy, holdout)],
    )


def division_of(data: DataConfig, given: dict[str, int]) -> Division:
    """How a run's clips go into folds; given: the folds of curated clips in their table, if any."""
    noisy = "all" if data.share_noisy else "others" if data.cross_fit_noisy else "share"
    return Division(data.n_folds, data.kfold_seed, noisy, given)


def _with_units(curated: list[Clip], noisy: list[Clip]) -> tuple[list[Clip], list[Clip]]:
    """The clips with their units: those of one group, or of the same sound, directly or through others."""
    clips = [*curated, *noisy]
    marks = [[mark for mark in (("group", clip.group), ("sound", clip.sound)) if mark[1]] for clip in clips]
    clips = [replace(clip, unit=unit) for clip, unit in zip(clips, joined_groups(marks), strict=True)]
    return clips[: len(curated)], clips[len(curated) :]


def _notes(sources: Sequence[Source], noisy: Sequence[Clip], holdout: Sequence[Clip]) -> list[str]:
    """Clips of the same sound, tables that tell no groups, and noisy clips that train in no fold."""
    notes = []
    for source in sources:
        column = source.group_column
        if column and source.role == "noisy" and not has_column(source.table, column):
            notes.append(f"{source.table}: no column {column!r}, its clips belong to no group")
    notes += [
        f"{line}; they lie in one fold" if "training and test" not in line else line
        for line in lines_by_kind(list(doubles(sources)))
    ]
    held_out = {clip.unit for clip in holdout} - {""}
    untrained = [clip.fname for clip in noisy if clip.unit in held_out]
    if untrained:
        notes.append(
            f"{len(untrained)} noisy clips belong to clips of the holdout and train in no fold "
            f"({', '.join(untrained[:MAX_NAMED])})"
        )
    return notes


def _clips_of(source: Source, class_map: dict[str, int]) -> list[Clip]:
    """The usable clips of a checked table, in its order; those of a test table have no labels."""
    fnames = [fname for fname in source.labels if fname in source.clips]
    if source.dropped and not source.labels:
        raise DataError(f"{source.table}: all its clips are known to be wrong; leave out --drop_known_bad")
    if not fnames:
        raise DataError(
            f"{source.table}: none of its {len(source.labels)} clips in {source.data_dir} can be used; "
            "check_data.py lists why"
        )
    labels: Sequence[np.ndarray | None] = [None] * len(fnames)
    if source.role != "test":
        cells = [source.labels[fname] for fname in fnames]
        labels = list(encode_labels(cells, class_map, source.table, fnames))
    is_noisy = source.role == "noisy"
    weights = read_weights(source.table) if is_noisy else {}
    return [
        Clip(
            fname,
            *source.clips[fname],
            label,
            is_noisy,
            weights.get(fname, 1.0),
            group=source.groups.get(fname, ""),
            sound=source.sounds[fname],
        )
        for fname, label in zip(fnames, labels, strict=True)
    ]


def _with_soft_labels(clips: list[Clip], data: DataConfig) -> list[Clip]:
    """Raises DataError where the predictions lack one of the clips, or could not read it."""
    predictions = read_predictions(data.soft_labels, data.classes)
    unread = {*unread_clips(data.soft_labels)} & {clip.fname for clip in clips}
    if unread:
        raise DataError(
            f"{data.soft_labels}: {min(unread)!r} could not be read in prediction ({len(unread)} such "
            f"clips); predict again, or remove their rows from {data.noisy_train_df}"
        )
    scores = predictions.rows_of([clip.fname for clip in clips], data.soft_labels)
    labels = soft_labels(scores, data.soft_power)
    return [replace(clip, labels=row) for clip, row in zip(clips, labels, strict=True)]


def _draw(clips: list[Clip], max_clips: int | None, seed: int) -> list[Clip]:
    """At most so many clips, drawn, in the table's order."""
    if not max_clips:
        return clips
    chosen = np.random.default_rng(seed).permutation(len(clips))[:max_clips]
    return [clips[i] for i in sorted(chosen)]
