#!/usr/bin/env python3
"""What TF32 and --amp do to a trained network's predictions: the largest difference, and lwlrap.

    python benchmarks/precision.py [--device cuda] [--depth 32] [--epochs 12]

A network is trained on synthetic clips, then predicts its validation clips in float32 and in each of the
others. Without a GPU's tensor cores TF32 is float32.
"""

import argparse
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]
from toolkit.system.machine import prepare_process  # noqa: E402

prepare_process()  # before torch is imported

import numpy as np  # noqa: E402
import torch  # noqa: E402
from demo_run import DemoRun  # noqa: E402

import predict_2d_cnn  # noqa: E402
from ops.logits import sigmoid  # noqa: E402
from ops.metrics import lwlrap  # noqa: E402
from toolkit.cli.training_flags import resolve_device  # noqa: E402
from toolkit.clips.loading import Clip  # noqa: E402
from toolkit.prediction.ensemble import load_networks  # noqa: E402
from toolkit.runs.clips import load_splits  # noqa: E402
from toolkit.runs.config import SubmissionConfig  # noqa: E402
from toolkit.runs.experiment import Experiment  # noqa: E402
from toolkit.system.runtime import Runtime  # noqa: E402
from toolkit.training.evaluation import Evaluator, portion_of  # noqa: E402

# Name: TF32 in convolutions, in other matrix products, --amp. The first one is what the others differ from.
PRECISIONS = {
    "float32": (False, False, False),
    "TF32 convolutions": (True, False, False),
    "TF32 everywhere": (True, True, False),
    "--amp": (True, False, True),
}


def predict(
    experiment: Experiment, clips: list[Clip], device: torch.device, precision: tuple[bool, bool, bool]
) -> np.ndarray:
    """(clips, classes) logits of fold 0's best model."""
    in_convolutions, elsewhere, amp = precision
    runtime = Runtime(device=device, amp=amp, num_workers=0)
    models = load_networks(experiment, predict_2d_cnn.NETWORKS, runtime).models
    torch.backends.cudnn.allow_tf32 = in_convolutions  # after load_networks, which chooses
    torch.backends.cuda.matmul.allow_tf32 = elsewhere
    evaluator = Evaluator(models, experiment.config.n_classes, device)
    return evaluator.score_together(portion_of(clips, 32, runtime), "benchmark").logits[0]


def table(truth: np.ndarray, logits: dict[str, np.ndarray]) -> str:
    """Markdown: how far each precision's probabilities are from the first one's, and its lwlrap."""
    lines = [
        "| precision | largest difference of a probability | of a logit | lwlrap |",
        "| --- | --- | --- | --- |",
    ]
    reference = next(iter(logits.values()))
    for name, found in logits.items():
        differences = (np.abs(of(found) - of(reference)).max() for of in (sigmoid, np.asarray))
        listed = " | ".join(f"{difference:.1e}" for difference in differences)
        lines.append(f"| {name} | {listed} | {lwlrap(truth, found):.4f} |")
    return "\n".join(lines)


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--depth", type=int, default=32, help="channels of block 0")
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--clips", type=int, default=320, help="half of them train, half are predicted")
    parser.add_argument("--seconds", type=float, default=2, help="length of the clips")
    args = parser.parse_args(argv)
    device = resolve_device(parser, args.device)
    with tempfile.TemporaryDirectory(prefix="precision_") as folder:
        run = DemoRun(Path(folder), args.clips, args.seconds, args.epochs, args.depth, 16)
        run.write_data()
        experiment = run.train(str(device), "--p_mixup=0.5")
        clips = load_splits(experiment.config.data, SubmissionConfig()).folds[0].validation
        logits = {name: predict(experiment, clips, device, how) for name, how in PRECISIONS.items()}
    print(f"{len(clips)} clips, depth {args.depth}, {args.epochs} epochs, {device}\n")
    print(table(np.stack([clip.labels for clip in clips]), logits), flush=True)


if __name__ == "__main__":
    main()
