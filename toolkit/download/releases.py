"""Folders of a published data set: what is there already, what is still to download and unpack.

A folder appears whole, with `.release.json` inside, which says what it was made of. So a second run knows
its own folders, leaves them, and touches no others.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd

from ops.errors import DataError
from toolkit.clips.tables import write_table
from toolkit.download.archives import DamagedArchive, RefusedArchive, open_archive, require_room, unpack
from toolkit.download.http import RemoteFile, fetch
from toolkit.system import console
from toolkit.system.files import disk_errors, read_json, write_json
from toolkit.system.locks import take_lock

MARK = ".release.json"
ARCHIVES = "archives"
Archive = Sequence[RemoteFile]  # the parts of one archive, in order


class Release:
    """What is made of a data set in output_dir; `origin` says of which, and with which settings."""

    def __init__(self, output_dir: str | Path, origin: dict[str, Any], retries: int, keep_archives: bool):
        self.output_dir, self.origin = Path(output_dir), origin
        self.archives = self.output_dir / ARCHIVES
        self.retries, self.keep_archives = retries, keep_archives

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Makes output_dir and holds it; DataError where another process does."""
        with disk_errors(self.archives):
            self.archives.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self.output_dir, os.O_RDONLY)
        try:
            if not take_lock(descriptor, self.output_dir / ARCHIVES):
                raise DataError(
                    f"{self.output_dir}: another process is downloading into it; wait for it, or choose "
                    "another --output_dir"
                )
            try:
                yield
            finally:
                if not os.listdir(self.archives):
                    self.archives.rmdir()
        finally:
            os.close(descriptor)

    def has(self, name: str) -> bool:
        """Whether a folder was made by an earlier run. Raises DataError where it holds something else."""
        folder = self.output_dir / name
        if not os.path.lexists(folder):
            return False
        mark = folder / MARK
        if not mark.is_file():
            raise DataError(
                f"{folder}: exists, but was not made by this script; move it away or choose another "
                "--output_dir"
            )
        content = read_json(mark, "what download_data.py wrote")
        found = content.get("origin") if isinstance(content, dict) else content
        if found != self.origin:
            raise DataError(
                f"{folder}: holds {json.dumps(found)}, not {json.dumps(self.origin)}; move it away or choose "
                "another --output_dir"
            )
        return True

    def refuse_foreign_tables(self, folder: str, tables: Sequence[str]) -> None:
        """Raises DataError where tables are there, but not the folder from which this script makes them."""
        for name in tables:
            if not self.has(folder) and os.path.lexists(self.output_dir / name):
                raise DataError(
                    f"{self.output_dir / name}: exists, but was not made by this script; move it away or "
                    "choose another --output_dir"
                )

    def make_folder(
        self, name: str, archives: Sequence[Archive], place: Callable[[str], str | None], what: str = "clips"
    ) -> None:
        """Downloads archives and unpacks them into a folder, unless an earlier run did.

        What is no zip archive is copied as it is. `place` as in `unpack`. Raises DataError where anything
        goes wrong; then the folder is not there.
        """
        if self.has(name):
            return
        paths = [self._fetched(archive) for archive in archives]
        folder, partial = self.output_dir / name, self.output_dir / f".{name}.partial"
        if partial.exists():
            shutil.rmtree(partial)  # of a killed run
        files: list[str] = []
        comment = ""
        try:
            with disk_errors(partial):
                partial.mkdir()
            for parts in paths:
                if parts[-1].suffix != ".zip":
                    with disk_errors(partial):
                        files.append(shutil.copy(parts[-1], partial))
                    continue
                try:
                    with open_archive(parts) as archive:
                        comment = archive.comment.decode(errors="replace")  # GitHub's: the commit
                        files += unpack(archive, partial, place)
                except DamagedArchive as error:
                    for part in parts:
                        part.unlink()
                    raise DataError(f"{error}; it was removed, run again to download it anew") from error
                except RefusedArchive as error:
                    archive_files = ", ".join(map(str, parts))
                    raise DataError(f"{error}; remove {archive_files} to download it anew") from error
            made_of = [[{"name": f.name, "checksum": f.checksum} for f in archive] for archive in archives]
            write_json(partial / MARK, {"origin": self.origin, "archives": made_of, "comment": comment})
            with disk_errors(folder):
                os.sync()  # once for thousands of files
                partial.rename(folder)
        finally:
            if partial.exists():
                shutil.rmtree(partial)
        console.note(f"{folder}: {len(files)} {what}")

    def discard(self, archives: Sequence[Archive]) -> None:
        """Removes downloaded archives, unless they are to be kept."""
        if not self.keep_archives:
            for file in (file for archive in archives for file in archive):
                (self.archives / file.name).unlink(missing_ok=True)

    def write_table(self, name: str, frame: pd.DataFrame) -> None:
        """Writes a table unless it is there: what a user changed in it stays."""
        if not (self.output_dir / name).exists():
            write_table(self.output_dir / name, frame)
            console.note(f"{self.output_dir / name}: {len(frame)} rows")

    def _fetched(self, archive: Archive) -> list[Path]:
        missing = 0
        for file in archive:
            paths = self.archives / file.name, self.archives / f"{file.name}.part"
            missing += max(0, (file.size or 0) - sum(path.stat().st_size for path in paths if path.exists()))
        require_room(self.archives, missing, f"download {archive[-1].name}")
        return [fetch(file, self.archives, self.retries) for file in archive]
