"""Files that went bad: digests kept beside tables, and the checksums inside zip archives."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import io
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import IO

from ops.errors import DataError
from toolkit.system.files import write_atomically, write_text


def verified_archive(path: str | Path, expected: str, remedy: str) -> io.BytesIO:
    """The bytes of a zip archive, each entry of which has the checksum that the archive names.

    Raises DataError, with what was `expected` and the remedy, where it cannot be read or is damaged.
    """
    try:
        content = io.BytesIO(Path(path).read_bytes())
    except OSError as error:
        raise DataError(f"{path}: expected {expected}, cannot be read ({error.strerror})") from error
    try:
        with zipfile.ZipFile(content) as archive:
            entry = archive.testzip()
        reason = f"the checksum of its part {entry!r} differs" if entry else None
    except Exception as error:  # there is hardly one that damaged bytes do not provoke in zipfile
        reason = str(error) or type(error).__name__
    if reason:
        raise DataError(f"{path}: expected {expected}, found a damaged or foreign file ({reason}); {remedy}")
    content.seek(0)
    return content


def write_with_sum(path: str | Path, write: Callable[[IO[bytes]], None]) -> None:
    """Writes a file whole or not at all, and its digest to .<name>.sum beside it.

    Killed in between, the digests there are those of the old content and of the new one.
    """
    path, content = Path(path), io.BytesIO()
    write(content)
    digests = [hashlib.sha256(content.getbuffer()).hexdigest()]
    with contextlib.suppress(OSError):
        digests.insert(0, _digest(path))
    write_text(sum_path(path), "\n".join(digests) + "\n")
    write_atomically(path, lambda file: file.write(content.getbuffer()))
    if len(digests) > 1:
        write_text(sum_path(path), f"{digests[-1]}\n")


def check_sum(path: str | Path) -> None:
    """Raises DataError where a file is not what was written there; files without a digest are not judged."""
    digests = _recorded(path)
    while digests is not None:
        try:
            found = _digest(Path(path))
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
    if not digests or any(len(digest) != 64 for digest in digests):
        raise DataError(
            f"{where}: expected the digest of {path}, found none; restore it, or remove it if that file is "
            "whole"
        )
    return digests


def _digest(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
