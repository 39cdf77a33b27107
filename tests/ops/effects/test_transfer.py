"""Arrays brought to the device together."""

import numpy as np
import torch

from ops.effects.transfer import on_device


def test_arrays_arrive_as_they_are():
    arrays = [
        np.arange(-3, 3).reshape(2, 3)[:, ::2],
        np.array([[1 + 2j, 3j]], dtype=np.complex64),
        np.array([2**30], dtype=np.int32)[:, None],
        np.float32([0.1, 0.2, 0.3]),
    ]
    found = on_device(torch.device("cpu"), *arrays)
    for tensor, array in zip(found, arrays, strict=True):
        assert tensor.dtype == torch.from_numpy(array).dtype and tensor.shape == array.shape
        np.testing.assert_array_equal(tensor, array)
