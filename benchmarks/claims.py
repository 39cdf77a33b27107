#!/usr/bin/env python3
"""The published author's claims, measured again on real recordings: each choice against its alternative.

    python benchmarks/claims.py --data_script PATH/make_fsd_layout.py --work_dir /tmp/claims \\
        --source digits --rotations 1 --seeds 0 1 2

Every claim is two sets of flags on the same curated clips with the same number of epochs, paired by
rotation and seed: the mean difference in test lwlrap, and a sentence. Results stay in --work_dir under
their settings: stopped or killed, the same command goes on where it was. Effects need the SoX binary.
"""

import argparse
import contextlib
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from unittest import mock

import numpy as np
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

CONFIDENCE = 0.95
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


def verdict(differences: np.ndarray, claim: Claim) -> str:
    """A sentence on paired differences of test lwlrap: Student's t, two-sided."""
    n = len(differences)
    if n < 2:
        return "cannot be told from noise: one pair has no spread"
    mean = differences.mean()
    margin = stats.t.ppf((1 + CONFIDENCE) / 2, n - 1) * differences.std(ddof=1) / np.sqrt(n)
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


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__.split("\n")[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    add_arguments(parser)
    parser.set_defaults(rotations=[1])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--claims", nargs="+", choices=list(CLAIMS), default=list(CLAIMS))
    args = parser.parse_args(argv)
    rows = [["claim", "claimed", "with", "spread", "without", "spread", "pairs", "here"]]
    for name in args.claims:
        claim = CLAIMS[name]
        pairs = []
        for rotation in args.rotations:
            layout = make_layout(args, rotation, 0.4)
            for seed in args.seeds:
                found = [work(args, side, layout, seed) for side in (claim.choice, claim.other)]
                if None not in found:
                    pairs.append([result["lwlrap"] for result in found])
                    print(
                        f"{layout.name} seed {seed} {name}: {pairs[-1][0]:.4f} {pairs[-1][1]:.4f}", flush=True
                    )
        if pairs:
            scores = np.array(pairs)
            spread = scores.std(axis=0, ddof=1) if len(pairs) > 1 else [np.nan, np.nan]
            cells = [
                f"{value:.3f}" for side in zip(scores.mean(axis=0), spread, strict=True) for value in side
            ]
            claimed = f"{claim.by:+g}" if claim.by else "helps" if claim.helps else "no help"
            sentence = verdict(scores[:, 0] - scores[:, 1], claim)
            rows.append([claim.name, claimed, *cells, str(len(pairs)), sentence])
    print(f"\ntest lwlrap, mean and standard deviation over rotations and seeds, {CONFIDENCE:.0%} intervals")
    print_table(rows)


if __name__ == "__main__":
    main()
