"""Numbers that were drawn or computed in NumPy, on the device."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor


def on_device(device: torch.device, *arrays: np.ndarray) -> list[Tensor]:
    """The arrays as tensors of their shapes and types, by one copy that nobody waits for.

    Those of larger items come first, since a tensor begins at a multiple of its items' size, at most 8 bytes.
    """
    arrays = [np.ascontiguousarray(array) for array in arrays]
    starts = np.cumsum([0, *(array.nbytes for array in arrays)])
    packed = bytearray(starts[-1] + -starts[-1] % 8)
    packed[: starts[-1]] = b"".join(array.data for array in arrays)
    packed = torch.frombuffer(packed, dtype=torch.uint8)
    if device.type == "cuda":
        packed = packed.pin_memory()  # else the driver waits where there are more than 64 KB
    packed = packed.to(device, non_blocking=True)
    typed = {dtype: packed.view(getattr(torch, dtype.name)) for dtype in {array.dtype for array in arrays}}
    tensors = []
    for array, start in zip(arrays, starts, strict=False):
        places = [n // array.itemsize for n in (*array.strides, start)]
        tensors.append(typed[array.dtype].as_strided(array.shape, places[:-1], places[-1]))
    return tensors
