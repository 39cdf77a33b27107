"""The headers of all clips of a table, read in parallel before anything long starts."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from ops.errors import DataError, raise_lack
from toolkit.clips.near_files import FolderNames
from toolkit.clips.problems import MAX_NAMED
from toolkit.clips.sound_files import MissingAudioError, check_header
from toolkit.clips.sources import clip_path
from toolkit.system import processes
from toolkit.system.console import progress
from toolkit.system.suggestions import nearest_path


def probe_clips(
    fnames: Sequence[str], data_dir: str | Path, table: str | Path
) -> tuple[list[Path], list[int | DataError]]:
    """Paths and lengths (samples at 44,100 Hz) by the headers, a DataError where a clip is unusable.

    Raises DataError where the folder is missing or an fname leads out of it. Under torchrun each process
    reads its share of the clips.
    """
    if not Path(data_dir).is_dir():
        near = nearest_path(data_dir)
        raise DataError(f"{data_dir}: expected the folder with the clips of {table}, found none{near}")
    paths, lengths = _probe(fnames, lambda fname: clip_path(data_dir, fname))
    return paths, _with_hints(fnames, lengths, data_dir)


def probe_files(paths: Sequence[Path]) -> list[int | DataError]:
    """Lengths (samples at 44,100 Hz) by the files' headers, a DataError where one is unusable."""
    return _probe(paths, Path)[1]


def _with_hints(
    fnames: Sequence[str], lengths: Sequence[int | DataError], data_dir: str | Path
) -> list[int | DataError]:
    """The lengths; errors of missing clips say what file may be meant: only then the folder is listed."""
    names, told = None, []
    for fname, length in zip(fnames, lengths, strict=True):
        if isinstance(length, MissingAudioError):
            names = names or FolderNames(data_dir)
            hint = names.hint(fname)
            length = MissingAudioError(f"{length} ({hint})", length.path) if hint else length
        told.append(length)
    return told


def _probe(
    clips: Sequence[str | Path], locate: Callable[[str | Path], Path]
) -> tuple[list[Path], list[int | DataError]]:
    def probe(clip: str | Path) -> tuple[Path, int | DataError]:
        path = locate(clip)
        try:
            return path, check_header(path)
        except DataError as error:
            raise_lack(error)
            return path, error

    with ThreadPoolExecutor(max_workers=min(16, 4 * (os.cpu_count() or 1))) as pool:
        own = clips[processes.rank() :: processes.world_size()]
        probed = pool.map(probe, own)
        bar = progress(probed, total=len(own), desc="checking clips", unit="clip", delay=2)
        parts = processes.gather(list(bar))
    found = [parts[row % len(parts)][row // len(parts)] for row in range(len(clips))]
    return [path for path, _ in found], [length for _, length in found]


def raise_if_any(errors: Sequence[DataError], table: str | Path) -> None:
    if errors:
        named = "; ".join(str(error) for error in errors[:MAX_NAMED])
        more = f"; and {len(errors) - MAX_NAMED} more" if len(errors) > MAX_NAMED else ""
        raise DataError(
            f"{table}: {len(errors)} of its clips cannot be used: {named}{more}. "
            "Repair or restore these files, remove their rows from the table, or train with --skip_bad_clips"
        )
