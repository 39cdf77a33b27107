"""The headers of all clips of a table, read in parallel before anything long starts."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tqdm import tqdm

from ops.audio import read_header
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
    fnames: Sequence[str], data_dir: str | Path, table: str | Path
) -> tuple[list[Path], list[int | DataError]]:
    """Paths and lengths (samples at 44,100 Hz) of all clips, a DataError where one is unusable."""
    if not Path(data_dir).is_dir():
        raise DataError(f"{data_dir}: expected the folder with the clips of {table}, found none")

    def probe(fname: str) -> tuple[Path, int | DataError]:
        try:
            path = clip_path(data_dir, fname)
            return path, read_header(path).n_samples
        except DataError as error:
            return Path(data_dir) / fname, error

    with ThreadPoolExecutor(max_workers=min(16, 4 * (os.cpu_count() or 1))) as pool:
        progress = tqdm(
            pool.map(probe, fnames), total=len(fnames), desc="headers", unit="clip", leave=False, delay=2
        )
        found = list(progress)
    return [path for path, _ in found], [length for _, length in found]


def require_clips(
    fnames: Sequence[str], data_dir: str | Path, table: str | Path
) -> tuple[list[Path], list[int]]:
    """Like probe_clips, but raises one DataError with the first ten unusable clips and their number."""
    paths, lengths = probe_clips(fnames, data_dir, table)
    raise_if_any([length for length in lengths if isinstance(length, DataError)], table)
    return paths, lengths


def raise_if_any(errors: Sequence[DataError], table: str | Path) -> None:
    if errors:
        shown = "; ".join(str(error) for error in errors[:SHOWN])
        more = f"; and {len(errors) - SHOWN} more" if len(errors) > SHOWN else ""
        raise DataError(
            f"{table}: {len(errors)} of its clips cannot be used: {shown}{more}. "
            "Repair or restore these files, or remove their rows from the table"
        )
