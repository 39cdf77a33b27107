"""Scoring a table of clips on several processes, all at once or in shards that outlive a killed run."""

from __future__ import annotations

import hashlib
import shutil
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from torch import nn
from torch.utils.data import DataLoader

from ops.batching import batches_by_length
from ops.errors import DataError
from toolkit.clips.loading import Clip, evaluation_loader
from toolkit.system import processes
from toolkit.system.files import disk_errors, read_json, remove_leftovers, write_atomically, write_json
from toolkit.system.interruption import StopRequest
from toolkit.training.trainer import Loss, predict

MOST_SHARDS = 256
Prediction = tuple[np.ndarray, dict[int, DataError]]
_Part = tuple[
    np.ndarray, np.ndarray, dict[int, DataError]
]  # rows of the table, their logits, errors by position


@dataclass(frozen=True)
class Share:
    """This process's clips of a table of n_clips: rows of the table, in the order of their loader."""

    n_clips: int
    rows: list[int]
    loader: DataLoader


def share_clips(
    clips: Sequence[Clip], batch_size: int, num_workers: int, device, persistent: bool = False
) -> Share:
    """The batches are those of a single process, dealt out; persistent where they are scored many times."""
    batches = batches_by_length([clip.n_samples for clip in clips], batch_size)
    own = batches[processes.rank() :: processes.world_size()]
    return _share(clips, own, num_workers, device, persistent)


def _share(
    clips: Sequence[Clip], batches: list[list[int]], num_workers: int, device, persistent: bool = False
) -> Share:
    """A loader of these batches' clips in a row, which numbers them so."""
    rows = [index for batch in batches for index in batch]
    ends = np.cumsum([len(batch) for batch in batches])
    renumbered = [list(range(end - len(batch), end)) for end, batch in zip(ends, batches, strict=True)]
    chosen = [clips[index] for index in rows]
    pin_memory = device.type == "cuda"
    return Share(
        len(clips), rows, evaluation_loader(chosen, 0, num_workers, pin_memory, renumbered, persistent)
    )


def predict_together(
    models: list[nn.Module],
    share: Share,
    n_classes: int,
    device,
    description: str,
    loss_fn: Loss | None = None,
    stop: StopRequest | None = None,
) -> tuple[np.ndarray, float, dict[int, DataError]]:
    """toolkit.training.trainer.predict over a table, each process its share of it; all get everything."""
    logits, loss, errors = predict(models, share.loader, n_classes, device, description, loss_fn, stop)
    done = len(share.rows) - len(errors)
    errors = {share.rows[row]: error for row, error in errors.items()}
    merged = np.empty((len(models), share.n_clips, n_classes), dtype=np.float32)
    loss_sum = n_done = 0
    all_errors: dict[int, DataError] = {}
    found = processes.gather((share.rows, logits, loss, done, errors))
    for rows, part, part_loss, part_done, part_errors in found:
        merged[:, rows] = part
        all_errors |= part_errors
        if part_done:
            loss_sum, n_done = loss_sum + part_loss * part_done, n_done + part_done
    return merged, loss_sum / n_done if n_done else float("nan"), all_errors


def predict_in_shards(
    models: list[nn.Module],
    clips: Sequence[Clip],
    batch_size: int,
    num_workers: int,
    n_classes: int,
    device,
    output: Path | None,
    settings: dict[str, object],
    stop: StopRequest | None = None,
) -> Prediction | None:
    """Logits (models, clips, classes) of a table's clips and the errors of unreadable ones, on rank 0.

    Under torchrun, or where such a run was killed before, the work is cut into shards that cost about
    the same: each is a file in <output>.shards/, written whole or not at all and never computed again.
    Shards of other clips, networks or settings (all else that the logits depend on) are refused. The
    caller removes the folder (remove_shards) once the output is written. Other ranks get None. Without
    an output nothing is kept.
    """
    if output is None:
        share = share_clips(clips, batch_size, num_workers, device)
        logits, _, errors = predict_together(models, share, n_classes, device, "prediction", stop=stop)
        return (logits, errors) if processes.is_main() else None
    folder = shards_folder(output)
    batches = batches_by_length([clip.n_samples for clip in clips], batch_size)

    def score(description: str, batches: list[list[int]]) -> _Part:
        share = _share(clips, batches, num_workers, device)
        logits, _, errors = predict(models, share.loader, n_classes, device, description, stop=stop)
        return np.array(share.rows, dtype=np.int64), logits, errors

    n_shards = min(len(batches), MOST_SHARDS)
    if processes.world_size() == 1 and not folder.exists():
        parts = [score("prediction", batches)]
    else:
        missing = processes.from_main(
            lambda: _missing_shards(
                folder, _plan(models, clips, {**settings, "batch_size": batch_size}), n_shards
            )
        )
        for number in _numbers(missing):
            # Strides through batches from long clips to short ones: every shard has its part of each.
            _write_shard(folder, number, *score(f"shard {number} of {n_shards}", batches[number::n_shards]))
        processes.gather(None)
        if not processes.is_main():
            return None
        parts = [_read_shard(folder, number) for number in range(n_shards)]
    logits = np.full((len(models), len(clips), n_classes), np.nan, dtype=np.float32)
    errors: dict[int, DataError] = {}
    for rows, part, part_errors in parts:
        logits[:, rows] = part
        errors |= {int(rows[row]): error for row, error in part_errors.items()}
    return logits, errors


def shards_folder(output: Path) -> Path:
    return output.with_name(output.name + ".shards")


def remove_shards(output: Path) -> None:
    shutil.rmtree(shards_folder(output), ignore_errors=True)


def _numbers(missing: list[int]) -> Iterator[int]:
    """This process's shards: the next one that no process has taken, until none is left."""
    if processes.world_size() == 1:
        yield from missing
        return
    while (position := processes.take_number("shard")) < len(missing):
        yield missing[position]


def _plan(models: list[nn.Module], clips: Sequence[Clip], settings: dict[str, object]) -> dict[str, object]:
    """All that logits depend on, in short."""
    weights = hashlib.sha256()
    for model in models:
        for name, tensor in model.state_dict().items():
            weights.update(name.encode() + tensor.cpu().numpy().tobytes())
    table = repr([(clip.fname, clip.start, clip.n_samples) for clip in clips])
    return {
        "clips": hashlib.sha256(table.encode()).hexdigest(),
        "networks": weights.hexdigest(),
        **settings,
    }


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
    missing = [number for number in range(n_shards) if not _shard(folder, number).exists()]
    if len(missing) < n_shards:
        print(f"{n_shards - len(missing)} of {n_shards} shards were done before, see {folder}", flush=True)
    return missing


def _shard(folder: Path, number: int) -> Path:
    return folder / f"shard_{number:03d}.npz"


def _write_shard(
    folder: Path, number: int, rows: np.ndarray, logits: np.ndarray, errors: dict[int, DataError]
) -> None:
    bad = sorted(errors)
    content = {
        "rows": rows,
        "logits": logits,
        "bad": np.array(bad, dtype=np.int64),
        "errors": np.array([str(errors[row]) for row in bad], dtype=np.str_),
    }
    write_atomically(_shard(folder, number), lambda file: np.savez(file, **content))


def _read_shard(folder: Path, number: int) -> _Part:
    path = _shard(folder, number)
    try:
        with np.load(path) as content:
            bad = zip(content["bad"].tolist(), content["errors"].tolist(), strict=True)
            errors = {row: DataError(message) for row, message in bad}
            return content["rows"], content["logits"], errors
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise DataError(
            f"{path}: expected a finished shard, it cannot be read ({error}); --output_df must be in a "
            "folder that all machines share. Remove the file and run again"
        ) from error
