"""What an experiment began with: a digest of its clips and labels, so that no resumed run mixes others in."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from ops.errors import DataError
from toolkit.clips.splits import Tables
from toolkit.runs.experiment import Experiment
from toolkit.system.files import read_json, write_json

NAME = "clips.json"


def record_clips(experiment: Experiment, tables: Tables) -> None:
    """Writes clips.json, a digest of the curated, noisy and test clips, whichever there are.

    Raises DataError where a resumed run would train on, or predict, others than it began with.
    """
    data = experiment.config["data"]
    development = [*tables.curated, *tables.holdout]
    found = {
        "curated": (
            data["train_df"],
            _digest((clip.fname, *clip.labels.nonzero()[0]) for clip in development),
        ),
        "noisy": (
            data["noisy_train_df"],
            _digest((clip.fname, clip.weight, *clip.labels.nonzero()[0]) for clip in tables.noisy),
        ),
        "test": ("the test table", _digest((fname,) for fname in tables.test_fnames)),
    }
    if not tables.test_fnames:
        del found["test"]  # it may be given later
    path = experiment.path(NAME)
    with experiment.locked():
        known = read_json(path, "the record of an experiment's clips") if path.exists() else {}
        for part, (table, digest) in found.items():
            if known.get(part, digest) != digest:
                raise DataError(
                    f"{table}: the {part} clips or their labels have changed since {experiment.directory} "
                    "began; restore them, or give another --label to start anew"
                )
        merged = {part: digest for part, (_, digest) in found.items()} | known
        if merged != known:
            write_json(path, merged)


def _digest(rows: Iterable[tuple]) -> str:
    """16 hex digits, the same for the same rows in the same order."""
    digest = hashlib.sha256()
    for row in rows:
        digest.update(("\0".join(map(str, row)) + "\n").encode())
    return digest.hexdigest()[:16]
