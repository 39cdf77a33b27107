"""The headers of all clips of a table, read in parallel before anything long starts."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tqdm import tqdm

from ops import distributed
from ops.audio import read_audio, read_header
from ops.errors import DataError

SHOWN = 10  # problems named of those found


def clip_path(data_dir: str | Path, fname: str) -> Path:
    """The clip's file. Raises DataError where fname leads out of data_dir (absolute, .., link)."""
    root = os.path.realpath(data_dir)
    path = os.path.join(data_dir, fname)
    if "\0" in fname or not os.path.realpath(path).startswith(os.path.join(root, "")):
        raise DataError(f"{fname!r} leads out of its folder {data_dir}; expected a file inside it")
    return Path(path)


def probe_clips(
    fnames: Sequence[str], data_dir: str | Path, table: str | Path, decode: bool = False
) -> tuple[list[Path], list[int | DataError]]:
    """Paths and lengths (samples at 44,100 Hz) of all clips, a DataError where one is unusable.

    Reads headers; with `decode` every sample, which takes as long as an epoch's reading. Raises
    DataError where the folder is missing or an fname leads out of it. Under torchrun each process reads
    its share of the clips.
    """
    if not Path(data_dir).is_dir():
        raise DataError(f"{data_dir}: expected the folder with the clips of {table}, found none")

    def probe(fname: str) -> tuple[Path, int | DataError]:
        path = clip_path(data_dir, fname)
        try:
            return path, len(read_audio(path)) if decode else read_header(path).n_samples
        except DataError as error:
            return path, error

    with ThreadPoolExecutor(max_workers=min(16, 4 * (os.cpu_count() or 1))) as pool:
        own = fnames[distributed.rank() :: distributed.world_size()]
        progress = tqdm(
            pool.map(probe, own),
            total=len(own),
            desc="checking clips",
            unit="clip",
            leave=False,
            delay=2,
            disable=not distributed.shows_progress(),
        )
        parts = distributed.gather(list(progress))
    found = [parts[row % len(parts)][row // len(parts)] for row in range(len(fnames))]
    return [path for path, _ in found], [length for _, length in found]


def raise_if_any(errors: Sequence[DataError], table: str | Path) -> None:
    if errors:
        shown = "; ".join(str(error) for error in errors[:SHOWN])
        more = f"; and {len(errors) - SHOWN} more" if len(errors) > SHOWN else ""
        raise DataError(
            f"{table}: {len(errors)} of its clips cannot be used: {shown}{more}. "
            "Repair or restore these files, remove their rows from the table, or train with --skip_bad_clips"
        )
