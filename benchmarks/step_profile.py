#!/usr/bin/env python3
"""Where the time goes: of an epoch, of a training step, of a batch of inference. Tables for RESULTS.md.

    python benchmarks/step_profile.py [--device cuda] [--depth 32] [--batch_size 16] [--seconds 5] [--amp]

A fold is trained on synthetic clips in WAV files, its parts timed on the clock; then some steps on batches
of the same clips, phase by phase. Further flags (--effects=sox, --p_mixup=0) go to the training script. A GPU
works on while Python goes on: a part that waits for it (reports, validation) has its time, too, unless
--synchronize makes every part wait for its own. The last epoch on a GPU has its kernels counted.
"""

import argparse
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]
from toolkit.system.machine import prepare_process  # noqa: E402

prepare_process()  # before torch is imported

import torch  # noqa: E402
from demo_run import DemoRun  # noqa: E402
from epoch_parts import epoch_table, train_timed  # noqa: E402
from step_phases import (  # noqa: E402
    inference_phases,
    measure_phases,
    operator_table,
    phase_table,
    training_phases,
)

from toolkit.cli.training_flags import resolve_device  # noqa: E402
from toolkit.system.runtime import Runtime  # noqa: E402


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--depth", type=int, default=32, help="channels of block 0")
    parser.add_argument("--batch_size", type=int, default=16)
    parser.add_argument("--seconds", type=float, default=5, help="length of the clips and of their segments")
    parser.add_argument("--clips", type=int, default=160, help="half of them train, half validate")
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--num_workers", type=int, default=4)
    parser.add_argument("--amp", action="store_true")
    parser.add_argument("--steps", type=int, default=5, help="steps and batches profiled")
    parser.add_argument("--operators", type=int, default=12, help="rows of the tables of operators")
    parser.add_argument("--synchronize", action="store_true", help="parts of an epoch wait for the GPU")
    args, args.flags = parser.parse_known_args(argv)
    args.flags = [
        "--p_mixup=0.5",
        "--mixup=paste",
        "--p_aug=0.75",
        *args.flags,
        f"--num_workers={args.num_workers}",
    ]
    args.flags += ["--amp"] * args.amp
    args.device = resolve_device(parser, args.device)
    if args.epochs < 2:
        parser.error("--epochs: expected at least 2, since the first one starts the loaders")
    return args


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    device = args.device
    where = torch.cuda.get_device_name() if device.type == "cuda" else "CPU"
    print(f"{where}, {torch.get_num_threads()} threads, torch {torch.__version__}: ", end="")
    print(
        f"depth {args.depth}, {args.batch_size} clips of {args.seconds:g} s, {' '.join(args.flags)}",
        flush=True,
    )
    with tempfile.TemporaryDirectory(prefix="profile_") as folder:
        run = DemoRun(Path(folder), args.clips, args.seconds, args.epochs, args.depth, args.batch_size)
        run.write_data()
        experiment, intervals, busy = train_timed(run, device, args.flags, args.synchronize)
        print(f"\n{epoch_table(intervals)}", flush=True)
        if busy is not None:
            print(f"\nThe GPU was busy for {busy:.0%} of the last epoch.", flush=True)
        runtime = Runtime(device=device, amp=args.amp, num_workers=0)
        work = {
            "training step": training_phases(experiment, runtime, args.steps),
            "batch of inference": inference_phases(experiment, runtime),
        }
        for title, phases in work.items():
            measured, found = measure_phases(phases, args.steps, device)
            print(f"\n{phase_table(title, measured, device.type == 'cuda')}", flush=True)
            print(f"\n{operator_table(title, found, args.steps, args.operators)}", flush=True)


if __name__ == "__main__":
    main()
