"""Which clips a run trains, validates, holds out and tests on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ops.clip_checks import probe_clips, raise_if_any
from ops.datasets import Clip
from ops.errors import DataError
from ops.folds import plain_folds, split_holdout, stratified_folds
from ops.labels import encode_labels
from ops.tables import read_table


@dataclass(frozen=True)
class Tables:
    """The clips of a run, checked; test_fnames are all rows of the test table, readable or not."""

    classes: list[str]
    curated: list[Clip]
    noisy: list[Clip]
    holdout: list[Clip]
    test: list[Clip]
    test_fnames: list[str]
    skipped: list[tuple[str, str, str]]


@dataclass
class TableLoader:
    """Reads tables and collects what is wrong with all of them, so that one message tells everything.

    With skip_bad_clips unusable clips are no error: they are left out and listed.
    """

    skip_bad_clips: bool
    skipped: list[tuple[str, str, str]] = field(default_factory=list)  # table, fname, error
    errors: list[DataError] = field(default_factory=list)

    def load(
        self, table: str, data_dir: str, class_map: dict[str, int] | None, is_noisy: bool = False
    ) -> list[Clip]:
        """The clips of a table, in its order; without a class map they have no labels."""
        clips: list[Clip] = []
        with self._collecting():
            frame = read_table(table, ["fname"] if class_map is None else ["fname", "labels"])
            fnames = frame["fname"].tolist()
            labels: Sequence[np.ndarray | None] = [None] * len(fnames)
            if class_map is not None:
                with self._collecting():
                    labels = list(encode_labels(frame["labels"], class_map, table, fnames))
            paths, lengths = probe_clips(fnames, data_dir, table, decode=self.skip_bad_clips)
            bad = [(f, e) for f, e in zip(fnames, lengths, strict=True) if isinstance(e, DataError)]
            if not self.skip_bad_clips:
                raise_if_any([error for _, error in bad], table)
            self.skipped += [(table, fname, str(error)) for fname, error in bad]
            rows = zip(fnames, paths, lengths, labels, strict=True)
            clips = [Clip(*row, is_noisy=is_noisy) for row in rows if not isinstance(row[2], DataError)]
            if not clips:
                raise DataError(f"{table}: none of its {len(fnames)} clips can be used; {bad[0][1]}")
        return clips

    def raise_collected(self) -> None:
        """Raises one DataError of all errors found."""
        if len(self.errors) == 1:
            raise self.errors[0]
        if self.errors:
            raise DataError(
                f"{len(self.errors)} problems: "
                + " ".join(f"({number}) {error}." for number, error in enumerate(self.errors, start=1))
            )

    @contextmanager
    def _collecting(self) -> Iterator[None]:
        try:
            yield
        except DataError as error:
            self.errors.append(error)


def load_tables(data: dict[str, Any], sample_submission: str | None, test_data_dir: str | None) -> Tables:
    """Loads the tables that the config's `data` section names, and the test table."""
    class_map = {name: index for index, name in enumerate(data["classes"])}
    loader = TableLoader(data["skip_bad_clips"])
    curated = loader.load(data["train_df"], data["train_data_dir"], class_map)
    noisy = []
    if data["noisy_train_df"]:
        noisy = loader.load(data["noisy_train_df"], data["noisy_train_data_dir"], class_map, is_noisy=True)
    test, test_fnames = [], []
    if sample_submission and test_data_dir:
        test = loader.load(sample_submission, test_data_dir, None)
    loader.raise_collected()
    if test:
        test_fnames = read_table(sample_submission, ["fname"])["fname"].tolist()
    seed = data["kfold_seed"]
    if data["max_samples"]:
        curated, noisy = (_draw(clips, data["max_samples"], seed) for clips in (curated, noisy))
    holdout = []
    if data["holdout_size"]:
        development, held_out = split_holdout(len(curated), data["holdout_size"], seed)
        curated, holdout = [curated[i] for i in development], [curated[i] for i in held_out]
    return Tables(list(class_map), curated, noisy, holdout, test, test_fnames, loader.skipped)


def _draw(clips: list[Clip], n: int, seed: int) -> list[Clip]:
    chosen = np.random.default_rng(seed).permutation(len(clips))[:n]
    return [clips[i] for i in sorted(chosen)]


def split_fold(tables: Tables, data: dict[str, Any], fold: int) -> tuple[list[Clip], list[Clip]]:
    """Training clips (curated and noisy) and validation clips (curated) of a fold."""
    n_folds, seed = data["n_folds"], data["kfold_seed"]
    targets = np.stack([clip.labels for clip in tables.curated])
    training, validation = list(stratified_folds(targets, n_folds, seed))[fold]
    noisy = tables.noisy
    if noisy and not data["share_noisy"]:
        _, share = list(plain_folds(len(noisy), n_folds, seed))[fold]
        noisy = [noisy[i] for i in share]
    return [tables.curated[i] for i in training] + noisy, [tables.curated[i] for i in validation]
