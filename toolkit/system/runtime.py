"""Mixed precision and compilation of a network's blocks; its front end stays as it is."""

from __future__ import annotations

import os
import shutil

import torch
from torch import nn

COMPILERS = ("c++", "g++", "clang++")


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


def accelerate(model: nn.Module, device: torch.device, amp: bool, compile_network: bool) -> None:
    """Runs model.classify in bfloat16 where that is safe (amp), compiled, or both, from now on.

    Weights, state_dict and the classify of other networks stay as they are. bfloat16 has the exponents
    of float32, so that gradients need no scaling.
    """
    classify = model.classify
    if compile_network:
        classify = torch.compile(classify)
    if amp:
        classify = torch.autocast(device.type, dtype=torch.bfloat16)(classify)
    model.classify = classify
