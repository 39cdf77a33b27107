"""A way is compared with the limit of the precision that it computes in."""

import torch
from peaks import limit_of


def test_convolutions_in_tf32_are_compared_with_tensor_cores():
    with torch.backends.cudnn.flags(allow_tf32=True):
        assert limit_of("NVIDIA H200", "ours") == ("TF32", 495)
        assert limit_of("NVIDIA H200", "ours --amp --compile") == ("bfloat16", 989)
    with torch.backends.cudnn.flags(allow_tf32=False):
        assert limit_of("NVIDIA H100 80GB HBM3", "plain") == ("float32", 67)
        assert limit_of("NVIDIA A100-SXM4-40GB", "plain") == ("float32", 19.5)


def test_of_an_unknown_gpu_nothing_is_claimed():
    assert limit_of("GeForce", "plain") is None
