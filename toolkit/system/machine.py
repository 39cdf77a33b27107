"""What a process sets before it loads torch: how waiting threads wait, and what becomes of freed memory."""

from __future__ import annotations

import ctypes
import os
import sys

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # glibc's names, malloc.h


def prepare_process() -> None:
    """Call it before torch is imported: OpenMP reads its setting when torch loads it.

    Waiting threads sleep instead of spinning: spinning threads and the loader's workers (or any other
    program) take the cores from each other. And glibc keeps freed memory: the maps of a layer serve the next
    one, instead of going back to the system page by page, which saves up to a fifth of a prediction's time
    on CPUs. RESULTS.md has both measurements. OMP_WAIT_POLICY and KEEP_FREED_MEMORY=0 in the environment
    overrule it; on other systems than glibc's the second does nothing.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    if sys.platform == "linux" and os.environ.get("KEEP_FREED_MEMORY") != "0":
        mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
        if mallopt is not None:
            mallopt(M_MMAP_THRESHOLD, 2**30)
            mallopt(M_TRIM_THRESHOLD, 2**31 - 1)
