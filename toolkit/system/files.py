"""Files written whole or not at all: a temporary file beside the target, fsync, rename.

And files that went bad since: digests beside tables, the checksums inside zip archives.
"""

from __future__ import annotations

import errno
import fcntl
import glob
import hashlib
import io
import json
import os
import tempfile
import zipfile
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


def write_atomically(path: str | Path, write: Callable[[IO[bytes]], None], flush: bool = True) -> None:
    """Calls write(file) on a temporary binary file and renames it to `path` once it is on disk.

    Without `flush` only once it is written: quicker, but after a power cut `path` may hold anything.

    Whatever happens, `path` holds its old content or the new one, whole. A symbolic link stays, what it
    leads to is written. What killed writers of the same file left beside it goes. Raises DataError where the
    folder cannot be written or the disk is full, and never once the new content is there. A file system that
    cannot set permissions or flush gives a warning at most.
    """
    path = Path(path)
    if os.path.exists(path) and not os.path.isfile(path):
        # Renaming onto /dev/null would replace the device.
        raise DataError(f"{path}: expected a file to write, found a folder or a device; choose another path")
    target = _end_of_links(path)
    temporary = None
    with disk_errors(path):
        try:
            remove_leftovers(target.parent, target.name)
            descriptor, temporary = _new_temporary(target)
            with os.fdopen(descriptor, "wb") as file:
                write(file)
                file.flush()
                with suppress(OSError):  # CIFS and FUSE decide on permissions themselves
                    os.fchmod(file.fileno(), 0o666 & ~_UMASK)
                if flush:
                    _flush_file(file.fileno(), path)
                os.replace(temporary, target)  # its lock holds until it has its name
            temporary = None
        finally:
            if temporary is not None:
                with suppress(OSError):
                    os.unlink(temporary)
    if flush:
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

    Those of writers at work stay: they hold the lock of their file, which ends with them.
    """
    pattern = f"{glob.escape(_prefix(name))}*.tmp" if name else ".*.tmp"
    for leftover in folder.glob(pattern):
        with suppress(OSError):  # locked, gone, or on a disk without locks
            descriptor = os.open(leftover, os.O_RDWR | os.O_NOFOLLOW)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                leftover.unlink()
            finally:
                os.close(descriptor)


def _prefix(name: str) -> str:
    return f".{name[:40]}."  # a file system allows 255 bytes a name


def _new_temporary(target: Path) -> tuple[int, str]:
    """An open file beside the target, locked, so that no other writer takes it for a leftover."""
    while True:
        descriptor, path = tempfile.mkstemp(prefix=_prefix(target.name), suffix=".tmp", dir=target.parent)
        with suppress(OSError):  # a disk without locks
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        if os.path.exists(path):
            return descriptor, path
        os.close(descriptor)  # removed before it was locked


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
        return json.loads(text, object_pairs_hook=_refuse_duplicate_keys, parse_constant=_refuse_constant)
    except OSError as error:
        near = nearest_path(path) if isinstance(error, FileNotFoundError) else ""
        raise DataError(
            f"{path}: expected {expected}, but it cannot be read ({error.strerror}){near}"
        ) from error
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: expected {expected}, found no valid JSON ({error})") from error


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name}, which JSON has not")


def _refuse_duplicate_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"key {next(key for key in keys if keys.count(key) > 1)!r} twice")
    return result


def write_with_sum(path: str | Path, write: Callable[[IO[bytes]], None]) -> None:
    """Writes a file whole or not at all, and its digest to .<name>.sum beside it.

    Killed in between, the digests there are those of the old content and of the new one.
    """
    path, content = Path(path), io.BytesIO()
    write(content)
    digests = [hashlib.sha256(content.getbuffer()).hexdigest()]
    with suppress(OSError):
        digests.insert(0, file_digest(path))
    write_text(sum_path(path), "\n".join(digests) + "\n")
    write_atomically(path, lambda file: file.write(content.getbuffer()))
    if len(digests) > 1:
        write_text(sum_path(path), f"{digests[-1]}\n")


def check_sum(path: str | Path) -> None:
    """Raises DataError where a file is not what was written there; files without a digest are not judged."""
    digests = _recorded(path)
    while digests is not None:
        try:
            found = file_digest(Path(path))
        except OSError as error:
            raise DataError(
                f"{path}: expected the file that was written there, but it cannot be read "
                f"({error.strerror}); restore it"
            ) from error
        if found in digests:
            return
        again = _recorded(path)
        if again == digests:  # not only rewritten meanwhile
            raise DataError(
                f"{path}: expected the content that was written there, found another: it was cut short, "
                f"damaged or edited; restore it (or remove {sum_path(path)} if the change is meant)"
            )
        digests = again


def was_written(path: str | Path) -> bool:
    """Whether a file is there, or its digest alone, which check_sum then tells."""
    return Path(path).exists() or sum_path(path).exists()


def remove_with_sum(path: str | Path) -> None:
    """Removes a file and its digest, where they are there."""
    Path(path).unlink(missing_ok=True)
    sum_path(path).unlink(missing_ok=True)


def sum_path(path: str | Path) -> Path:
    """Where the digest of a file stands."""
    return Path(path).with_name(f".{Path(path).name}.sum")


def _recorded(path: str | Path) -> list[str] | None:
    """The digests that a file may have; None where it has none recorded."""
    where = sum_path(path)
    try:
        digests = where.read_text(encoding="ascii").split()
    except FileNotFoundError:
        return None
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:  # the name with its ending is too long: nothing can be there
            return None
        raise DataError(
            f"{where}: expected the digest of {path}, cannot be read ({error.strerror})"
        ) from error
    except UnicodeDecodeError:
        digests = []
    except ValueError:  # no path at all
        return None
    if not digests or any(len(digest) != 64 for digest in digests):
        raise DataError(
            f"{where}: expected the digest of {path}, found none; restore it, or remove it if that file is "
            "whole"
        )
    return digests


def file_digest(path: Path) -> str:
    """SHA-256 of a file's content, 64 hex digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def verified_archive(path: str | Path, expected: str, remedy: str) -> io.BytesIO:
    """A zip archive of the entries of the one at `path`, each compared with its checksum.

    It is packed anew, since readers differ in what they make of damaged headers (torch's gives arbitrary
    memory for an entry that is marked as a folder). Raises DataError, with what was `expected` and the
    remedy, where the archive cannot be read or is damaged.
    """
    sound = io.BytesIO()
    try:
        with open(path, "rb") as file, zipfile.ZipFile(file) as archive, zipfile.ZipFile(sound, "w") as copy:
            for entry in archive.infolist():
                copy.writestr(entry.filename, archive.read(entry))
    except FileNotFoundError as error:
        raise DataError(f"{path}: expected {expected}, cannot be read ({error.strerror})") from error
    except Exception as error:  # there is hardly one that damaged bytes do not provoke in zipfile
        reason = " ".join(str(error).split()) or type(error).__name__
        raise DataError(
            f"{path}: expected {expected}, found a damaged or foreign file ({reason}); {remedy}"
        ) from error
    sound.seek(0)
    return sound


_UMASK = os.umask(0)
os.umask(_UMASK)
