#!/usr/bin/env python3
"""What noisy clips are worth on real recordings, by method: test lwlrap, and the oracle's gain recovered.

    python download_data.py fsdd --output_dir data/fsdd
    python benchmarks/noisy.py --work_dir /tmp/noisy --rotations 1 2 3 4 --seeds 0 1 \\
        --results_csv results/noisy.csv --noise even_0.4 pairs_0.4 open_0.4 missing_0.4 fsd

The kinds of noise are those of benchmarks/label_noise.py; with --mismatch noisy clips sound as if recorded
elsewhere (benchmarks/elsewhere.py). Every run's result stays in --work_dir under its settings: stopped or
killed, the same command goes on where it was; other processes may take other rotations or seeds of the same
--work_dir. The oracle trains on the true labels of the noisy clips, without those that hold none of the
classes. Methods called _x2 blend two trainings as ours does. A layout whose oracle gain is under three
standard errors is left out of the share.
"""

import argparse
import json
import shutil
import sys
from collections import defaultdict
from pathlib import Path

import numpy as np
import pandas as pd

sys.path[:0] = [str(Path(__file__).resolve().parent)]
from label_noise import parse_noise  # noqa: E402
from methods import HEADLINE, METHODS, Method  # noqa: E402
from real_runs import (  # noqa: E402
    Layout,
    Run,
    add_arguments,
    make_layout,
    settings_text,
    spelled,
    steps_of,
    submission_of,
    test_scores,
    train,
    training_flags,
)
from results_csv import add_results_flag, add_rows, rows_of  # noqa: E402
from shares import margins, references, score_row, telling_layouts  # noqa: E402

import blend_predictions  # noqa: E402
import predict_2d_cnn  # noqa: E402
import run_noisy_rounds  # noqa: E402
from toolkit.cli.parser import print_table  # noqa: E402
from toolkit.clips.tables import read_table  # noqa: E402
from toolkit.prediction.blending import write_blend  # noqa: E402
from toolkit.runs.experiment import Experiment  # noqa: E402

DEFAULT_NOISE = ("even_0.2", "even_0.4", "even_0.6")
SECOND_SEED = 1000  # of a blend's second training, after the first one's
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
    noise = noise_of(METHODS[method.blend_of or name], layout)
    if method.blend_of:
        settings = [noise, "blend", run_of(args, method.blend_of, layout, seed).folder.name]
    else:
        settings = [noise, method.labels, method.rounds, settings_of(args, name, seed)]
    if method.distill_of:
        settings.append(run_of(args, method.distill_of, layout, seed).folder.name)
    return Run.of(args, f"{noise}{name}-seed_{seed}", layout, settings)


def noise_of(method: Method, layout: Layout) -> str:
    """What a method's result depends on, of the noise and its clips: the oracle's labels are right."""
    if method.labels is None and not method.rounds:
        return "open-" if layout.noise.open else ""
    elsewhere = "elsewhere-" if layout.mismatch else ""
    if method.labels == "truth" and not layout.noise.open:
        return elsewhere
    return f"noise_{layout.noise.key}-{elsewhere}"


def work(args: argparse.Namespace, name: str, layout: Layout, seed: int) -> dict:
    """Runs a method on a layout, or what is left of it; returns its result."""
    method, run = METHODS[name], run_of(args, name, layout, seed)
    if method.blend_of:
        return blend(args, name, layout, seed)
    settings = settings_of(args, name, seed)
    if method.labels == "truth":
        settings |= equal_steps(settings, layout)
    flags = [*layout.flags(), *spelled(settings)]
    noisy_dir = f"--noisy_train_data_dir={layout.noisy_dir}"

    def plain() -> dict:
        tables = {"given": layout.noisy_df, "truth": layout.oracle_df, "soft": layout.noisy_df}
        table = tables.get(method.labels)
        noisy = [f"--noisy_train_df={table}", noisy_dir] if table else []
        if method.distill_of:
            noisy.append(f"--soft_labels={soft_labels(args, name, layout, seed)}")
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

    folders = [run.folder]
    if method.distill_of:
        work(args, method.distill_of, layout, seed)
        folders.append(run_of(args, method.distill_of, layout, seed).folder)
    return run.work(
        lambda: {
            **(rounds if method.rounds else plain)(),
            "steps": sum(steps_of(folder) for folder in folders),
        }
    )


def last_rounds(folder: Path) -> list[Path]:
    """The experiments of the last two rounds of a run."""
    names = pd.read_csv(folder / "rounds" / "rounds.csv")["experiment"].tolist()[-2:]
    return [folder / "rounds" / "experiments" / name for name in names]


def soft_labels(args: argparse.Namespace, name: str, layout: Layout, seed: int) -> Path:
    """What the last rounds of the method that is distilled say of the noisy clips, out of fold, blended."""
    run, of = (run_of(args, other, layout, seed) for other in (name, METHODS[name].distill_of))
    blended, tables = run.folder / "soft.csv", []
    if blended.exists():
        return blended
    for number, experiment in enumerate(last_rounds(of.folder)):
        tables.append(str(run.folder / f"soft_{number}.csv"))
        flags = [f"--experiment={experiment}", f"--test_df={layout.noisy_df}", "--out_of_fold"]
        flags += [f"--test_data_dir={layout.noisy_dir}", f"--classmap={layout.tables / 'classmap.json'}"]
        flags += [f"--device={args.device}", f"--num_workers={args.num_workers}", f"--output_df={tables[-1]}"]
        predict_2d_cnn.main([*flags, *(["--adapt_batch_norm"] if args.adapt_batch_norm else [])])
    blend_predictions.main(["--predictions", *tables, "--method=logit", f"--output_df={blended}"])
    return blended


def equal_steps(settings: dict, layout: Layout) -> dict:
    """Flags of an oracle that takes as many steps without the clips that hold no class as with them."""
    n_curated, n_given, n_kept = (
        len(read_table(table, ["fname"]))
        for table in (layout.tables / "train_curated.csv", layout.noisy_df, layout.oracle_df)
    )
    of_fold = n_curated * (1 - 1 / settings["n_folds"])
    epochs = round(settings["epochs"] * (of_fold + n_given) / (of_fold + n_kept))
    without = settings["epochs"] - settings["switch_off_augmentations_on"]  # augmentation
    without = round(without * epochs / settings["epochs"])
    return {"epochs": epochs, "switch_off_augmentations_on": epochs - without}


def blend(args: argparse.Namespace, name: str, layout: Layout, seed: int) -> dict:
    """Two trainings of a method blended as the last rounds of ours are."""
    member = METHODS[name].blend_of
    seeds = [seed] if METHODS[member].rounds else [seed, seed + SECOND_SEED]
    found = [work(args, member, layout, other) for other in seeds]
    folders = [run_of(args, member, layout, other).folder for other in seeds]
    run = run_of(args, name, layout, seed)

    def job() -> dict:
        if METHODS[member].rounds:
            paths = last_rounds(folders[0])
        else:
            paths = [path for folder in folders for path in (folder / "experiments").iterdir()]
        submission = run.folder / "submission.csv"
        write_blend([Experiment.load(path) for path in paths], submission)
        steps = sum(steps_of(folder) for folder in folders)
        return {**test_scores(layout, submission), "rounds": found[0]["rounds"], "steps": steps}

    return run.work(job)


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


def report(args: argparse.Namespace, results: dict) -> None:
    elsewhere = ", noisy clips as if recorded elsewhere" * args.mismatch
    for noise in dict.fromkeys(noise.name for noise in args.noise):
        print(f"\n{args.source}, label noise {noise}{elsewhere}")
        telling, left_out = telling_layouts(results, noise, args.seeds)
        for sentence in left_out:
            print(sentence)
        print("gain recovered: between {} and {}".format(*references(results)))
        rows = [["method", "runs", "test lwlrap", "gain recovered", "standard error", "pairs", "steps"]]
        quality = [["method", "round", "mode", *QUALITY, "test_lwlrap"]]
        for name in args.methods:
            found = {key: run for key, run in results.items() if key[1] == noise and key[3] == name}
            if not found:
                continue
            steps = f"{np.mean([run.get('steps', np.nan) for run in found.values()]):.0f}"
            scores = {key[:3]: run["lwlrap"] for key, run in found.items()}
            rows.append([*score_row(name, scores, results, telling), steps])
            for back in range(METHODS[name].flags.get("blend_rounds", 0), 0, -1):
                alone = {key[:3]: run["rounds"][-back]["test_lwlrap"] for key, run in found.items()}
                mode = METHODS[name].rounds[-back].partition("_")[0]
                label = f"{name}, {mode} of the end alone"
                rows.append([*score_row(label, alone, results, telling), steps])
            quality += quality_rows(name, [run["rounds"] for run in found.values()])
        print_table(rows)
        for sentence in margins(noise, args.methods, results, telling):
            print(sentence)
        if len(quality) > 1:
            print("\nround by round, means: kept clips and labels against the truth")
            print_table(quality)


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


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__.split("\n")[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    add_arguments(parser)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument(
        "--noise",
        "--label_noise",
        type=parse_noise,
        nargs="+",
        default=[parse_noise(text) for text in DEFAULT_NOISE],
        help="even_, pairs_, open_ or missing_<rate>, or fsd; a rate alone is even",
    )
    parser.add_argument("--mismatch", action="store_true", help="noisy clips as if recorded elsewhere")
    add_results_flag(parser)
    parser.add_argument("--methods", nargs="+", choices=list(METHODS), default=HEADLINE)
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    results = {}
    for noise in args.noise:
        for rotation in args.rotations:
            layout = make_layout(args, rotation, noise, args.mismatch)
            for seed in args.seeds:
                # The run on curated clips first: the rounds begin with it.
                for name in sorted(args.methods, key=lambda name: not name.startswith("curated")):
                    found = result_of(args, name, layout, seed)
                    if found is not None:
                        results[rotation, noise.name, seed, name] = found
    report(args, results)
    if args.results_csv:
        add_rows(args.results_csv, (row for key in results for row in csv_rows(args, key, results[key])))


def csv_rows(args: argparse.Namespace, key: tuple, result: dict) -> list[dict[str, str]]:
    """A run's figures, those of each of its rounds among them."""
    rotation, noise, seed, name = key
    figures = {"test_lwlrap": result["lwlrap"], "steps": result["steps"]}
    for row in result["rounds"]:
        figures |= {f"round_{row['round']}_{column}": row[column] for column in [*QUALITY, "test_lwlrap"]}
    experiment = f"noisy, {args.source}, {noise}{', elsewhere' * args.mismatch}"
    about = {"experiment": experiment, "setting": f"{name} {settings_text(args, {})}"}
    return rows_of({**about, "rotation": rotation, "seed": seed}, result, figures)


def result_of(args: argparse.Namespace, name: str, layout: Layout, seed: int) -> dict | None:
    """A run's result, trained for unless it is there; None where it is not and nothing is to be trained."""
    run = run_of(args, name, layout, seed)
    found = run.result()
    if found is None:
        if args.report_only:
            return None
        found = work(args, name, layout, seed)
        print(f"{layout.name} {layout.noise.name} seed {seed} {name}: {found['lwlrap']:.4f}", flush=True)
    return found if "steps" in found else {**found, "steps": steps_of(run.folder)}  # an older one


if __name__ == "__main__":
    main()
