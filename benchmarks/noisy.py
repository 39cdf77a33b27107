#!/usr/bin/env python3
"""What noisy clips are worth on real recordings, by method: test lwlrap, and the oracle's gain recovered.

    python benchmarks/noisy.py --data_script PATH/make_fsd_layout.py --work_dir /tmp/noisy \\
        --rotations 1 2 3 4 --seeds 0 1 --label_noise 0.2 0.4 0.6

Every run's result stays in --work_dir under its settings: stopped or killed, the same command goes on
where it was; other processes may take other rotations or seeds of the same --work_dir. The oracle trains
on the true labels of the noisy clips. A layout whose oracle gain is under three standard errors is left
out of the share.
"""

import argparse
import json
import shutil
import sys
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

sys.path[:0] = [str(Path(__file__).resolve().parent)]
from real_runs import (  # noqa: E402
    Layout,
    Run,
    add_arguments,
    bootstrap_error,
    make_layout,
    spelled,
    submission_of,
    test_scores,
    train,
    training_flags,
)

import run_noisy_rounds  # noqa: E402
from toolkit.cli.parser import print_table  # noqa: E402


@dataclass(frozen=True)
class Method:
    """Noisy clips with their labels as they are, "given" or the "truth", or rounds; or neither.

    A round's {0.3} means 0.3 of the noisy clips.
    """

    labels: str | None = None
    rounds: tuple[str, ...] = ()
    flags: dict = field(default_factory=dict)


SHARED = {"share_noisy": True}
PUBLISHED = {**SHARED, "no_out_of_fold": True}
SHARED_LAST = {"share_last_rounds": 1}
# What is nearly certain; then labels as they are, weighted by trust; then corrected ones. At last both of
# these, on all clips, blended: errors of given labels are random, those of corrected ones the networks' own.
OURS = ("trust_0.95", "trust-soft_0.3", "correct-soft_0.3", "trust-soft_0.3", "correct-soft_0.3")
OUR_FLAGS = {"share_last_rounds": 2, "blend_rounds": 2}
REPLACING = ("trust_0.95", *["correct-soft_0.3"] * 3)
METHODS = {
    "curated": Method(),
    "all": Method("given", flags=SHARED),
    "published": Method(
        rounds=("scoring_{0.3}", "scoring_{0.6}", "relabelall-replacenan_1.2"), flags=PUBLISHED
    ),
    "ours": Method(rounds=OURS, flags=OUR_FLAGS),
    "oracle": Method("truth", flags=SHARED),
    # Parts and relatives of the two.
    "ours_warm": Method(rounds=OURS, flags={**OUR_FLAGS, "warm_start": True}),
    "ours_self_scored": Method(rounds=OURS, flags={"blend_rounds": 2, **SHARED}),
    "trusting": Method(rounds=("trust_0.95", "trust_0.8", "trust_0.5", OURS[-1]), flags=SHARED_LAST),
    "replacing": Method(rounds=REPLACING, flags=SHARED_LAST),
    "replacing_warm": Method(rounds=REPLACING, flags={**SHARED_LAST, "warm_start": True}),
    "replacing_self_scored": Method(rounds=REPLACING, flags=SHARED),
    "scoring_corrected": Method(rounds=("scoring_{0.3}", "scoring_{0.6}", OURS[-1]), flags=PUBLISHED),
    "scoring": Method(rounds=("scoring_{0.3}", "scoring_{0.6}"), flags=PUBLISHED),
    "scoring_out_of_fold": Method(rounds=("scoring_{0.3}", "scoring_{0.6}"), flags=SHARED_LAST),
    "quota": Method(rounds=("quota_{0.3}", "quota_{0.6}"), flags=SHARED_LAST),
    "consensus": Method(rounds=("scoring_{0.3}", "consensus_{0.6}"), flags=SHARED_LAST),
    "soft": Method(rounds=("scoring_{0.3}", "soft_2"), flags=SHARED_LAST),
    "curated_zlpr": Method(flags={"loss": "zlpr"}),  # see benchmarks/thresholds.py
}
HEADLINE = ["curated", "all", "published", "ours", "oracle"]
QUALITY = ["noisy_clips", "kept_precision", "kept_recall", "label_precision", "label_recall"]


def settings_of(args: argparse.Namespace, name: str, seed: int) -> dict:
    """The training flags of a method's run, but for its paths."""
    method = METHODS[name]
    first = args.curated_epochs if method.rounds or method.labels is None else args.epochs
    flags = {**training_flags(args, seed, first), **method.flags}
    if method.rounds:
        # As many steps as in the runs without rounds, whatever a round keeps.
        flags |= {"later_epochs": args.epochs, "equal_steps": True}
    return flags


def run_of(args: argparse.Namespace, name: str, layout: Layout, seed: int) -> Run:
    method = METHODS[name]
    given = method.rounds or method.labels == "given"
    noise = f"noise_{layout.label_noise:g}-" if given else ""
    settings = [noise, method.labels, method.rounds, settings_of(args, name, seed)]
    return Run.of(args, f"{noise}{name}-seed_{seed}", layout, settings)


def work(args: argparse.Namespace, name: str, layout: Layout, seed: int) -> dict:
    """Runs a method on a layout, or what is left of it; returns its result."""
    method, run = METHODS[name], run_of(args, name, layout, seed)
    flags = [*layout.flags(), *spelled(settings_of(args, name, seed))]
    noisy_dir = f"--noisy_train_data_dir={layout.folder / 'train_noisy'}"

    def plain() -> dict:
        table = {"given": layout.noisy_df, "truth": layout.truth_df}.get(method.labels)
        noisy = [f"--noisy_train_df={table}", noisy_dir] if table else []
        experiments = run.folder / "experiments"
        # The label of round 0, so that rounds find the run on curated clips done.
        return {**test_scores(layout, train([*flags, *noisy, "--label=round_0"], experiments)), "rounds": []}

    def rounds() -> dict:
        borrow_round_0(args, layout, seed, run.folder / "rounds" / "experiments")
        modes = [mode_of(mode, layout) for mode in method.rounds]
        run_noisy_rounds.main(
            [*flags, "--rounds", *modes, f"--rounds_dir={run.folder / 'rounds'}", "--network=2d"]
            + [f"--noisy_train_df={layout.noisy_df}", noisy_dir, f"--noisy_truth_df={layout.truth_df}"]
        )
        rows = pd.read_csv(run.folder / "rounds" / "rounds.csv")
        experiments = [run.folder / "rounds" / "experiments" / name for name in rows["experiment"]]
        scored = [test_scores(layout, submission_of(experiment))["lwlrap"] for experiment in experiments]
        table = rows[["round", "mode", *QUALITY]].assign(test_lwlrap=scored)
        final = test_scores(layout, run.folder / "rounds" / "submission.csv")
        return {**final, "rounds": json.loads(table.to_json(orient="records"))}

    return run.work(rounds if method.rounds else plain)


def mode_of(mode: str, layout: Layout) -> str:
    """scoring_{0.3} -> scoring_300 where there are 1,000 noisy clips."""
    head, brace, share = mode.partition("{")
    return f"{head}{round(float(share.rstrip('}')) * layout.n_noisy)}" if brace else mode


def borrow_round_0(args: argparse.Namespace, layout: Layout, seed: int, experiments: Path) -> None:
    """Copies the finished run on curated clips: round 0 of all rounds with the same flags."""
    curated = run_of(args, "curated", layout, seed)
    if curated.result() is None or experiments.exists():
        return
    (source,) = (curated.folder / "experiments").iterdir()
    temporary = experiments.with_name("experiments.tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    shutil.copytree(source, temporary / source.name)
    temporary.rename(experiments)


def error(values: list[float]) -> float:
    return float(np.std(values, ddof=1) / np.sqrt(len(values))) if len(values) > 1 else float("nan")


def telling_layouts(results: dict, label_noise: float, seeds: list[int]) -> tuple[list[int], list[str]]:
    """Rotations whose oracle gain is at least three standard errors, and a sentence on each of the others.

    The error is that of the test clips (bootstrap) or of the seeds, whichever is larger.
    """
    telling, left_out = [], []
    for rotation in sorted({r for r, noise, _, _ in results if noise == label_noise}):
        pairs = [
            (results[rotation, label_noise, seed, "curated"], results[rotation, label_noise, seed, "oracle"])
            for seed in seeds
            if {(rotation, label_noise, seed, name) for name in ("curated", "oracle")} <= set(results)
        ]
        if not pairs:
            continue
        gains = [oracle["lwlrap"] - curated["lwlrap"] for curated, oracle in pairs]
        of_clips = float(np.mean([bootstrap_error(*pair) for pair in pairs]))
        spread = max(of_clips, error(gains) if len(gains) > 1 else 0.0)
        if np.mean(gains) >= 3 * spread:
            telling.append(rotation)
        else:
            left_out.append(
                f"rotation {rotation} is left out: the oracle gains {np.mean(gains):.3f}, under three "
                f"standard errors ({spread:.3f} each)"
            )
    return telling, left_out


def recovered(curated: np.ndarray, method: np.ndarray, oracle: np.ndarray) -> tuple[float, float]:
    """(method - curated) / (oracle - curated) of the means over pairs, and its jackknife standard error."""
    gain, most = method - curated, oracle - curated
    share = gain.sum() / most.sum()
    n = len(gain)
    if n < 2:
        return float(share), float("nan")
    without = (gain.sum() - gain) / (most.sum() - most)
    return float(share), float(np.sqrt((n - 1) / n * ((without - without.mean()) ** 2).sum()))


def report(args: argparse.Namespace, results: dict) -> None:
    for label_noise in args.label_noise:
        print(f"\n{args.source}, {label_noise:.0%} of the noisy labels wrong")
        telling, left_out = telling_layouts(results, label_noise, args.seeds)
        for sentence in left_out:
            print(sentence)
        rows = [["method", "runs", "test lwlrap", "gain recovered", "standard error", "pairs"]]
        quality = [["method", "round", "mode", *QUALITY, "test_lwlrap"]]
        for name in args.methods:
            found = {key: run for key, run in results.items() if key[1] == label_noise and key[3] == name}
            if not found:
                continue
            scores = {key[:3]: run["lwlrap"] for key, run in found.items()}
            rows.append(score_row(name, scores, results, telling))
            for back in range(METHODS[name].flags.get("blend_rounds", 0), 0, -1):
                alone = {key[:3]: run["rounds"][-back]["test_lwlrap"] for key, run in found.items()}
                mode = METHODS[name].rounds[-back].partition("_")[0]
                rows.append(score_row(f"{name}, {mode} of the end alone", alone, results, telling))
            quality += quality_rows(name, [run["rounds"] for run in found.values()])
        print_table(rows)
        if len(quality) > 1:
            print("\nround by round, means: kept clips and labels against the truth")
            print_table(quality)


def score_row(name: str, scores: dict[tuple, float], results: dict, telling: list[int]) -> list[str]:
    """Mean lwlrap over (rotation, label noise, seed), and the share recovered where the layouts tell it."""
    triples = [
        [results[*key, "curated"]["lwlrap"], score, results[*key, "oracle"]["lwlrap"]]
        for key, score in scores.items()
        if key[0] in telling and all((*key, other) in results for other in ("curated", "oracle"))
    ]
    share, spread = recovered(*np.array(triples).T) if triples else (np.nan, np.nan)
    values = list(scores.values())
    cells = [f"{np.mean(values):.3f} +- {error(values):.3f}", f"{share:.1%}", f"{spread:.1%}"]
    return [name, str(len(values)), *cells, str(len(triples))]


def quality_rows(name: str, runs: list[list[dict]]) -> list[list[str]]:
    """A row a round: the means over runs."""
    by_round = defaultdict(list)
    for run in runs:
        for row in run:
            by_round[row["round"]].append(row)
    rows = []
    for number, found in sorted(by_round.items()):
        frame = pd.DataFrame(found)[[*QUALITY, "test_lwlrap"]].astype(float)
        cells = ["-" if np.isnan(value) else f"{value:.3f}" for value in frame.mean()]
        cells[0] = f"{frame['noisy_clips'].mean():.0f}"
        rows.append([name, str(number), found[0]["mode"] or "-", *cells])
    return rows


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__.split("\n")[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    add_arguments(parser)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--label_noise", type=float, nargs="+", default=[0.2, 0.4, 0.6])
    parser.add_argument("--methods", nargs="+", choices=list(METHODS), default=HEADLINE)
    args = parser.parse_args(argv)
    results = {}
    for label_noise in args.label_noise:
        for rotation in args.rotations:
            layout = make_layout(args, rotation, label_noise)
            for seed in args.seeds:
                # The run on curated clips first: the rounds begin with it.
                for name in sorted(args.methods, key=lambda name: name != "curated"):
                    found = run_of(args, name, layout, seed).result()
                    if found is None and not args.report_only:
                        found = work(args, name, layout, seed)
                        print(
                            f"{layout.name} noise {label_noise:g} seed {seed} {name}: {found['lwlrap']:.4f}",
                            flush=True,
                        )
                    if found is not None:
                        results[rotation, label_noise, seed, name] = found
    report(args, results)


if __name__ == "__main__":
    main()
