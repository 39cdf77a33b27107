"""What a process sets before it loads torch."""

from __future__ import annotations

import ctypes
import os
import resource
import sys

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # glibc's names, malloc.h
OPEN_FILES = 4096  # wanted; loader processes pass batches by file handles


def use_utf8() -> None:
    """Starts the script anew in Python's UTF-8 mode where file names are not UTF-8 (LC_ALL=C, latin-1).

    Tables are UTF-8, and the files that they name could not be opened. Output stays in the terminal's
    encoding.
    """
    if sys.getfilesystemencoding() == "utf-8" or os.environ.get("PYTHONUTF8") == "1":
        return
    encoding = getattr(sys.stdout, "encoding", None) or "ascii"
    os.environ.setdefault("PYTHONIOENCODING", f"{encoding}:backslashreplace")
    os.environ["PYTHONUTF8"] = "1"
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])


def prepare_process() -> None:
    """Call it before torch is imported: OpenMP reads its setting when torch loads it.

    Waiting threads sleep instead of spinning: spinning threads and the loader's workers (or any other
    program) take the cores from each other. And glibc keeps freed memory: the maps of a layer serve the next
    one, instead of going back to the system page by page, which saves up to a fifth of a prediction's time
    on CPUs. RESULTS.md has both measurements. OMP_WAIT_POLICY and KEEP_FREED_MEMORY=0 in the environment
    overrule it; on other systems than glibc's the second does nothing. The limit of open files is raised
    as far as the system lets a process do that.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, OPEN_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    if sys.platform == "linux" and os.environ.get("KEEP_FREED_MEMORY") != "0":
        mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
        if mallopt is not None:
            mallopt(M_MMAP_THRESHOLD, 2**30)
            mallopt(M_TRIM_THRESHOLD, 2**31 - 1)
