"""Layouts of real recordings, and runs on them whose results are kept on disk by their settings."""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

sys.path[:0] = [str(Path(__file__).resolve().parent.parent)]
from elsewhere import copy_elsewhere  # noqa: E402
from label_noise import Labels, Noise, classes_outside, draw_noise, parse_noise, within  # noqa: E402
from results_csv import made_now  # noqa: E402

import create_class_map  # noqa: E402
import train_2d_cnn  # noqa: E402
from ops.metrics import lrap_per_clip  # noqa: E402
from ops.samples import MIXUPS  # noqa: E402
from toolkit.clips.cells import join_labels  # noqa: E402
from toolkit.clips.labels import class_index, encode_labels, load_class_map  # noqa: E402
from toolkit.clips.tables import read_table, write_table  # noqa: E402
from toolkit.rounds.report import label_sets  # noqa: E402
from toolkit.runs.checkpoints import load_checkpoint  # noqa: E402
from toolkit.runs.predictions import read_predictions  # noqa: E402
from toolkit.system.files import write_json  # noqa: E402
from toolkit.system.interruption import Interrupted  # noqa: E402

DATA_SCRIPT = Path(__file__).resolve().parent / "make_layout.py"

# Folds of a source by part: the letters are its folds 1 to 4, turned by the rotation.
PARTS = {
    "digits": {"curated": "AB", "noisy": "BC", "test": "D", "per_class": 10},
    "esc10": {"curated": "A", "noisy": "BC", "test": "D", "per_class": None},
}


EVEN = parse_noise("even_0.4")  # of a layout that other noise is drawn for


@dataclass(frozen=True)
class Layout:
    """A data set in the competition's form: which folds are what, and how labels are wrong.

    The clips of a rotation, and their true labels, are the same whatever the label noise, but where classes
    leave the class map. folder holds the sound; mismatch: noisy clips as if recorded elsewhere.
    """

    source: str
    rotation: int
    noise: Noise
    folder: Path
    per_class: int | None = None
    mismatch: bool = False

    @property
    def name(self) -> str:
        few = f"-{self.per_class}_a_class" if self.per_class else ""
        return f"{self.source}-rotation_{self.rotation}{few}"

    @property
    def tables(self) -> Path:
        """Where the tables of curated and test clips and the class map are."""
        return self.folder / "open" if self.noise.open else self.folder

    @property
    def noisy_df(self) -> Path:
        return self.folder / f"train_noisy_{self.noise.key}.csv"

    @property
    def truth_df(self) -> Path:
        """True labels within the class map of all noisy clips."""
        return self.folder / f"train_noisy_truth{f'_{self.noise.key}' if self.noise.open else ''}.csv"

    @property
    def oracle_df(self) -> Path:
        """The same without the clips that hold none of the classes."""
        return self.folder / f"train_noisy_oracle_{self.noise.key}.csv" if self.noise.open else self.truth_df

    @property
    def noisy_dir(self) -> Path:
        return self.folder / ("train_noisy_elsewhere" if self.mismatch else "train_noisy")

    @property
    def n_noisy(self) -> int:
        return len(read_table(self.noisy_df, ["fname"]))

    def flags(self) -> list[str]:
        """Training flags: curated and test clips."""
        return [
            f"--train_df={self.tables / 'train_curated.csv'}",
            f"--train_data_dir={self.folder / 'train_curated'}",
            f"--classmap={self.tables / 'classmap.json'}",
            f"--test_data_dir={self.folder / 'test'}",
            f"--sample_submission={self.tables / 'sample_submission.csv'}",
        ]


def make_layout(args: argparse.Namespace, rotation: int, noise: Noise, mismatch: bool = False) -> Layout:
    """Makes the layout's folder, or adds its noisy table and clips, unless they are there; whole or not."""
    per_class = args.curated_per_class
    few = f"-{per_class}_a_class" if per_class else ""
    name = f"{args.source}-{rotation}-{args.p_two:g}{few}"
    layout = Layout(
        args.source, rotation, noise, args.work_dir / "layouts" / name, per_class, mismatch=mismatch
    )
    if not layout.noisy_df.exists():
        if noise.even:
            _lay_out(args, layout)
        else:
            make_layout(args, rotation, EVEN)
            _draw_tables(layout)
    if not layout.noisy_dir.exists():
        copy_elsewhere(layout.folder / "train_noisy", layout.noisy_dir, rotation)
    return layout


def _lay_out(args: argparse.Namespace, layout: Layout) -> None:
    """The data script's folder with even noise."""
    parts, name = PARTS[args.source], layout.folder.name

    def folds(part: str) -> list[str]:
        return [str((ord(letter) - ord("A") + layout.rotation - 1) % 4 + 1) for letter in parts[part]]

    temporary = layout.folder.with_name(f"{name}.{os.getpid()}.tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.parent.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, str(args.data_script), str(temporary), "--source", args.source]
    for part in ("curated", "noisy", "test"):
        command += [f"--{part}", *folds(part)]
    per_class = layout.per_class or parts["per_class"]
    if per_class:
        command += ["--curated_per_class", str(per_class)]
    command += ["--label_noise", f"{layout.noise.even:g}", "--p_two", f"{args.p_two:g}"]
    if args.source_dir:
        command += ["--source_dir", str(args.source_dir)]
    code = subprocess.run(command, stdout=subprocess.DEVNULL).returncode
    if code:  # what it said stands above
        sys.exit(f"{layout.folder}: was not made, {args.data_script} ended with exit code {code}")
    with contextlib.redirect_stdout(io.StringIO()):
        create_class_map.main(
            [f"--train_df={temporary / 'train_curated.csv'}", f"--output_file={temporary / 'classmap.json'}"]
        )
    os.replace(temporary / "train_noisy.csv", temporary / layout.noisy_df.name)
    if layout.folder.exists():
        if (temporary / layout.truth_df.name).read_bytes() != layout.truth_df.read_bytes():
            sys.exit(f"{layout.folder}: was made of other clips; give another --work_dir")
        os.replace(temporary / layout.noisy_df.name, layout.noisy_df)
        shutil.rmtree(temporary)
    else:
        os.replace(temporary, layout.folder)


def _draw_tables(layout: Layout) -> None:
    """The tables of noise that the data script does not know, from its true labels; the noisy one last."""
    classes = list(load_class_map(layout.folder / "classmap.json"))
    truth = label_sets(layout.folder / "train_noisy_truth.csv")
    try:
        drawn = draw_noise(truth, classes, layout.noise, layout.rotation)
    except ValueError as error:
        sys.exit(f"{layout.folder}: {error}; give other --noise, or more clips with two sounds (--p_two)")
    if layout.noise.open:
        in_map = sorted(set(classes) - classes_outside(classes))
        layout.tables.mkdir(exist_ok=True)
        for name in ("train_curated.csv", "test_truth.csv"):
            kept = within(label_sets(layout.folder / name), in_map)
            _write_labels(layout.tables / name, kept)
        submission = pd.DataFrame({"fname": sorted(kept)}).assign(**dict.fromkeys(in_map, 0))
        write_table(layout.tables / "sample_submission.csv", submission)
        write_json(layout.tables / "classmap.json", class_index(in_map))
        _write_labels(layout.truth_df, drawn.truth)
        _write_labels(layout.oracle_df, within(drawn.truth, in_map))
    _write_labels(layout.noisy_df, drawn.noisy)


def _write_labels(table: Path, labels: Labels) -> None:
    rows = [(fname, join_labels(sorted(names))) for fname, names in sorted(labels.items())]
    write_table(table, pd.DataFrame(rows, columns=["fname", "labels"]))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags that both benchmarks share."""
    parser.add_argument("--data_script", type=Path, default=DATA_SCRIPT, help="what lays recordings out")
    parser.add_argument("--source_dir", type=Path, help="recordings; without it where the data script looks")
    parser.add_argument("--work_dir", type=Path, required=True, help="layouts, runs and results; reused")
    parser.add_argument("--source", choices=sorted(PARTS), default="digits")
    parser.add_argument("--rotations", type=int, nargs="+", default=[1, 2, 3, 4], choices=[1, 2, 3, 4])
    parser.add_argument("--curated_per_class", type=int, help="at most; without it 10 digits, all of esc10")
    parser.add_argument("--p_two", type=float, default=0.2, help="share of clips with a second sound")
    parser.add_argument("--epochs", type=int, default=16, help="of runs with noisy clips")
    parser.add_argument("--curated_epochs", type=int, default=60, help="of runs on curated clips alone")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--num_workers", type=int, default=0)
    parser.add_argument("--amp", action="store_true")
    parser.add_argument("--mixup", choices=sorted(MIXUPS), default="concat", help="of all runs")
    parser.add_argument(
        "--adapt_batch_norm", action="store_true", help="in all runs, and for all their predictions"
    )
    parser.add_argument("--report_only", action="store_true", help="of the runs that are there, train none")


def settings_text(args: argparse.Namespace, flags: dict[str, Any]) -> str:
    """The flags that change a run's figures, its own `flags` last, as tables of results have them."""
    names = ("adapt_batch_norm", "amp", "curated_epochs", "curated_per_class", "epochs", "mixup", "p_two")
    return " ".join(spelled({**{name: getattr(args, name) for name in names}, **flags}))


def training_flags(args: argparse.Namespace, seed: int, epochs: int) -> dict[str, Any]:
    """The flags of a small run: a minute or so on one core for the digits."""
    flags = {
        "features": "mel_1024_256_64" if args.source == "digits" else "mel_2048_1024_128",
        "aggregation_type": "max",
        "num_conv_blocks": 4,
        "conv_base_depth": 16,
        "growth_rate": 1.5,
        "start_deep_supervision_on": 1,
        "optimizer": "adam",
        "scheduler": "1cycle_0.0001_0.01",
        "weight_decay": 0,
        "batch_size": 16,
        "max_audio_length": 1 if args.source == "digits" else 5,
        "p_mixup": 0.5,
        "mixup": args.mixup,
        "epochs": epochs,
        "switch_off_augmentations_on": epochs - max(1, epochs // 8),
        "n_folds": 2,
        "seed": seed,
        "save_every": 10_000,
        "device": args.device,
        "num_workers": args.num_workers,
    }
    return {**flags, **{name: True for name in ("amp", "adapt_batch_norm") if getattr(args, name)}}


def spelled(flags: dict[str, Any]) -> list[str]:
    """{"epochs": 3, "amp": True} -> ["--epochs=3", "--amp"]; False and None are left out."""
    return [
        f"--{name}" if value is True else f"--{name}={value}"
        for name, value in flags.items()
        if value is not False and value is not None  # 0 is a value
    ]


@dataclass(frozen=True)
class Run:
    """A run's folder; its result is there once it has ended."""

    folder: Path

    @classmethod
    def of(cls, args: argparse.Namespace, name: str, layout: Layout, settings: Any) -> Run:
        """The run of these settings; others get other folders."""
        text = json.dumps([layout.name, args.p_two, settings], sort_keys=True, default=str)
        digest = hashlib.sha256(text.encode()).hexdigest()[:8]
        return cls(args.work_dir / "runs" / f"{layout.name}-{name}-{digest}")

    def result(self) -> dict[str, Any] | None:
        path = self.folder / "result.json"
        return json.loads(path.read_text()) if path.exists() else None

    def work(self, job: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """The result, from disk or from the job, whose output goes to the run's log."""
        found = self.result()
        if found is None:
            self.folder.mkdir(parents=True, exist_ok=True)
            with quiet(self.folder / "log"):
                found = {**job(), **made_now()}
            write_json(self.folder / "result.json", found)
        return found


@contextlib.contextmanager
def quiet(log: Path) -> Iterator[None]:
    """Sends what is printed to a file; an error ends with the file's name, a request to stop quietly."""
    try:
        with open(log, "a") as file, contextlib.redirect_stdout(file), contextlib.redirect_stderr(file):
            yield
    except Interrupted:
        sys.exit("stopped; the same command goes on where it was")
    except Exception:
        with open(log, "a") as file:
            traceback.print_exc(file=file)
        print(f"a run failed, see {log}", file=sys.stderr)
        raise


def submission_of(experiment: Path) -> Path:
    return experiment / "predictions" / "submission.csv"


def steps_of(folder: Path) -> int:
    """Optimizer steps of all trainings in a folder, over their folds."""
    return sum(load_checkpoint(path)["progress"]["step"] for path in folder.rglob("last.pth"))


def train(flags: Sequence[str], experiments: Path) -> Path:
    """Trains both folds, or what is left of them; returns the experiment's test predictions."""
    resume = ["--resume"] if any(experiments.glob("*/config.json")) else []
    train_2d_cnn.main([*flags, "--folds", "0", "1", f"--experiments_dir={experiments}", *resume])
    (experiment,) = experiments.iterdir()
    return submission_of(experiment)


def test_scores(layout: Layout, submission: Path) -> dict[str, Any]:
    """lwlrap of test predictions, and each clip's part in it: precision at its labels, and their number."""
    predictions = read_predictions(submission)
    table = layout.tables / "test_truth.csv"
    frame = read_table(table, ["fname", "labels"])
    class_map = load_class_map(layout.tables / "classmap.json")
    truth = encode_labels(frame["labels"], class_map, table, frame["fname"])
    n_labels = truth.sum(axis=1)
    precision = lrap_per_clip(truth, predictions.rows_of(frame["fname"].tolist(), submission)) * n_labels
    return {
        "lwlrap": float(precision.sum() / n_labels.sum()),
        "precision": [round(float(value), 6) for value in precision],
        "n_labels": [int(value) for value in n_labels],
    }


def bootstrap_error(first: dict[str, Any], second: dict[str, Any], resamples: int = 400) -> float:
    """Standard error of the difference of two results on the same test clips, clips drawn anew."""
    rng = np.random.default_rng(0)
    n_labels = np.array(first["n_labels"])
    difference = np.array(second["precision"]) - np.array(first["precision"])
    draws = rng.integers(0, len(n_labels), (resamples, len(n_labels)))
    return float((difference[draws].sum(axis=1) / n_labels[draws].sum(axis=1)).std(ddof=1))
