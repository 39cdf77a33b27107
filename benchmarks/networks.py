#!/usr/bin/env python3
"""Speed of both networks: clips per second in training (forward, LSEP, backward) and inference.

    python benchmarks/networks.py [--device cuda] [--batch_size 8] [--seconds 10]

Batches of 8 clips of 10 s, depth 50, 5 blocks, growth 1.5, as the published networks were measured:
6.3 clips/s in training and 12 to 18 in inference (2D), 33 and 112 (1D), on 2 cores.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from networks.classifiers import NetworkConfig, build_classifier  # noqa: E402
from ops.audio import SAMPLE_RATE  # noqa: E402
from ops.losses import lsep_loss  # noqa: E402

NETWORKS = {"2d": "mel_2048_1024_128", "1d": "stft_256_128"}
PUBLISHED = {
    ("2d", "training"): 6.3,
    ("2d", "inference"): 18,
    ("1d", "training"): 33,
    ("1d", "inference"): 112,
}
REPEATS = 7


def median_seconds(job: Callable[[], object], device: torch.device) -> float:
    """Median of REPEATS timings after one for warming up."""
    seconds = []
    for _ in range(REPEATS + 1):
        started = time.perf_counter()
        job()
        if device.type == "cuda":
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - started)
    return statistics.median(seconds[1:])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--batch_size", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=10)
    args = parser.parse_args()
    device = torch.device(args.device)
    torch.manual_seed(0)
    signal = 0.1 * torch.randn(args.batch_size, int(args.seconds * SAMPLE_RATE), device=device)
    targets = (torch.rand(args.batch_size, 80, device=device) < 0.03).float()
    print(f"{device}, {torch.get_num_threads()} threads, torch {torch.__version__}; published: 2 CPU cores")
    for kind, features in NETWORKS.items():
        model = build_classifier(
            NetworkConfig(
                kind, features, 80, conv_base_depth=50, growth_rate=1.5, start_deep_supervision_on=1
            )
        ).to(device)

        def train(model=model) -> None:
            lsep_loss(model(signal), targets).backward()
            model.zero_grad(set_to_none=True)

        @torch.inference_mode()
        def infer(model=model) -> None:
            model(signal)

        for name, job in (("training", train), ("inference", infer)):
            model.train(name == "training")
            rate = args.batch_size / median_seconds(job, device)
            published = PUBLISHED[kind, name]
            ratio = rate / published
            print(f"{kind} {name:9}  {rate:8.1f} clips/s   published {published:5.1f}   ratio {ratio:.2f}")


if __name__ == "__main__":
    main()
