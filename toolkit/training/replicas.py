"""A network and its copies on the other processes: the same weights, one gradient, each its own clips."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.parallel import DistributedDataParallel

from toolkit.system import processes


def replicate(model: nn.Module) -> nn.Module:
    """The network to call in training: its gradients are averaged over processes; alone, the model itself.

    On GPUs its batch norms (replaced in place, same weights) take their statistics over all processes;
    on CPUs, where torch has no such layer, each process normalises by its own share of the batch.
    """
    if processes.world_size() == 1:
        return model
    if next(model.parameters()).is_cuda:
        model = nn.SyncBatchNorm.convert_sync_batchnorm(model)
    return DistributedDataParallel(model, broadcast_buffers=False, gradient_as_bucket_view=True)


@contextmanager
def training_batch(network: nn.Module, model: nn.Module, n_clips: int, ends_group: bool) -> Iterator[None]:
    """Around forward and backward of a batch of n_clips over all processes.

    Gradients stay on each process until ends_group. With fewer clips than processes batch norms use
    their running statistics, as the networks do with a single clip: some processes have no clip.
    """
    if network is model:
        yield
        return
    with ExitStack() as stack:
        each = n_clips // processes.world_size()
        if each < 2:  # running statistics come into play
            share_statistics(model)
        if each == 0:
            stack.enter_context(_fixed_norms(model))
        if not ends_group:
            stack.enter_context(network.no_sync())
        yield


def share_statistics(model: nn.Module) -> None:
    """Gives all processes the running statistics of rank 0, which are those that it saves."""
    norms = [module for module in model.modules() if isinstance(module, _BatchNorm)]
    processes.broadcast([buffer for norm in norms for buffer in norm.buffers()])


def share_weights(model: nn.Module) -> None:
    """Gives all processes the weights and statistics of rank 0."""
    processes.broadcast([weight.detach() for weight in model.parameters()])
    share_statistics(model)


@contextmanager
def _fixed_norms(model: nn.Module) -> Iterator[None]:
    training = [module for module in model.modules() if isinstance(module, _BatchNorm) and module.training]
    for norm in training:
        norm.eval()
    yield
    for norm in training:
        norm.train()
