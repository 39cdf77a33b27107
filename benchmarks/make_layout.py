#!/usr/bin/env python3
"""Lay real recordings out as a competition with careful and noisy labels, for the benchmarks.

    python download_data.py fsdd --output_dir data/fsdd
    python benchmarks/make_layout.py OUT --source digits --curated 1 2 --curated_per_class 9 --noisy 3

OUT gets train_curated/, train_noisy/ and test/ (WAV of 44,100 Hz, 16 bits, mono), train_curated.csv and
train_noisy.csv, sample_submission.csv, and what a competitor never sees: train_noisy_truth.csv and
test_truth.csv. Clips keep their length, but for silence at their end. With probability --p_two a clip of
another class of the same fold is laid over it, and it carries both labels. A noisy clip carries, with
probability --label_noise, any class that it does not hold in place of its labels. Same arguments, same bytes.

Sources, as download_data.py lays them out, or a folder with <source>.csv (fname,category,fold) and audio/:

digits: four of the six speakers of the Free Spoken Digit Dataset 1.0.10, each a fold (1 jackson, 2 nicolas,
3 lucas, 4 george), 50 recordings of each digit. The figures of RESULTS.md are of these 2,000 recordings.

esc10: the clips of ESC-50 that its column esc10 marks, 40 of each of ten classes, in ESC-50's five folds;
classes are called and sorted as in ESC-10's own release, so that what is drawn for its clips is drawn for
these. The figures of RESULTS.md are of that release's folds 1 to 4, in Ogg Vorbis; ESC-50 has the clips as
WAV, so that samples may differ in their last bits, and clips in where their silent end begins.
"""

import argparse
import csv
import os
import random
import re
import shutil
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import soxr

sys.path[:0] = [str(Path(__file__).resolve().parent.parent)]
from ops.errors import DataError  # noqa: E402
from ops.sampling import SAMPLE_RATE  # noqa: E402
from toolkit.cli.parser import COUNT, PROBABILITY, make_parser, run_script  # noqa: E402
from toolkit.clips.cells import join_labels  # noqa: E402
from toolkit.clips.tables import read_table  # noqa: E402
from toolkit.download.digits import DIGITS, RECORDING  # noqa: E402
from toolkit.system.files import disk_errors  # noqa: E402

SILENCE = 1e-4  # full scale: what is quieter at a clip's end is cut off
FOLD_OF_SPEAKER = {"jackson": 1, "nicolas": 2, "lucas": 3, "george": 4}
# ESC-50's names of ESC-10's classes: those of ESC-10's release, in its order.
ESC10 = {
    "dog": "Dog_bark",
    "rain": "Rain",
    "sea_waves": "Sea_waves",
    "crying_baby": "Baby_cry",
    "clock_tick": "Clock_tick",
    "sneezing": "Person_sneeze",
    "helicopter": "Helicopter",
    "chainsaw": "Chainsaw",
    "rooster": "Rooster",
    "crackling_fire": "Fire_crackling",
}
Rows = list[tuple[str, frozenset[str]]]  # fname, labels


@dataclass(frozen=True)
class Clip:
    path: Path
    fname: str  # in the layout
    category: str
    fold: int


def read_source(source: str, folder: Path) -> list[Clip]:
    """The clips of a source; draws are in their order. Raises DataError where it is not there."""
    table = folder / f"{source}.csv"
    if not table.exists():
        return SOURCES[source].read(folder)
    rows = read_table(table, ["fname", "category", "fold"]).itertuples(index=False)
    return [
        Clip(folder / "audio" / fname, f"{Path(fname).stem}.wav", category, _fold(fold, table))
        for fname, category, fold in rows
    ]


def read_digits(folder: Path) -> list[Clip]:
    clips = []
    for path in sorted(_sound(folder), key=lambda path: path.name):
        match = RECORDING.fullmatch(path.name)
        if match and match["speaker"] in FOLD_OF_SPEAKER:
            clips.append(
                Clip(path, path.name, DIGITS[int(match["digit"])], FOLD_OF_SPEAKER[match["speaker"]])
            )
    return clips


def read_esc10(folder: Path) -> list[Clip]:
    paths = {path.name: path for path in _sound(folder)}
    table = folder / "esc50" / "esc50.csv"
    clips = []
    for fname, category, fold, is_esc10 in read_table(
        table, ["filename", "category", "fold", "esc10"]
    ).itertuples(index=False):
        if is_esc10 != "True":
            continue
        if category not in ESC10:
            raise DataError(f"{table}: expected a class of ESC-10 for {fname}, found {category!r}")
        if fname not in paths:
            raise DataError(f"{folder}: expected {fname} of {table} in train_curated/ or test/, found none")
        clips.append(
            Clip(paths[fname], re.sub(r"-\d+\.wav$", ".wav", fname), ESC10[category], _fold(fold, table))
        )
    order = list(ESC10.values())
    return sorted(clips, key=lambda clip: (order.index(clip.category), clip.fname))


def _fold(text: str, table: Path) -> int:
    if not re.fullmatch("[0-9]+", text):
        raise DataError(f"{table}: expected the number of a fold, found {text!r}")
    return int(text)


def _sound(folder: Path) -> list[Path]:
    return [path for part in ("train_curated", "test") for path in (folder / part).glob("*.wav")]


@dataclass(frozen=True)
class Source:
    data_set: str  # of download_data.py
    read: Callable[[Path], list[Clip]]


SOURCES = {"digits": Source("fsdd", read_digits), "esc10": Source("esc50", read_esc10)}


def read_trimmed(path: Path) -> np.ndarray:
    """(samples,) at 44,100 Hz without the silence at its end; all of it where it is silent throughout.

    What resampling makes louder than full scale stays so until the clip is written: it may be halved before.
    """
    try:
        audio, rate = soundfile.read(path, dtype="float32")
    except soundfile.LibsndfileError as error:
        raise DataError(f"{path}: cannot be read ({error.error_string}); download the source anew") from error
    if audio.ndim > 1 or not len(audio):
        raise DataError(f"{path}: expected a clip of one channel, found the shape {audio.shape}")
    if rate != SAMPLE_RATE:
        audio = soxr.resample(audio, rate, SAMPLE_RATE)
    loud = np.flatnonzero(np.abs(audio) > SILENCE)
    return audio[: loud[-1] + 1] if len(loud) else audio


def laid_over(first: np.ndarray, second: np.ndarray, offset: int) -> np.ndarray:
    """(samples,) both at half their amplitude, the second from `offset` on."""
    mix = np.zeros(max(len(first), offset + len(second)), dtype=np.float32)
    mix[: len(first)] = 0.5 * first
    mix[offset : offset + len(second)] += 0.5 * second
    return mix


def draw_few(clips: Sequence[Clip], classes: Iterable[str], most: int, rng: random.Random) -> list[Clip]:
    """At most so many clips of each class, by name."""
    drawn = []
    for name in classes:
        of_class = [clip for clip in clips if clip.category == name]
        drawn += rng.sample(of_class, min(most, len(of_class)))
    return sorted(drawn, key=lambda clip: clip.fname)


def write_clips(clips: Sequence[Clip], folder: Path, p_two: float, rng: random.Random) -> Rows:
    """Writes clips, some with a second one laid over; returns names and true labels, by name."""
    folder.mkdir()
    rows = []
    for clip in clips:
        audio, labels = read_trimmed(clip.path), {clip.category}
        if rng.random() < p_two:
            others = [one for one in clips if one.fold == clip.fold and one.category != clip.category]
            if not others:
                raise DataError(
                    f"fold {clip.fold}: expected clips of two classes, to lay one over another, found "
                    f"{clip.category} alone; give other folds, or --p_two 0"
                )
            other = rng.choice(others)
            audio = laid_over(audio, read_trimmed(other.path), rng.randrange(len(audio)))
            labels.add(other.category)
        soundfile.write(folder / clip.fname, audio, SAMPLE_RATE, subtype="PCM_16")
        rows.append((clip.fname, frozenset(labels)))
    return sorted(rows)


def mislabelled(rows: Rows, classes: Sequence[str], rate: float, rng: random.Random) -> Rows:
    """Each clip's labels, or with this probability one class that it does not hold."""
    noisy = []
    for fname, labels in rows:
        if rng.random() < rate:
            absent = [name for name in classes if name not in labels]
            if not absent:
                raise DataError(f"{fname}: expected a class that it does not hold; give --label_noise 0")
            labels = frozenset({rng.choice(absent)})
        noisy.append((fname, labels))
    return noisy


def write_rows(path: Path, rows: Rows) -> None:
    _write_csv(path, ["fname", "labels"], ([fname, join_labels(sorted(labels))] for fname, labels in rows))


def _write_csv(path: Path, header: list[str], rows: Iterable[list[object]]) -> None:
    with open(path, "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *rows])


def lay_out(args: argparse.Namespace, clips: Sequence[Clip], out: Path) -> str:
    """Fills the folder; returns what is in it, in words. The order of draws is what makes the same bytes."""
    classes, rng = sorted({clip.category for clip in clips}), random.Random(args.seed)
    parts = {
        name: [clip for clip in clips if clip.fold in getattr(args, name)]
        for name in ("curated", "noisy", "test")
    }
    if args.curated_per_class:
        parts["curated"] = draw_few(parts["curated"], classes, args.curated_per_class, rng)
    curated, noisy, test = (
        write_clips(parts[name], out / folder, args.p_two, rng)
        for name, folder in (("curated", "train_curated"), ("noisy", "train_noisy"), ("test", "test"))
    )
    write_rows(out / "train_curated.csv", curated)
    write_rows(out / "train_noisy.csv", mislabelled(noisy, classes, args.label_noise, rng))
    write_rows(out / "train_noisy_truth.csv", noisy)
    write_rows(out / "test_truth.csv", test)
    zeros = [0] * len(classes)
    _write_csv(out / "sample_submission.csv", ["fname", *classes], ([fname, *zeros] for fname, _ in test))
    return f"{len(curated)} curated, {len(noisy)} noisy, {len(test)} test clips, {len(classes)} classes"


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = make_parser(__doc__)
    parser.add_argument("out", type=Path, help="a folder that is not there yet")
    parser.add_argument("--source", choices=sorted(SOURCES), default="esc10", help="which recordings")
    parser.add_argument("--source_dir", type=Path, help="default: data/fsdd for digits, data/esc50 for esc10")
    parser.add_argument("--curated", type=COUNT, nargs="+", default=[1, 2], help="folds of its clips")
    parser.add_argument("--noisy", type=COUNT, nargs="+", default=[3], help="folds of its clips")
    parser.add_argument("--test", type=COUNT, nargs="+", default=[4], help="folds of its clips")
    parser.add_argument("--curated_per_class", type=COUNT, help="at most so many curated clips a class")
    parser.add_argument("--label_noise", type=PROBABILITY, default=0.4, help="share of wrong labels")
    parser.add_argument("--p_two", type=PROBABILITY, default=0.2, help="share of clips with a second sound")
    parser.add_argument("--seed", type=int, default=7, help="of all draws")
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    data_set = SOURCES[args.source].data_set
    folder = args.source_dir or Path("data") / data_set
    if not folder.is_dir():
        raise DataError(
            f"{folder}: expected the source {args.source}, found no such folder; make it with python "
            f"download_data.py {data_set} --output_dir {folder}, or name it with --source_dir"
        )
    clips = read_source(args.source, folder)
    lacking = {*args.curated, *args.noisy, *args.test} - {clip.fold for clip in clips}
    if lacking:
        found = ", ".join(map(str, sorted({clip.fold for clip in clips})))
        found = (
            f"{found}; give other folds" if found else f"no clips that download_data.py {data_set} lays out"
        )
        raise DataError(f"{folder}: expected clips of fold {min(lacking)}, found {found}")
    if args.out.exists():
        raise DataError(f"{args.out}: exists already; move it away, or give another folder")
    temporary = args.out.with_name(f"{args.out.name}.{os.getpid()}.tmp")
    try:
        with disk_errors(args.out):
            temporary.mkdir(parents=True)
            what = lay_out(args, clips, temporary)
            temporary.rename(args.out)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    print(f"{args.out}: {what}")


if __name__ == "__main__":
    run_script(main)
