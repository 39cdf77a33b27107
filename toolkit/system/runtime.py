"""Where and how a process computes: device, loader processes, mixed precision, compilation."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from toolkit.system.options import WAVEFORM_KINDS, option

COMPILERS = ("c++", "g++", "clang++")
CUFFT_PLANS = 128  # effects transform batches of many sizes; torch would keep 4,096 plans and their memory


@dataclass(frozen=True, kw_only=True)
class Runtime:
    """What a run computes with and what it reports; none of it but amp, compile and graphs changes results.

    device: of the network. parallel: what the processes of torchrun share. cache: what clips are read by, a
    toolkit.clips.cache.ClipCache or, instead of waveforms, toolkit.training.embeddings.Embeddings; its flag
    names the folder.
    """

    device: torch.device
    num_workers: int = option(
        "processes that load clips (per process under torchrun); 0: the main one does", 4, low=0
    )
    amp: bool = option(
        "compute in bfloat16 where that is safe; front end, heads and loss stay float32",
        False,
        kinds=WAVEFORM_KINDS,
    )
    compile: bool = option(
        "torch.compile: a minute or two to begin with, then faster; needs a C++ compiler",
        False,
        kinds=WAVEFORM_KINDS,
    )
    graphs: bool = option(
        "training passes as CUDA graphs, for small networks on a GPU; batches are padded to few lengths, "
        "which changes results a little",
        False,
        kinds=WAVEFORM_KINDS,
    )
    cache: Any = option(
        "keep clips decoded, or embeddings, in this folder, for all runs and epochs; /dev/shm/NAME: memory",
        None,
    )
    log_interval: int = option("batches between reports", 10, low=1)
    save_every: int | None = option(
        "keep the model of every N-th epoch, too; without it the best, the last and the final one are kept",
        None,
        low=1,
    )
    parallel: str = option(
        "torchrun: processes share each fold's batches, or the folds, and then GPUs",
        "batches",
        choices=("batches", "folds"),
    )

    @property
    def pin_memory(self) -> bool:
        return self.device.type == "cuda"


def missing_compiler() -> str | None:
    """What torch.compile lacks on this machine and how to get it; None where it is ready."""
    named = os.environ.get("CXX")
    if any(shutil.which(name) for name in ([named] if named else COMPILERS)):
        return None
    wanted = named or f"none of {', '.join(COMPILERS)}"
    return (
        f"--compile needs a C++ compiler, and {wanted} is not on the PATH; "
        "install one (Debian: apt-get install g++) or leave --compile out"
    )


def accelerate(model: nn.Module, runtime: Runtime) -> None:
    """Runs model.classify in bfloat16 where that is safe (amp), compiled, or both, from now on.

    The state_dict and the classify of other networks stay as they are. bfloat16 has the exponents
    of float32, so that gradients need no scaling. On a GPU the network's channels are padded, and
    convolutions round their factors to TF32 (10 binary places) where the card has it, which is torch's
    default, too; matrix products, the mel filters and heads among them, stay float32.
    """
    if runtime.device.type == "cuda":
        torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32 = True, False
        index = torch.cuda.current_device() if runtime.device.index is None else runtime.device.index
        torch.backends.cuda.cufft_plan_cache[index].max_size = CUFFT_PLANS
        model.pad_channels()
    classify = model.classify
    if runtime.compile:
        classify = torch.compile(classify)
    if runtime.amp:
        classify = torch.autocast(runtime.device.type, dtype=torch.bfloat16)(classify)
    model.classify = classify
    if runtime.graphs:
        model.record_training(torch.bfloat16 if runtime.amp else None)


@contextmanager
def unaccelerated(model: nn.Module) -> Iterator[None]:
    """Within it the network computes as it would without accelerate: not in bfloat16, not compiled."""
    accelerated = vars(model).pop("classify", None)
    try:
        yield
    finally:
        if accelerated is not None:
            model.classify = accelerated
