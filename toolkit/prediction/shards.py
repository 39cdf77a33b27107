"""Scoring a table of clips on several processes, all at once or in shards that outlive a killed run."""

from __future__ import annotations

import hashlib
import itertools
import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from torch import nn

from ops.batching import batches_by_length
from ops.errors import DataError
from toolkit.clips.loading import Clip
from toolkit.system import console, processes
from toolkit.system.files import (
    disk_errors,
    read_json,
    remove_leftovers,
    verified_archive,
    write_atomically,
    write_json,
)
from toolkit.system.interruption import StopRequest
from toolkit.system.runtime import Runtime
from toolkit.training.evaluation import Evaluator, portion_of, portion_of_batches, require_finite

MAX_SHARDS = 256
AGAIN = "remove the file and run again"
_jobs = itertools.count()  # predictions of this process: each hands out its own shards
Logits = tuple[np.ndarray, dict[int, DataError]]  # (models, clips, classes), and errors by clip


@dataclass(frozen=True)
class Shard:
    """Scores of some clips of a table: rows (clips,), logits (models, clips, classes), errors by position."""

    rows: np.ndarray
    logits: np.ndarray
    errors: dict[int, DataError]


class ShardedScorer:
    """Scores clips with networks.

    Under torchrun, or where such a run was killed before, the work is cut into shards that cost about
    the same: each is a file in <output>.shards/, written whole or not at all and never computed again.
    Shards of other clips, networks or settings (all else that the logits depend on) are refused, and so is
    a network whose scores are not finite.

    Args:
        checkpoints: where the models are from, to name them.
    """

    def __init__(
        self,
        models: Sequence[nn.Module],
        checkpoints: Sequence[str | Path],
        n_classes: int,
        runtime: Runtime,
        stop: StopRequest | None = None,
    ):
        self.models, self.checkpoints = models, checkpoints
        self.n_classes, self.runtime = n_classes, runtime
        self.evaluator = Evaluator(models, n_classes, runtime.device, stop=stop)

    def score(self, clips: Sequence[Clip], batch_size: int, output: Path | None) -> Logits | None:
        """Logits (models, clips, classes), and the errors of clips that cannot be read, on rank 0.

        The caller removes the folder (remove_shards) once the output is written. Other ranks get None.
        Without an output nothing is kept.
        """
        if output is None:
            found = self.evaluator.score_together(portion_of(clips, batch_size, self.runtime), "prediction")
            require_finite(found.logits, [clip.fname for clip in clips], found.errors, self.checkpoints)
            return (found.logits, found.errors) if processes.is_main() else None
        folder = shards_folder(output)
        batches = batches_by_length([clip.n_samples for clip in clips], batch_size)
        if processes.world_size() == 1 and not folder.exists():
            return self._merged([self._score("prediction", clips, batches)], clips)

        n_shards = min(len(batches), MAX_SHARDS)
        job, missing = processes.from_main(
            lambda: (next(_jobs), _missing_shards(folder, self._plan(clips, batch_size), n_shards))
        )
        for number in _own_shards(job, missing):
            # Strides through batches from long clips to short ones: every shard has its part of each.
            own = batches[number::n_shards]
            _write_shard(folder, number, self._score(f"shard {number} of {n_shards}", clips, own))
        processes.gather(None)
        if not processes.is_main():
            return None
        return self._merged([self._read(folder, number, len(clips)) for number in range(n_shards)], clips)

    def _score(self, description: str, clips: Sequence[Clip], batches: list[list[int]]) -> Shard:
        portion = portion_of_batches(clips, batches, self.runtime)
        found = self.evaluator.score(portion.loader, description)
        fnames = [clips[row].fname for row in portion.rows]
        require_finite(found.logits, fnames, found.errors, self.checkpoints)
        return Shard(np.array(portion.rows, dtype=np.int64), found.logits, found.errors)

    def _read(self, folder: Path, number: int, n_clips: int) -> Shard:
        shard, path = _read_shard(folder, number), _shard_path(folder, number)
        rows, shape = shard.rows, (len(self.models), len(shard.rows), self.n_classes)
        if shard.logits.shape != shape or not ((rows >= 0) & (rows < n_clips)).all():
            raise DataError(f"{path}: expected a shard of this prediction, found another; {AGAIN}")
        return shard

    def _merged(self, shards: Sequence[Shard], clips: Sequence[Clip]) -> Logits:
        logits = np.full((len(self.models), len(clips), self.n_classes), np.nan, dtype=np.float32)
        errors: dict[int, DataError] = {}
        for shard in shards:
            logits[:, shard.rows] = shard.logits
            errors |= {int(shard.rows[row]): error for row, error in shard.errors.items()}
        require_finite(logits, [clip.fname for clip in clips], errors, self.checkpoints)
        return logits, errors

    def _plan(self, clips: Sequence[Clip], batch_size: int) -> dict[str, object]:
        """All that logits depend on, in short; files by path, size and time of change."""
        weights = hashlib.sha256()
        for model in self.models:
            for name, tensor in model.state_dict().items():
                weights.update(name.encode() + tensor.cpu().numpy().tobytes())
        table = repr([(clip.fname, clip.start, clip.n_samples, *_file_of(clip)) for clip in clips])
        return {
            "clips": hashlib.sha256(table.encode(errors="surrogateescape")).hexdigest(),
            "networks": weights.hexdigest(),
            "amp": self.runtime.amp,
            "compile": self.runtime.compile,
            "batch_size": batch_size,
        }


def _file_of(clip: Clip) -> tuple[str, int, int]:
    """Path, bytes, time of change; reading it will say so where the file has gone meanwhile."""
    path = os.path.realpath(clip.path)
    try:
        status = os.stat(path)
    except OSError:
        return path, 0, 0
    return path, status.st_size, status.st_mtime_ns


def shards_folder(output: Path) -> Path:
    return output.with_name(output.name + ".shards")


def remove_shards(output: Path) -> None:
    shutil.rmtree(shards_folder(output), ignore_errors=True)


def _own_shards(job: int, missing: list[int]) -> Iterator[int]:
    """This process's shards: the next one that no process has taken, until none is left."""
    if processes.world_size() == 1:
        yield from missing
        return
    while (position := processes.take_number(f"shard of prediction {job}")) < len(missing):
        yield missing[position]


def _missing_shards(folder: Path, plan: dict[str, object], n_shards: int) -> list[int]:
    """Numbers of the shards still to compute; makes the folder or checks that it is this plan's."""
    path = folder / "plan.json"
    if folder.exists() and not path.exists() and any(folder.glob("[!.]*")):
        raise DataError(f"{folder}: expected shards of a prediction, found something else; move it away")
    with disk_errors(folder):
        folder.mkdir(exist_ok=True)
    remove_leftovers(folder)
    if not path.exists():
        write_json(path, plan)
    elif read_json(path, "the plan of a prediction") != plan:
        raise DataError(
            f"{folder}: holds shards of a prediction of other clips, networks or flags; finish that one, "
            "remove the folder, or choose another --output_df"
        )
    missing = [number for number in range(n_shards) if not _shard_path(folder, number).exists()]
    if len(missing) < n_shards:
        console.note(f"{n_shards - len(missing)} of {n_shards} shards were done before, see {folder}")
    return missing


def _shard_path(folder: Path, number: int) -> Path:
    return folder / f"shard_{number:03d}.npz"


def _write_shard(folder: Path, number: int, shard: Shard) -> None:
    bad = sorted(shard.errors)
    content = {
        "rows": shard.rows,
        "logits": shard.logits,
        "bad": np.array(bad, dtype=np.int64),
        "errors": np.array([str(shard.errors[row]) for row in bad], dtype=np.str_),
    }
    write_atomically(_shard_path(folder, number), lambda file: np.savez(file, **content))


def _read_shard(folder: Path, number: int) -> Shard:
    path = _shard_path(folder, number)
    expected = "a finished shard (--output_df must be in a folder that all machines share)"
    try:
        with np.load(verified_archive(path, expected, AGAIN)) as content:
            bad = zip(content["bad"].tolist(), content["errors"].tolist(), strict=True)
            errors = {row: DataError(message) for row, message in bad}
            return Shard(content["rows"], content["logits"], errors)
    except (ValueError, KeyError, AttributeError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{path}: expected {expected}, found another file ({error}); {AGAIN}") from error
