"""Locks on files, which end with the process that holds them, however it ends."""

from __future__ import annotations

import errno
import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from ops.errors import DataError
from toolkit.system import console
from toolkit.system.files import disk_errors

# What flock gives on network file systems without a lock service, and where it is no part of the system.
UNSUPPORTED = {errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS, errno.EINVAL}
POLL_SECONDS = 0.01

_open_locks: set[IO[str]] = set()


@contextmanager
def lock_file(path: Path) -> Iterator[IO[str]]:
    """An open file to lock, see take_lock."""
    with disk_errors(path):
        file = open(path, "a")  # noqa: SIM115
    _open_locks.add(file)
    try:
        yield file
    finally:
        _open_locks.discard(file)
        file.close()


def take_lock(file: IO[str] | int, path: str | Path, patience: float = 0.0) -> bool:
    """Locks an open file; False where another process holds the lock for longer than patience seconds.

    A file system without locks gives a warning, once, and counts as locked.
    """
    deadline = time.monotonic() + patience
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            if time.monotonic() >= deadline:
                return False
        except OSError as error:
            if error.errno not in UNSUPPORTED:
                raise DataError(
                    f"{path}: cannot be locked ({error.strerror}); choose another folder"
                ) from error
            console.warn_once(
                f"{Path(path).parent}: its file system has no locks ({error.strerror}); start no two "
                "processes there that write the same files"
            )
            return True
        time.sleep(POLL_SECONDS)


def _drop_inherited_locks() -> None:
    """A forked loader worker that outlives a killed run must not keep its locks."""
    for file in _open_locks:
        os.close(file.fileno())
    _open_locks.clear()


os.register_at_fork(after_in_child=_drop_inherited_locks)
