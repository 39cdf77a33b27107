#!/usr/bin/env python3
"""Hours, memory, disk and network for whole data sets on 1, 8 and 64 GPUs, from throughputs.

    python benchmarks/scaling.py [--train_rate 2300 --core_rate 377 ...] [--gpus 1 8 64]

Arithmetic, nothing is run. The formulas are the functions below; docs/scaling.md says where each default
comes from. Rates are of clips of 10 s; shorter ones cost in proportion.
"""

import argparse
from dataclasses import dataclass

WAV_BYTES = 88_200  # a second of 16-bit mono at 44.1 kHz
CSV_BYTES = 19.3  # a cell of a predictions table
CLIP_BYTES = 480  # of a clip's row in memory, without labels
MODELS = 5  # folds that predict together
GIB, GB = 2**30, 1e9


@dataclass(frozen=True)
class DataSet:
    clips: int
    hours: float
    classes: int

    @property
    def seconds(self) -> float:
        """Mean length of a clip."""
        return 3600 * self.hours / self.clips

    @property
    def bytes(self) -> float:
        """As WAV files."""
        return 3600 * self.hours * WAV_BYTES


DATA_SETS = {
    "FSDKaggle2019": DataSet(4_970 + 19_815, 10.5 + 80, 80),
    "FSD50K": DataSet(51_197, 108.3, 200),
    "AudioSet": DataSet(2_084_320, 5_790, 527),
}


def training_hours(data: DataSet, n: int, a: argparse.Namespace) -> dict[str, float]:
    """Hours of one fold of a.folds on n GPUs, by what they are spent on.

    GPU, cores and disk work side by side; gradients, scores and metric are counted on top of them.
    """
    seconds = min(data.seconds, a.max_audio_length)
    segments = a.epochs * data.clips * (1 - 1 / a.folds)
    validated = a.epochs * data.clips / a.folds
    nodes = -(-n // a.gpus_per_node)
    steps = segments / (a.batch_size * n)
    gradient = 2 * (n - 1) / n * 4 * a.parameters  # a ring's all-reduce sends so many bytes a process
    link = a.link if nodes == 1 else a.network / min(n, a.gpus_per_node)
    # MixUp reads a second clip for half of them.
    read = (1.5 * segments * seconds + validated * data.seconds) / a.epochs * WAV_BYTES
    passes = a.epochs if data.bytes > a.cache * GB else 1  # what fits is read once
    scores = validated * data.classes * 4 * (n - 1) / n  # bytes to each process
    spent = {
        "GPU": (segments * seconds / a.train_rate + validated * data.seconds / a.predict_rate) / 10 / n,
        "cores": (segments * seconds + validated * data.seconds) / 10 / (a.core_rate * a.cores * n),
        "disk": passes * read / (a.disk * GB * nodes),
        "gradients": steps * gradient / (link * GB),
        "scores": scores * min(n, a.gpus_per_node) / (min(a.network, a.gloo) * GB) if n > 1 else 0.0,
        "metric": validated * data.classes / (a.metric_rate * n),
    }
    return {name: seconds / 3600 for name, seconds in spent.items()}


def in_all(spent: dict[str, float]) -> float:
    side_by_side = ("GPU", "cores", "disk")
    return max(spent[name] for name in side_by_side) + sum(
        hours for name, hours in spent.items() if name not in side_by_side
    )


def prediction_hours(data: DataSet, n: int, a: argparse.Namespace) -> dict[str, float]:
    """Hours of scoring every clip with MODELS networks, by what they are spent on; then one table."""
    tens = data.clips * data.seconds / 10
    nodes = -(-n // a.gpus_per_node)
    spent = {
        "GPU": tens * MODELS / (a.predict_rate * n),
        "cores": tens / (a.core_rate * a.cores * n),
        "disk": data.bytes / (a.disk * GB * nodes),
        "table": data.clips * data.classes / a.table_rate,
    }
    return {name: seconds / 3600 for name, seconds in spent.items()}


def gpu_memory(a: argparse.Namespace) -> float:
    """GiB: weights, gradients and three states of Adam with AMSGrad; activations of the batch."""
    return 5 * 4 * a.parameters / GIB + a.batch_size * a.activations / 1024


def node_memory(data: DataSet, n: int, a: argparse.Namespace) -> float:
    """GiB of a node: every process has all rows with their labels, and the scores of validation."""
    rows = data.clips * (CLIP_BYTES + 4 * data.classes)
    scores = 3 * data.clips / a.folds * data.classes * 4  # own part, what is gathered, and all in order
    return min(n, a.gpus_per_node) * (rows + scores) / GIB


def prediction_memory(data: DataSet) -> float:
    """GiB of rank 0 as it joins the shards: all logits, twice, their probabilities, means and table."""
    return data.clips * data.classes * (2 * 4 * MODELS + 8 * MODELS + 3 * 8) / GIB


def report(data: DataSet, n: int, a: argparse.Namespace) -> list[str]:
    training, prediction = training_hours(data, n, a), prediction_hours(data, n, a)
    return [
        str(n),
        f"{in_all(training):.3g}",
        max(training, key=training.get),
        f"{training['GPU'] / in_all(training):.0%}",
        f"{in_all(prediction):.3g}",
        max(prediction, key=prediction.get),
        f"{gpu_memory(a):.0f}",
        f"{node_memory(data, n, a):.1f}",
        f"{prediction_memory(data):.1f}",
        f"{data.bytes / GB:.0f}",
        f"{data.clips * data.classes * CSV_BYTES / GB:.2f}",
    ]


HEADINGS = (
    "GPUs, training h, most of it, GPU busy, prediction h, most of it, GPU GiB, node GiB, rank 0 GiB, "
    "clips GB, table GB"
).split(", ")


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__.split("\n")[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    flags = {
        "train_rate": (2300, "clips/s a GPU trains on"),
        "predict_rate": (6900, "clips/s one network on a GPU scores"),
        "core_rate": (377, "clips/s a core decodes and augments"),
        "cores": (14, "cores per GPU that load clips"),
        "disk": (2, "GB/s that a node reads"),
        "cache": (500, "GB of a node's memory that hold clips once read"),
        "link": (200, "GB/s between two GPUs of a node"),
        "network": (25, "GB/s of a node to the others"),
        "gloo": (1, "GB/s of a node for what goes over TCP"),
        "metric_rate": (2.9e6, "(clip, class) pairs/s that a process ranks"),
        "table_rate": (0.91e6, "cells/s written as CSV"),
        "parameters": (9.25e6, "of the network"),
        "activations": (159, "MiB a training clip keeps until backward"),
        "max_audio_length": (10, "seconds of a training segment"),
    }
    for name, (value, what) in flags.items():
        parser.add_argument(f"--{name}", type=float, default=value, help=what)
    counts = {
        "batch_size": (64, "clips per GPU"),
        "gpus_per_node": (8, "GPUs of a machine"),
        "epochs": (100, "passes over the training clips"),
        "folds": (5, "folds, of which one is trained"),
    }
    for name, (value, what) in counts.items():
        parser.add_argument(f"--{name}", type=int, default=value, help=what)
    parser.add_argument("--gpus", type=int, nargs="+", default=[1, 8, 64], help="columns of the table")
    parser.add_argument("--data_sets", nargs="+", choices=list(DATA_SETS), default=list(DATA_SETS))
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    for name in args.data_sets:
        data = DATA_SETS[name]
        print(
            f"{name}: {data.clips:,} clips, {data.hours:,.0f} h, {data.classes} classes; {args.epochs} epochs"
        )
        rows = [HEADINGS, *(report(data, n, args) for n in args.gpus)]
        widths = [max(len(row[column]) for row in rows) for column in range(len(HEADINGS))]
        for row in rows:
            print("  " + "  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)))
        for n in args.gpus:
            parts = ", ".join(f"{what} {hours:.3g}" for what, hours in training_hours(data, n, args).items())
            print(f"  {n} GPUs, hours of training by what they go to: {parts}")


if __name__ == "__main__":
    main()
