"""What GPUs can do at most, to compare with: dense matrix products, as the makers' data sheets have them."""

from __future__ import annotations

from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Peaks:
    """In TFLOP/s. float32 is without tensor cores; TF32 is what they make of float32, rounded to 10 bits."""

    bfloat16: float
    tf32: float
    float32: float


# By part of the GPU's name; H100 and H200 as SXM modules.
PEAKS = {
    "H200": Peaks(989, 495, 67),
    "H100": Peaks(989, 495, 67),
    "A100": Peaks(312, 156, 19.5),
    "L4": Peaks(121, 60, 30),
}


def limit_of(gpu: str, way: str) -> tuple[str, float] | None:
    """Precision of a way's convolutions and the GPU's limit in it, TFLOP/s; None of an unknown GPU."""
    peaks = next((peaks for part, peaks in PEAKS.items() if part in gpu), None)
    if peaks is None:
        return None
    if "--amp" in way:
        return "bfloat16", peaks.bfloat16
    return ("TF32", peaks.tf32) if torch.backends.cudnn.allow_tf32 else ("float32", peaks.float32)


def of_limit(way: str, flops_per_second: float) -> str:
    """What share of this GPU's limit that is."""
    limit = limit_of(torch.cuda.get_device_name(), way)
    if limit is None:
        return ""
    precision, teraflops = limit
    return f" ({flops_per_second / 1e12 / teraflops:.0%} of {teraflops:g}, {precision})"
