#!/usr/bin/env python3
"""The published author's claims, measured again on real recordings: each choice against its alternative.

    python benchmarks/claims.py --data_script PATH/make_fsd_layout.py --work_dir /tmp/claims \\
        --source digits --rotations 1 2 3 4 --seeds 0 1 2 3 4 --interval 0.01 --processes 2

Every claim is two sets of flags on the same curated clips with the same number of epochs, paired by
rotation and seed: the mean difference in test lwlrap, a sentence, and the pairs that would tell it to 0.01.
A claim ends early once its interval is as narrow as --interval. Results stay in --work_dir under their
settings, and claims.csv there has the table: stopped or killed, the same command goes on where it was.
Effects by SoX need its binary.
"""

import argparse
import contextlib
import math
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from multiprocessing import get_context
from pathlib import Path
from unittest import mock

import numpy as np
import pandas as pd
from scipy import stats

sys.path[:0] = [str(Path(__file__).resolve().parent)]
from real_runs import (  # noqa: E402
    Layout,
    Run,
    add_arguments,
    make_layout,
    spelled,
    test_scores,
    train,
    training_flags,
)

from ops import transforms  # noqa: E402
from ops.transforms import MIX_WEIGHTS, Sample  # noqa: E402
from toolkit.cli.parser import print_table  # noqa: E402
from toolkit.clips.tables import write_table  # noqa: E402

CONFIDENCE = 0.95
WANTED = 0.01  # half the width of an interval that tells something
MIN_PAIRS = 4  # before an interval is believed
NO_HELP = 0.005  # a gain that is certain to be smaller counts as none


def weighted_mixup(first: Sample, second: Sample, rng: np.random.Generator, mixup: str) -> Sample:
    """MixUp with labels weighted as the audio is, Zhang et al. 2018, arXiv:1710.09412; for bce alone."""
    a = rng.uniform(*MIX_WEIGHTS)
    offset = int(rng.integers(abs(len(first.audio) - len(second.audio)) + 1))
    of_first = a if len(first.audio) >= len(second.audio) else 1 - a
    labels = (of_first * first.labels + (1 - of_first) * second.labels).astype(np.float32)
    return replace(first, audio=transforms.mix(first.audio, second.audio, a, offset, mixup), labels=labels)


MIXUPS = {"weighted": weighted_mixup}


@dataclass(frozen=True)
class Side:
    """Flags that differ from the benchmark's own, and what stands in for OR-MixUp in this process."""

    flags: dict = field(default_factory=dict)
    mixup: str | None = None


@dataclass(frozen=True)
class Claim:
    """`choice` is claimed to score higher than `other`, by a figure where one was given; or not to help."""

    name: str
    choice: Side
    other: Side
    by: float | None = None
    helps: bool = True


BASE = Side()
BCE = {"loss": "bce"}
ADDED = {**BCE, "mixup": "add"}  # weights of labels are weights in the sum
CLAIMS = {
    "lsep_bce": Claim("LSEP against BCE", BASE, Side(BCE), 0.015),
    "lsep_focal": Claim("LSEP against focal loss", BASE, Side({"loss": "focal"}), 0.015),
    "frequency": Claim("frequency encoding against none", BASE, Side({"no_frequency_encoding": True}), 0.005),
    "mixup": Claim("OR-MixUp against none", BASE, Side({"p_mixup": 0})),
    "mixup_paste": Claim("OR-MixUp by pasting against adding", BASE, Side({"mixup": "add"})),
    "mixup_weighted": Claim(
        "OR-MixUp against weighted, both BCE", Side(ADDED), Side(ADDED, mixup="weighted")
    ),
    "effects": Claim("effects on top of OR-MixUp", Side({"p_aug": 0.75}), BASE),
    "mixup_effects": Claim(
        "OR-MixUp and effects together", Side({"p_aug": 0.75}), Side({"p_mixup": 0}), 0.05
    ),
    "supervision": Claim(
        "deep supervision from block 1 against the last", BASE, Side({"start_deep_supervision_on": 3})
    ),
    "rnn": Claim("max against rnn", BASE, Side({"aggregation_type": "rnn"})),
    "shuffling": Claim("chunk shuffling against none", Side({"p_shuffle": 0.5}), BASE, helps=False),
    "silencing": Claim("silencing a quarter against none", Side({"p_silence": 0.5}), BASE, helps=False),
}


@contextlib.contextmanager
def mixing_by(name: str | None) -> Iterator[None]:
    """Puts another MixUp in the place of OR-MixUp; loader workers are forked and inherit it.

    Samples are then mixed as they are read: the draws for the device know OR-MixUp alone.
    """
    with contextlib.ExitStack() as stack:
        if name:
            stack.enter_context(mock.patch.object(transforms, "or_mixup", MIXUPS[name]))
            stack.enter_context(mock.patch.object(transforms.Augmentation, "can_draw_ahead", False))
        yield


def work(args: argparse.Namespace, side: Side, layout: Layout, seed: int) -> dict | None:
    """The result of a side's run, from disk or trained now; None where it may not be trained."""
    flags = {**training_flags(args, seed, args.curated_epochs), **side.flags}
    run = Run.of(args, f"claims-seed_{seed}", layout, [flags, side.mixup])
    if args.report_only and run.result() is None:
        return None

    def job() -> dict:
        with mixing_by(side.mixup):
            return test_scores(layout, train([*layout.flags(), *spelled(flags)], run.folder / "experiments"))

    return run.work(job)


def interval(differences: np.ndarray) -> tuple[float, float]:
    """Mean of paired differences and half the width of its interval: Student's t, two-sided; NaN of one."""
    n = len(differences)
    if n < 2:
        return float(differences.mean()), math.nan
    return float(differences.mean()), float(
        stats.t.ppf((1 + CONFIDENCE) / 2, n - 1) * differences.std(ddof=1) / math.sqrt(n)
    )


def pairs_needed(differences: np.ndarray, margin: float = WANTED) -> int | None:
    """Pairs whose interval would be so narrow, by the spread of these; None where one has no spread."""
    if len(differences) < 2:
        return None
    quantile = stats.norm.ppf((1 + CONFIDENCE) / 2)
    return max(2, math.ceil((quantile * differences.std(ddof=1) / margin) ** 2))


def verdict(differences: np.ndarray, claim: Claim) -> str:
    """A sentence on paired differences of test lwlrap."""
    if len(differences) < 2:
        return "cannot be told from noise: one pair has no spread"
    mean, margin = interval(differences)
    found = f"{mean:+.3f} +- {margin:.3f}"
    if not claim.helps:
        if mean - margin > 0:
            return f"does not hold here: it helps, {found}"
        holds = mean + margin < NO_HELP
        return f"holds here: no help, {found}" if holds else f"cannot be told from noise: {found}"
    if abs(mean) <= margin:
        return f"cannot be told from noise: {found}"
    if mean < 0:
        return f"does not hold here: {found}"
    short = claim.by is not None and mean + margin < claim.by
    return f"holds here{', but by less' if short else ''}: {found}"


def measure(args: argparse.Namespace, name: str, pool: ProcessPoolExecutor | None) -> np.ndarray:
    """(pairs, 2) test lwlrap of a claim's sides; of as many pairs as its interval takes."""
    claim, pairs = CLAIMS[name], []
    todo = [(rotation, seed) for seed in args.seeds for rotation in args.rotations]
    at_once = max(1, args.processes // 2)
    for start in range(0, len(todo), at_once):
        if len(pairs) >= MIN_PAIRS:
            differences = np.subtract(*np.transpose(pairs))
            if interval(differences)[1] <= args.interval:
                break
        layouts = [
            (make_layout(args, rotation, 0.4), seed) for rotation, seed in todo[start : start + at_once]
        ]
        sides = [(layout, seed, side) for layout, seed in layouts for side in (claim.choice, claim.other)]
        if pool is None:
            found = [work(args, side, layout, seed) for layout, seed, side in sides]
        else:
            runs = [pool.submit(work, args, side, layout, seed) for layout, seed, side in sides]
            found = [run.result() for run in runs]
        for (layout, seed), choice, other in zip(layouts, found[::2], found[1::2], strict=True):
            if choice is not None and other is not None:
                pairs.append((choice["lwlrap"], other["lwlrap"]))
                print(f"{layout.name} seed {seed} {name}: {pairs[-1][0]:.4f} {pairs[-1][1]:.4f}", flush=True)
    return np.array(pairs).reshape(-1, 2)


def row_of(claim: Claim, scores: np.ndarray) -> dict[str, object]:
    """A claim's row of the table."""
    differences = scores[:, 0] - scores[:, 1]
    spread = scores.std(axis=0, ddof=1) if len(scores) > 1 else [math.nan, math.nan]
    return {
        "claim": claim.name,
        "claimed": f"{claim.by:+g}" if claim.by else "helps" if claim.helps else "no help",
        "with": f"{scores[:, 0].mean():.3f}",
        "spread": f"{spread[0]:.3f}",
        "without": f"{scores[:, 1].mean():.3f}",
        "its spread": f"{spread[1]:.3f}",
        "pairs": len(scores),
        f"pairs for {WANTED:g}": pairs_needed(differences) or "?",
        "here": verdict(differences, claim),
    }


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__.split("\n")[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    add_arguments(parser)
    parser.set_defaults(rotations=[1])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--claims", nargs="+", choices=list(CLAIMS), default=list(CLAIMS))
    parser.add_argument("--interval", type=float, default=0.0, help="half the width that ends a claim early")
    parser.add_argument("--processes", type=int, default=1, help="runs at once")
    args = parser.parse_args(argv)
    rows: list[dict[str, object]] = []
    spawned = get_context("spawn")
    with ProcessPoolExecutor(args.processes, spawned) if args.processes > 1 else nullcontext() as pool:
        for name in args.claims:
            scores = measure(args, name, pool)
            if len(scores):
                rows.append(row_of(CLAIMS[name], scores))
                write_table(args.work_dir / "claims.csv", pd.DataFrame(rows))
    print(f"\ntest lwlrap, mean and standard deviation over rotations and seeds, {CONFIDENCE:.0%} intervals")
    print_table([list(rows[0]), *([str(cell) for cell in row.values()] for row in rows)] if rows else [])


if __name__ == "__main__":
    main()
