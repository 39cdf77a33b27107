"""Which clips a run trains, validates, holds out and tests on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ops.errors import DataError
from ops.folds import plain_folds, split_holdout, stratified_folds
from toolkit.clips.checks import known_bad_clips
from toolkit.clips.labels import encode_labels
from toolkit.clips.loading import Clip
from toolkit.clips.problems import KINDS, raise_problems
from toolkit.clips.report import Source, check_headers
from toolkit.clips.tables import read_weights


@dataclass(frozen=True)
class Tables:
    """The clips of a run, checked; test_fnames are all rows of the test table, readable or not.

    known_bad are curated clips that the project knows to be wrong and that are trained on nonetheless.
    """

    classes: list[str]
    curated: list[Clip]
    noisy: list[Clip]
    holdout: list[Clip]
    test: list[Clip]
    test_fnames: list[str]
    skipped: list[tuple[str, str, str]]
    known_bad: list[str] = field(default_factory=list)


def load_tables(data: dict[str, Any], sample_submission: str | None, test_data_dir: str | None) -> Tables:
    """Loads the tables that the config's `data` section names, and the test table.

    Raises a DataError that tells everything that is wrong with all of them. With skip_bad_clips
    unusable clips are no error: they are left out and listed, as are those that drop_known_bad drops.
    """
    class_map = {name: index for index, name in enumerate(data["classes"])}
    drop_known_bad = data.get("drop_known_bad", False)  # older configurations have no such key
    sources = [Source(data["train_df"], data["train_data_dir"], "curated", drop_known_bad=drop_known_bad)]
    if data["noisy_train_df"]:
        sources.append(Source(data["noisy_train_df"], data["noisy_train_data_dir"], "noisy"))
    if sample_submission and test_data_dir:
        sources.append(Source(sample_submission, test_data_dir, "test"))
    skip = data["skip_bad_clips"]
    problems = check_headers(sources, class_map, decode=skip)
    bad = [problem for problem in problems if KINDS[problem.kind].of_clip] if skip else []
    raise_problems([problem for problem in problems if problem not in bad])
    clips: dict[str, list[Clip]] = {"curated": [], "noisy": [], "test": []}
    for source in sources:
        clips[source.role] = _clips_of(source, class_map)
    seed, curated, noisy = data["kfold_seed"], clips["curated"], clips["noisy"]
    if data["max_samples"]:
        curated, noisy = (_draw(clips, data["max_samples"], seed) for clips in (curated, noisy))
    holdout = []
    if data["holdout_size"]:
        development, held_out = split_holdout(len(curated), data["holdout_size"], seed)
        curated, holdout = [curated[i] for i in development], [curated[i] for i in held_out]
    test_fnames = [fname for source in sources if source.role == "test" for fname in source.labels]
    skipped = [(s.table, fname, f"known bad: {error}") for s in sources for fname, error in s.dropped.items()]
    skipped += [(problem.table, problem.fname, problem.detail) for problem in bad]
    known_bad = list(known_bad_clips(clip.fname for clip in curated))
    return Tables(list(class_map), curated, noisy, holdout, clips["test"], test_fnames, skipped, known_bad)


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
        Clip(fname, *source.clips[fname], label, is_noisy, weights.get(fname, 1.0))
        for fname, label in zip(fnames, labels, strict=True)
    ]


def _draw(clips: list[Clip], n: int, seed: int) -> list[Clip]:
    chosen = np.random.default_rng(seed).permutation(len(clips))[:n]
    return [clips[i] for i in sorted(chosen)]


def split_fold(tables: Tables, data: dict[str, Any], fold: int) -> tuple[list[Clip], list[Clip]]:
    """Training clips (curated and noisy) and validation clips (curated) of a fold."""
    n_folds, seed = data["n_folds"], data["kfold_seed"]
    targets = np.stack([clip.labels for clip in tables.curated])
    with _named(data["train_df"]):
        training, validation = list(stratified_folds(targets, n_folds, seed))[fold]
    noisy = tables.noisy
    if noisy and not data["share_noisy"]:
        with _named(data["noisy_train_df"]):
            others, share = list(plain_folds(len(noisy), n_folds, seed))[fold]
        noisy = [noisy[i] for i in (others if data.get("cross_fit_noisy") else share)]
    return [tables.curated[i] for i in training] + noisy, [tables.curated[i] for i in validation]


@contextmanager
def _named(table: str) -> Iterator[None]:
    try:
        yield
    except DataError as error:
        raise DataError(f"{table}: {error}") from error
