"""What a GPU did, from a profile: kernels and copies, without the ranges that the profiled code named."""

from __future__ import annotations

import torch
from torch.autograd import DeviceType
from torch.autograd.profiler_util import FunctionEvent
from torch.profiler import ProfilerActivity, profile

# Calls of CUDA that give a GPU work; a graph is one, however many kernels it holds.
LAUNCHES = ("cudaLaunchKernel", "cuLaunchKernel", "cudaMemcpyAsync", "cudaMemsetAsync", "cudaGraphLaunch")


def kernels_of(found: profile) -> list[FunctionEvent]:
    return [
        event
        for event in found.events()
        if event.device_type == DeviceType.CUDA and not event.is_user_annotation
    ]


def launches_of(found: profile) -> list[FunctionEvent]:
    return [event for event in found.events() if event.name.startswith(LAUNCHES)]


def kernel_seconds(found: profile) -> float:
    return sum(event.time_range.elapsed_us() for event in kernels_of(found)) / 1e6


class KernelTime:
    """The share of an interval in which a GPU computed, of a single stream; None on a CPU."""

    def __init__(self, device: torch.device):
        self.device, self.busy, self._profile = device, None, None

    def start(self) -> None:
        if self.device.type == "cuda":
            self._profile = profile(activities=[ProfilerActivity.CUDA], acc_events=True)
            self._profile.start()

    def stop(self, seconds: float) -> None:
        if self._profile is not None:
            self._profile.stop()
            self.busy = kernel_seconds(self._profile) / seconds
