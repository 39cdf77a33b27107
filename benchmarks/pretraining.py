#!/usr/bin/env python3
"""What a network on few curated clips gains by where it starts: pretraining, or training on noisy labels.

    python benchmarks/pretraining.py --work_dir /tmp/pretraining --source digits --seeds 0 1 2

Every method trains on the curated clips alone, for equally many epochs. It starts from nothing; from `cpc` or
`contrastive` on the sound of all curated, noisy and test clips; or from `warm_up`, --epochs on curated and
noisy clips with the labels as given. Paired by rotation and seed: test lwlrap and its gain over nothing. Runs
stay in --work_dir, those of `nothing` shared with claims.py; stopped or killed, the same command goes on.
"""

import argparse
import json
import math
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

sys.path[:0] = [str(Path(__file__).resolve().parent)]
import claims  # noqa: E402
import real_runs  # noqa: E402
from real_runs import EVEN, Layout, Run, make_layout, spelled  # noqa: E402
from results_csv import add_results_flag, add_rows, rows_of  # noqa: E402

import pretrain  # noqa: E402
from toolkit.cli.parser import print_table  # noqa: E402

METHODS = ("nothing", "cpc", "contrastive", "warm_up")
TAKEN = "features aggregation_type num_conv_blocks conv_base_depth growth_rate start_deep_supervision_on"
TAKEN += " n_folds seed device num_workers"  # of training's flags those that pretraining has, too
MAX_SECONDS = 2  # of the segments that pretraining compares


def start_flags(args: argparse.Namespace, layout: Layout, seed: int, method: str) -> dict:
    """Of the run whose weights a method's training starts from."""
    flags = claims.side_flags(args, claims.BASE, seed)
    noisy = {"noisy_train_df": layout.noisy_df, "noisy_train_data_dir": layout.noisy_dir}
    if method == "warm_up":
        own = {"share_noisy": True, "epochs": args.epochs, "switch_off_augmentations_on": args.epochs}
        return {**flags, **noisy, **own}
    seconds = min(MAX_SECONDS, flags["max_audio_length"])
    own = {
        "objective": method,
        "network": "2d",
        "epochs": args.pretraining_epochs,
        "max_audio_length": seconds,
    }
    return {**{name: flags[name] for name in TAKEN.split()}, **noisy, **own}


def run_of(args: argparse.Namespace, layout: Layout, seed: int, method: str) -> Run:
    if method == "nothing":
        return claims.run_of(args, claims.BASE, layout, seed)
    settings = [claims.side_flags(args, claims.BASE, seed), start_flags(args, layout, seed, method)]
    return Run.of(args, f"pretraining-{method}-seed_{seed}", layout, settings)


def work(args: argparse.Namespace, layout: Layout, seed: int, method: str) -> dict:
    """The result of a method's run, from disk or trained now."""
    if method == "nothing":
        return claims.work(args, claims.BASE, layout, seed)
    run = run_of(args, layout, seed, method)

    def job() -> dict:
        start, flags = run.folder / "start", spelled(start_flags(args, layout, seed, method))
        if method == "warm_up":
            real_runs.train([*layout.flags(), *flags], start)
        else:
            resume = ["--resume"] if any(start.glob("*/config.json")) else []
            pretrain.main([*layout.flags(), *flags, f"--experiments_dir={start}", *resume])
        (first,) = start.iterdir()
        flags = spelled({**claims.side_flags(args, claims.BASE, seed), "init_from": first})
        submission = real_runs.train([*layout.flags(), *flags], run.folder / "experiments")
        probed = json.loads((first / "results.json").read_text()).get("pretraining", {}).get("probe_lwlrap")
        return {**real_runs.test_scores(layout, submission), "probe_lwlrap": probed}

    return run.work(job)


def csv_rows(args: argparse.Namespace, found: dict[tuple, dict]) -> Iterator[dict[str, str]]:
    for (method, rotation, seed), result in found.items():
        setting = real_runs.settings_text(
            args, {"start": method, "pretraining_epochs": args.pretraining_epochs}
        )
        about = {"experiment": f"pretraining, {args.source}", "setting": setting}
        figures = {"test_lwlrap": result["lwlrap"], "probe_lwlrap": result.get("probe_lwlrap")}
        yield from rows_of({**about, "rotation": rotation, "seed": seed}, result, figures)


def table(methods: tuple[str, ...], found: dict[tuple, dict]) -> list[list[str]]:
    """Each method's row: means, and the gain over nothing in the rotations and seeds that both have."""
    rows = [["start", "lwlrap", "gain over nothing", "pairs", "linear probe"]]
    for method in methods:
        results = {key[1:]: result for key, result in found.items() if key[0] == method}
        others = {key: found["nothing", *key] for key in results if ("nothing", *key) in found}
        gains = np.array([results[key]["lwlrap"] - other["lwlrap"] for key, other in others.items()])
        mean, margin = claims.interval(gains) if len(gains) else (math.nan, math.nan)
        gain = "-" if method == "nothing" else f"{mean:+.3f} +- {margin:.3f}"
        score = np.mean([result["lwlrap"] for result in results.values()]) if results else math.nan
        probes = [result["probe_lwlrap"] for result in results.values() if result.get("probe_lwlrap")]
        probed = f"{np.mean(probes):.3f}" if probes else "-"
        rows.append([method, f"{score:.3f}", gain, str(len(gains)), probed])
    return rows


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__.split("\n")[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    real_runs.add_arguments(parser)
    parser.set_defaults(labels="curated", features=None)  # flags of claims.py
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=METHODS)
    parser.add_argument("--pretraining_epochs", type=int, default=60, help="of cpc and contrastive")
    add_results_flag(parser)
    args, found = parser.parse_args(argv), {}
    for seed in args.seeds:
        for rotation in args.rotations:
            layout = make_layout(args, rotation, EVEN)
            for method in args.methods:
                has_result = run_of(args, layout, seed, method).result() is not None
                if has_result or not args.report_only:
                    found[method, rotation, seed] = work(args, layout, seed, method)
                    score = found[method, rotation, seed]["lwlrap"]
                    print(f"rotation {rotation} seed {seed} {method}: {score:.4f}", flush=True)
    if args.results_csv:
        add_rows(args.results_csv, csv_rows(args, found))
    print_table(table(args.methods, found))


if __name__ == "__main__":
    main()
