"""What stands in for layers in exported networks computes the same."""

import torch

from networks.export import PairMaximum


def signal(*shape: int) -> torch.Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(shape[-1])) - 0.5


def test_pairs_are_pooled_as_max_pool_does():
    for shape, pool in (((2, 3, 7), torch.nn.MaxPool1d(2)), ((2, 3, 6, 9), torch.nn.MaxPool2d(2))):
        assert torch.equal(PairMaximum()(signal(*shape)), pool(signal(*shape)))
