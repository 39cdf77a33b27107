"""The networks: tensors in, logits out; no optimizer, device, file or loss inside."""

import ctypes
import os
import sys

# Before torch loads OpenMP: threads that wait shall sleep, not spin. Spinning threads and the loader's
# workers (or any other program) take the cores from each other: RESULTS.md has the measurement.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # glibc's names, malloc.h


def _keep_freed_memory() -> None:
    """Freed maps of a layer serve the next one, instead of going back to the system page by page.

    On CPUs this saves up to a fifth of a prediction's time, see RESULTS.md. Nothing happens on other
    systems than glibc's, nor with KEEP_FREED_MEMORY=0 in the environment.
    """
    if sys.platform == "linux" and os.environ.get("KEEP_FREED_MEMORY") != "0":
        mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
        if mallopt is not None:
            mallopt(M_MMAP_THRESHOLD, 2**30)
            mallopt(M_TRIM_THRESHOLD, 2**31 - 1)


_keep_freed_memory()
