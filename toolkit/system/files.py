"""Files written whole or not at all: a temporary file beside the target, fsync, rename."""

from __future__ import annotations

import errno
import glob
import json
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from ops.errors import DataError
from toolkit.system import console
from toolkit.system.suggestions import nearest_path

TOO_MANY_FILES = "raise the limit of open files (ulimit -n 4096) or lower --num_workers"
_NOT_OFFERED = {errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS}  # by some file systems: fsync
_REMEDIES = {
    errno.EFBIG: "Raise the limit of a file's size (ulimit -f unlimited)",
    errno.EMFILE: TOO_MANY_FILES.capitalize(),
    errno.ENFILE: TOO_MANY_FILES.capitalize(),
}


@contextmanager
def disk_errors(path: str | Path) -> Iterator[None]:
    """Turns an OSError of writing to `path` into one line; what was there before is unharmed."""
    try:
        yield
    except OSError as error:
        raise DataError(
            f"{path}: cannot be written ({error.strerror or error}); what was complete before is unchanged. "
            f"{_REMEDIES.get(error.errno, 'Make room or choose another folder')}, then run again (a training "
            "run with --resume)"
        ) from error


def write_atomically(path: str | Path, write: Callable[[IO[bytes]], None]) -> None:
    """Calls write(file) on a temporary binary file and renames it to `path` once it is on disk.

    Whatever happens, `path` holds its old content or the new one, whole. A symbolic link stays, what it
    leads to is written. Raises DataError where the folder cannot be written or the disk is full, and never
    once the new content is there. A file system that cannot set permissions or flush gives a warning at most.
    """
    path = Path(path)
    if os.path.exists(path) and not os.path.isfile(path):
        # Renaming onto /dev/null would replace the device.
        raise DataError(f"{path}: expected a file to write, found a folder or a device; choose another path")
    target = _end_of_links(path)
    prefix = f".{target.name[:40]}."  # a file system allows 255 bytes a name
    temporary = None
    with disk_errors(path):
        try:
            descriptor, temporary = tempfile.mkstemp(prefix=prefix, suffix=".tmp", dir=target.parent)
            with os.fdopen(descriptor, "wb") as file:
                write(file)
                file.flush()
                with suppress(OSError):  # CIFS and FUSE decide on permissions themselves
                    os.fchmod(file.fileno(), 0o666 & ~_UMASK)
                _flush_file(file.fileno(), path)
            os.replace(temporary, target)
            temporary = None
        finally:
            if temporary is not None:
                with suppress(OSError):
                    os.unlink(temporary)
    _flush_folder(target.parent)


def _flush_file(descriptor: int, path: Path) -> None:
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _NOT_OFFERED:
            raise
        _warn_of_power_cuts(path.parent, error)


def _flush_folder(folder: Path) -> None:
    """Makes a renaming last; it has happened, and is seen by all, without that, too."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        _warn_of_power_cuts(folder, error)


def _warn_of_power_cuts(folder: Path, error: OSError) -> None:
    console.warn_once(
        f"{folder}: files are written there, but cannot be flushed to disk ({error.strerror or error}); a "
        "power cut may take the newest"
    )


def _end_of_links(path: Path) -> Path:
    """Where a symbolic link leads in the end, be it there or not; a path that is no link itself."""
    if not os.path.islink(path):
        return path
    try:
        os.stat(path)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise DataError(
                f"{path}: expected a file to write, found a symbolic link that leads back to itself; remove "
                "it, or choose another path"
            ) from None
    return Path(os.path.realpath(path))


def remove_leftovers(folder: Path, name: str = "") -> None:
    """Removes the temporary files that killed writers of `name` (or of any file) left in a folder.

    No writer of these files may be at work.
    """
    pattern = f".{glob.escape(name)}.*.tmp" if name else ".*.tmp"
    for leftover in folder.glob(pattern):
        leftover.unlink(missing_ok=True)


def write_text(path: str | Path, text: str) -> None:
    """Writes text as UTF-8, whole or not at all.

    Bytes of a file's name that are no UTF-8 are escaped, as in JSON: \\udce9 is read back as it was.
    """
    write_atomically(path, lambda file: file.write(text.encode(errors="backslashreplace")))


def write_json(path: str | Path, value: Any) -> None:
    """Writes strict JSON (no NaN), indented, keys in the given order."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def read_json(path: str | Path, expected: str) -> Any:
    """Reads a JSON file; raises DataError naming what was `expected` there."""
    try:
        text = Path(path).read_text(encoding="utf-8")
        return json.loads(text, object_pairs_hook=_refuse_duplicate_keys)
    except OSError as error:
        near = nearest_path(path) if isinstance(error, FileNotFoundError) else ""
        raise DataError(
            f"{path}: expected {expected}, but it cannot be read ({error.strerror}){near}"
        ) from error
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: expected {expected}, found no valid JSON ({error})") from error


def _refuse_duplicate_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"key {next(key for key in keys if keys.count(key) > 1)!r} twice")
    return result


_UMASK = os.umask(0)
os.umask(_UMASK)
