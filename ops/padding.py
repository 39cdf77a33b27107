"""Tensors made larger by zeros at the end of each axis, and cut to what they were."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn


def resized(tensor: Tensor, shape: Sequence[int]) -> Tensor:
    """The tensor cut at the end of each axis, or padded with zeros there, to `shape` (as many axes).

    A tensor that has the shape is returned as it is; any other result is new and contiguous.
    """
    if tensor.shape == tuple(shape):
        return tensor
    missing = [wanted - here for wanted, here in zip(shape, tensor.shape, strict=True)]
    return nn.functional.pad(tensor, [side for n in reversed(missing) for side in (0, n)]).contiguous()
