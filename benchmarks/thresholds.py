#!/usr/bin/env python3
"""How right the labels are that one threshold gives: as published, calibrated, by a loss of fixed zero.

    python benchmarks/thresholds.py --work_dir /tmp/noisy

Networks trained on curated clips predict the noisy ones; relabelall-replacenan_1.2 and its kin replace their
labels, which are then compared with the true ones. Runs are shared with benchmarks/noisy.py's.
"""

import argparse
import sys
from pathlib import Path

import numpy as np

sys.path[:0] = [str(Path(__file__).resolve().parent)]
import noisy  # noqa: E402
from real_runs import EVEN, Layout, add_arguments, make_layout  # noqa: E402

import predict_2d_cnn  # noqa: E402
from toolkit.cli.parser import print_table  # noqa: E402
from toolkit.clips.tables import write_table  # noqa: E402
from toolkit.prediction.calibration import calibration_of  # noqa: E402
from toolkit.rounds.report import label_quality, label_sets  # noqa: E402
from toolkit.rounds.tables import relabel_table  # noqa: E402
from toolkit.runs.experiment import Experiment  # noqa: E402
from toolkit.runs.predictions import read_predictions  # noqa: E402

# Name: the method of benchmarks/noisy.py that trains, the mode, and whether scores are calibrated.
WAYS = {
    "LSEP, as published": ("curated", "relabelall-replacenan_1.2", False),
    "LSEP, calibrated": ("curated", "relabelall-replacenan_1.2", True),
    "LSEP, calibrated, balanced": ("curated", "relabelall-balanced_1.2", True),
    "zlpr": ("curated_zlpr", "relabelall-replacenan_1.2", False),
    "zlpr, calibrated": ("curated_zlpr", "relabelall-replacenan_1.2", True),
}
COLUMNS = ("label_precision", "label_recall", "kept_precision", "kept_recall")


def predict_noisy(
    args: argparse.Namespace, method: str, layout: Layout, seed: int
) -> tuple[Experiment, Path]:
    """The experiment of a method, trained now unless it is there, and its predictions of the noisy clips."""
    noisy.work(args, method, layout, seed)
    run = noisy.run_of(args, method, layout, seed)
    (directory,) = (run.folder / "experiments").iterdir()
    path = run.folder / "noisy_clips.csv"
    if not path.exists():
        flags = [f"--experiment={directory}", f"--test_df={layout.truth_df}", f"--output_df={path}"]
        flags += [f"--test_data_dir={layout.folder / 'train_noisy'}", f"--device={args.device}"]
        flags += [f"--classmap={layout.folder / 'classmap.json'}", f"--num_workers={args.num_workers}"]
        predict_2d_cnn.main([*flags, *(["--adapt_batch_norm"] if args.adapt_batch_norm else [])])
    return Experiment.load(directory), path


def quality(experiment: Experiment, path: Path, layout: Layout, mode: str, calibrate: bool) -> dict:
    """Precision and recall of the labels that a mode gives."""
    calibrations = [calibration_of(experiment)] if calibrate else None
    table = path.with_name("relabeled.csv")
    write_table(table, relabel_table(layout.noisy_df, [path], mode, calibrations).table)
    return quality_of(label_sets(table), layout)


def quality_of(kept: dict[str, frozenset[str]], layout: Layout) -> dict:
    """Precision and recall of kept clips' labels: fname -> labels."""
    noisy, truth = label_sets(layout.noisy_df), label_sets(layout.truth_df)
    return label_quality(kept, noisy, truth, str(layout.truth_df))


def above_zero(path: Path, layout: Layout) -> dict:
    """The same of all classes with a positive score, which is where zlpr puts its threshold."""
    predictions = read_predictions(path)
    classes = np.array(predictions.classes)
    sets = {
        fname: frozenset(classes[row > 0.5])
        for fname, row in zip(predictions.fnames, predictions.probabilities, strict=True)
        if (row > 0.5).any()
    }
    return quality_of(sets, layout)


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__.split("\n")[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    add_arguments(parser)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    args = parser.parse_args(argv)
    found: dict[str, list[dict]] = {name: [] for name in [*WAYS, "zlpr, scores above 0"]}
    for rotation in args.rotations:
        layout = make_layout(args, rotation, EVEN)  # the noisy labels are replaced, right or wrong
        for seed in args.seeds:
            for name, (method, mode, calibrate) in WAYS.items():
                experiment, path = predict_noisy(args, method, layout, seed)
                found[name].append(quality(experiment, path, layout, mode, calibrate))
            found["zlpr, scores above 0"].append(above_zero(path, layout))
    rows = [["threshold", "runs", *COLUMNS]]
    for name, runs in found.items():
        means = [np.mean([run[column] for run in runs]) for column in COLUMNS]
        rows.append([name, str(len(runs)), *(f"{value:.3f}" for value in means)])
    print_table(rows)


if __name__ == "__main__":
    main()
