"""The networks: tensors in, logits out; no optimizer, device, file or loss inside."""

import os

# Before torch loads OpenMP: threads that wait shall sleep, not spin. Spinning threads and the loader's
# workers (or any other program) take the cores from each other: RESULTS.md has the measurement.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
