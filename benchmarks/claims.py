#!/usr/bin/env python3
"""The published author's claims, measured again on real recordings: each choice against its alternative.

    python benchmarks/claims.py --work_dir /tmp/claims --results_csv results/claims.csv \\
        --source digits --rotations 1 2 3 4 --seeds 0 1 2 3 4 --interval 0.01 --processes 2

Every claim is two sets of flags on the same clips (--labels: the curated ones alone, or the noisy ones as
well with their true labels) with the same number of epochs, paired by rotation and seed: the mean difference
in test lwlrap, a sentence, and the pairs that would tell it to 0.01. A claim ends early once its interval is
as narrow as --interval; a run that several claims share is trained once. Results stay in --work_dir under
their settings, and claims.csv there has the table: stopped or killed, the same command goes on where it was.
Effects by SoX need its binary.
"""

import argparse
import math
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats

sys.path[:0] = [str(Path(__file__).resolve().parent)]
from real_runs import (  # noqa: E402
    EVEN,
    Layout,
    Run,
    add_arguments,
    make_layout,
    settings_text,
    spelled,
    test_scores,
    train,
    training_flags,
)
from results_csv import add_results_flag, add_rows, rows_of  # noqa: E402
from stand_ins import standing_in  # noqa: E402

from toolkit.cli.parser import print_table  # noqa: E402
from toolkit.clips.tables import write_table  # noqa: E402

CONFIDENCE = 0.95
WANTED = 0.01  # half the width of an interval that tells something
MIN_PAIRS = 4  # before an interval is believed
NO_HELP = 0.005  # a gain that is certain to be smaller counts as none


@dataclass(frozen=True)
class Side:
    """Flags that differ from the benchmark's own; what stands in for parts of the product, see stand_ins."""

    flags: dict = field(default_factory=dict)
    stand_ins: tuple[str, ...] = ()


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
PASTED = {"mixup": "paste"}
EFFECTS = {"p_aug": 0.75}
CLAIMS = {
    "lsep_bce": Claim("LSEP against BCE", BASE, Side(BCE), 0.015),
    "lsep_focal": Claim("LSEP against focal loss", BASE, Side({"loss": "focal"}), 0.015),
    "lsep_zlpr": Claim("LSEP against zlpr", BASE, Side({"loss": "zlpr"})),
    "frequency": Claim("frequency encoding against none", BASE, Side({"no_frequency_encoding": True}), 0.005),
    "mixup": Claim("OR-MixUp against none", BASE, Side({"p_mixup": 0})),
    "mixup_paste": Claim("OR-MixUp by pasting against adding", Side(PASTED), Side({"mixup": "add"})),
    "mixup_concat": Claim(
        "OR-MixUp by concatenating against pasting", Side({"mixup": "concat"}), Side(PASTED)
    ),
    "mixup_weighted": Claim("OR-MixUp against weighted, both BCE", Side(ADDED), Side(ADDED, ("weighted",))),
    "effects": Claim("effects on top of OR-MixUp", Side(EFFECTS), BASE),
    "effects_alone": Claim(
        "effects alone against none", Side({**EFFECTS, "p_mixup": 0}), Side({"p_mixup": 0})
    ),
    "mixup_effects": Claim("OR-MixUp and effects together", Side(EFFECTS), Side({"p_mixup": 0}), 0.05),
    "effects_torch": Claim(
        "effects by torch against SoX", Side(EFFECTS), Side({**EFFECTS, "effects": "sox"}), helps=False
    ),
    "supervision": Claim(
        "deep supervision from block 1 against the last", BASE, Side({"start_deep_supervision_on": 3})
    ),
    "rnn": Claim("max against rnn", BASE, Side({"aggregation_type": "rnn"})),
    "shuffling": Claim("chunk shuffling against none", Side({"p_shuffle": 0.5}), BASE, helps=False),
    "silencing": Claim("silencing a quarter against none", Side({"p_silence": 0.5}), BASE, helps=False),
    # What the published code does otherwise.
    "masks": Claim("masks against padding as silence", BASE, Side({}, ("no_masks",))),
    "refreshing": Claim(
        "refreshed statistics of the head against running ones", BASE, Side({}, ("no_refreshing",))
    ),
    "last_batch": Claim("the last incomplete batch against none", BASE, Side({}, ("no_last_batch",))),
    "norm_weights": Claim(
        "BatchNorm's weights from 1 against from U(0, 1)", BASE, Side({}, ("uniform_norm_weights",))
    ),
    "effects_order": Claim(
        "effects on the mixture against on the first clip alone",
        Side(EFFECTS),
        Side(EFFECTS, ("effects_before_mixup",)),
    ),
}


def run_of(args: argparse.Namespace, side: Side, layout: Layout, seed: int) -> Run:
    flags = side_flags(args, side, seed)
    labels = [args.labels] if args.labels != "curated" else []
    return Run.of(args, f"claims-seed_{seed}", layout, [flags, *labels, side.stand_ins])


def side_flags(args: argparse.Namespace, side: Side, seed: int) -> dict:
    epochs = args.epochs if args.labels == "true" else args.curated_epochs
    features = {"features": args.features} if args.features else {}
    return {**training_flags(args, seed, epochs), **features, **side.flags}


def work(args: argparse.Namespace, side: Side, layout: Layout, seed: int) -> dict:
    """The result of a side's run, from disk or trained now."""
    run = run_of(args, side, layout, seed)
    noisy = {"noisy_train_df": layout.truth_df, "noisy_train_data_dir": layout.folder / "train_noisy"}
    flags = side_flags(args, side, seed) | (noisy if args.labels == "true" else {})

    def job() -> dict:
        with standing_in(side.stand_ins):
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


def measure(
    args: argparse.Namespace, pool: ProcessPoolExecutor | None, found: dict[str, list[tuple[float, float]]]
) -> Iterator[None]:
    """Adds a pair to each claim whose interval is still wide, rotation by rotation, seed by seed."""
    for seed in args.seeds:
        for rotation in args.rotations:
            layout = make_layout(args, rotation, EVEN)
            names = [name for name in args.claims if not is_told(args, found[name])]
            scores = results_of(args, pool, names, layout, seed)
            for name in names:
                folders = [run_of(args, side, layout, seed).folder for side in sides_of(name)]
                if all(folder in scores for folder in folders):
                    found[name].append((scores[folders[0]], scores[folders[1]]))
                    choice, other = found[name][-1]
                    print(f"{layout.name} seed {seed} {name}: {choice:.4f} {other:.4f}", flush=True)
            yield


def results_of(
    args: argparse.Namespace,
    pool: ProcessPoolExecutor | None,
    names: Sequence[str],
    layout: Layout,
    seed: int,
) -> dict[Path, float]:
    """Test lwlrap by run's folder of all sides of the claims; a side that several share is trained once."""
    sides = {run_of(args, side, layout, seed).folder: side for name in names for side in sides_of(name)}
    if args.report_only:
        sides = {folder: side for folder, side in sides.items() if Run(folder).result() is not None}
    if pool is None:
        results = [work(args, side, layout, seed) for side in sides.values()]
    else:
        results = list(pool.map(partial(work, args, layout=layout, seed=seed), sides.values()))
    return {folder: result["lwlrap"] for folder, result in zip(sides, results, strict=True)}


def is_told(args: argparse.Namespace, pairs: Sequence[tuple[float, float]]) -> bool:
    """Whether the interval of these pairs is as narrow as asked for."""
    return len(pairs) >= MIN_PAIRS and interval(np.subtract(*np.transpose(pairs)))[1] <= args.interval


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


def csv_rows(args: argparse.Namespace) -> Iterator[dict[str, str]]:
    """The figure of every run of these claims that is there, each side once."""
    for side in {repr(side): side for name in args.claims for side in sides_of(name)}.values():
        flags = settings_text(args, {"features": args.features, **side.flags})
        setting = " ".join([*side.stand_ins, flags])
        about = {"experiment": f"claims, {args.source}, {args.labels} labels", "setting": setting}
        for rotation in args.rotations:
            for seed in args.seeds:
                result = run_of(args, side, make_layout(args, rotation, EVEN), seed).result()
                if result is not None:
                    figures = {"test_lwlrap": result["lwlrap"]}
                    yield from rows_of({**about, "rotation": rotation, "seed": seed}, result, figures)


def sides_of(name: str) -> tuple[Side, Side]:
    return CLAIMS[name].choice, CLAIMS[name].other


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__.split("\n")[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    add_arguments(parser)
    parser.set_defaults(rotations=[1])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--claims", nargs="+", choices=list(CLAIMS), default=list(CLAIMS))
    parser.add_argument("--labels", choices=["curated", "true"], default="curated", help="of which clips")
    parser.add_argument("--features", help="front end of all runs, in place of the source's own")
    parser.add_argument("--interval", type=float, default=0.0, help="half the width that ends a claim early")
    parser.add_argument("--processes", type=int, default=1, help="runs at once")
    add_results_flag(parser)
    args = parser.parse_args(argv)
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in args.claims}
    rows: list[dict[str, object]] = []
    spawned = get_context("spawn")
    with ProcessPoolExecutor(args.processes, spawned) if args.processes > 1 else nullcontext() as pool:
        for _ in measure(args, pool, found):
            rows = [row_of(CLAIMS[name], np.array(pairs)) for name, pairs in found.items() if pairs]
            if rows:
                write_table(args.work_dir / "claims.csv", pd.DataFrame(rows))
    if args.results_csv:
        add_rows(args.results_csv, csv_rows(args))
    print(f"\ntest lwlrap, mean and standard deviation over rotations and seeds, {CONFIDENCE:.0%} intervals")
    print_table([list(rows[0]), *([str(cell) for cell in row.values()] for row in rows)] if rows else [])


if __name__ == "__main__":
    main()
